"""Random input: batches of records, and parameters of operators."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

KEYS: list[Any] = [
    "", "a", "ß", "\ud800", b"a", 0, 1, -1, True, False, 0.0, -0.0, 1.0, 0.5, Fraction(1, 2),
    Decimal(1), 2**70, None, (), ("a", 1), ("a", 1.0), ("a", True), (None, ("b", -0.0)),
    frozenset({1, "a"}), date(2024, 2, 29), datetime(2024, 2, 29, tzinfo=UTC), UUID(int=1),
]  # fmt: skip
"""Few, so that they meet; of many types, some equal across them."""

keys = st.sampled_from(KEYS)
numbers = st.integers(-9, 9)
positive = st.integers(1, 9)
pairs = st.tuples(keys, numbers)
gains = st.tuples(keys, positive)


def batches_of(rows: st.SearchStrategy[Any], most: int = 7) -> st.SearchStrategy[list[list[Any]]]:
    """Batches of rows, some of them empty."""
    return st.lists(st.lists(rows, max_size=8), min_size=1, max_size=most)


@dataclass(frozen=True)
class Parameters:
    """What an operator may be given: numbers of seconds, and of partitions."""

    window: int
    slide: int
    partitions: int | None
    slots: int


parameters = st.builds(
    Parameters,
    window=st.integers(1, 5),
    slide=st.integers(1, 3),
    partitions=st.none() | st.integers(1, 4),
    slots=st.integers(1, 3),
)
