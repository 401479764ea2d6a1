"""Keys: equal ones belong together, in this process and in every other."""

from __future__ import annotations

import enum
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebatch.closures import codes, ship_value
from livebatch.errors import UnstableKey
from livebatch.rdd import Partitioner, stable_hash
from livebatch.rdd.partitioner import by_key
from tests.model.strategies import KEYS


class Colour(enum.Enum):
    RED = 1
    CRIMSON = 1  # noqa: PIE796 (an alias)


class Level(enum.IntEnum):
    LOW = 1


class Word(enum.StrEnum):
    A = "a"


class Right(enum.Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: float
    y: float


@dataclass(frozen=True)
class Page:
    site: str
    number: float


EAST = timezone(timedelta(hours=5, minutes=30))
MORNING = datetime(2024, 3, 31, 6, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
TWICE = datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN)

EQUAL: list[tuple[Any, ...]] = [
    (1, 1.0, True, Decimal(1), Decimal("1.00"), Fraction(1), Level.LOW,
     np.int64(1), np.uint8(1), np.float32(1), np.bool_(True)),
    (1 + 0j, 1, np.complex128(1)),
    (0.0, -0.0, 0, False, Decimal("-0"), np.float64(-0.0)),
    (0.5, Fraction(1, 2), Decimal("0.5"), np.float16(0.5)),
    (2**70, float(2**70), Decimal(2**70)),
    ("a", Word.A, np.str_("a")),
    (b"a", np.bytes_(b"a")),
    ((1, (0.0, "a")), (True, (-0.0, Word.A)), (np.int64(1), (0, np.str_("a")))),
    ((1, 2), Point(1, 2.0)),
    (frozenset({1, "a"}), frozenset({"a", True})),
    (Colour.RED, Colour.CRIMSON),
    (Right.READ | Right.WRITE, Right.WRITE | Right.READ),
    (Page("a", 1), Page("a", 1.0), Page(Word.A, True)),
    (MORNING, MORNING.astimezone(EAST), MORNING.astimezone(BERLIN), pd.Timestamp(MORNING)),
    (datetime(2024, 1, 1), pd.Timestamp(2024, 1, 1)),
    (timedelta(seconds=90), timedelta(minutes=1.5), pd.Timedelta("90s")),
    (PurePosixPath("a/b"), PurePosixPath("a//b/")),
    (UUID(int=7), UUID(hex="0" * 31 + "7")),
    (TWICE, TWICE.replace(fold=1)),  # the hour that a zone repeats
    (time(12, tzinfo=UTC), time(17, 30, tzinfo=EAST)),
    (np.datetime64("2024-01-01", "D"), np.datetime64("2024-01-01", "ns")),
    (np.timedelta64(1, "s"), np.timedelta64(1_000_000_000, "ns")),
    (PureWindowsPath("A"), PureWindowsPath("a")),
]  # fmt: skip


@pytest.mark.parametrize("keys", EQUAL, ids=lambda keys: type(keys[0]).__name__)
def test_equal_keys_hash_equal(keys: tuple[Any, ...]) -> None:
    assert all(keys[0] == key and hash(keys[0]) == hash(key) for key in keys)
    assert len(set(map(stable_hash, keys))) == 1


@given(st.recursive(st.sampled_from(KEYS), lambda inner: st.lists(inner, max_size=3).map(tuple)))
def test_equal_nested_keys_hash_equal(key: Any) -> None:
    def other(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(other, value))
        return next((k for k in KEYS if k == value), value)

    assert other(key) == key
    assert stable_hash(other(key)) == stable_hash(key)


def test_not_a_number_is_one_key() -> None:
    kinds = [float("nan"), np.float64("nan"), Decimal("nan"), complex("nan")]
    assert len(set(map(stable_hash, kinds))) == 1


def test_different_keys_spread() -> None:
    for keys in (map(str, range(1000)), range(1000), ((i, "a") for i in range(1000))):
        segments = by_key(None, 8, [(key, None) for key in keys])
        assert min(map(len, segments)) > 60


@pytest.mark.process
def test_a_fresh_process_agrees() -> None:
    keys = [*KEYS, *(key for equal in EQUAL for key in equal)]
    program = """if True:
        import json, pickle, sys
        from livebatch.rdd import stable_hash
        keys = pickle.load(sys.stdin.buffer)
        json.dump([list(map(stable_hash, keys)), hash("a")], sys.stdout)
    """
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    found = subprocess.run(
        [sys.executable, "-c", program],
        input=codes.blob(ship_value(keys, "keys").digest),
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        check=True,
    )
    theirs, salted = json.loads(found.stdout)
    assert theirs == list(map(stable_hash, keys))
    assert salted != hash("a")


class Plain:
    """Hashed by identity."""


@dataclass
class Loose:
    """Can be changed, so it has no hash."""

    x: int


@pytest.mark.parametrize(
    "key",
    [Plain(), object(), lambda: 0, Plain, range(3), ..., ("a", Plain()), frozenset({Plain()})],
)
def test_keys_hashed_by_identity_are_refused(key: Any) -> None:
    with pytest.raises(UnstableKey, match=r"cannot be a key: workers would not agree .* Use a"):
        stable_hash(key)
    with pytest.raises(UnstableKey, match="frozen dataclass"):
        by_key(None, 2, [(key, 1)])


@pytest.mark.parametrize("key", [[1], {1}, {"a": 1}, ("a", [1]), bytearray(b"a"), Loose(1)])
def test_unhashable_keys_are_refused(key: Any) -> None:
    with pytest.raises(UnstableKey, match="a key must not change; use a tuple or a frozenset"):
        by_key(None, 2, [("fine", 1), (key, 1)])


def test_an_error_in_a_key_function_is_the_users_own() -> None:
    def function(key: Any) -> Any:
        return key + 1

    with pytest.raises(TypeError, match="can only concatenate str"):
        by_key(function, 2, [("a", 1)])


@given(st.lists(st.tuples(st.sampled_from(KEYS), st.integers())), st.integers(1, 9))
def test_every_row_is_in_one_segment_in_order(rows: list[Any], partitions: int) -> None:
    segments = by_key(None, partitions, rows)
    assert len(segments) == partitions
    for i, segment in enumerate(segments):
        mine = [row for row in rows if stable_hash(row[0]) % partitions == i]
        assert list(map(repr, segment)) == list(map(repr, mine))


def test_partitioners_are_equal_by_what_they_do() -> None:
    assert Partitioner(3) == Partitioner(3) != Partitioner(4)


def test_an_empty_flag_is_a_key() -> None:
    assert stable_hash(Right(0)) == stable_hash(Right(0))
