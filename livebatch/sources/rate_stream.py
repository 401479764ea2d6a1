"""Numbered rows at an even rate, for trying things out and for measuring."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import TypedDict

import msgspec
import numpy as np
import pyarrow as pa

from livebatch.closures import Builtin, builtin
from livebatch.errors import DefinitionError
from livebatch.interval import Millis

SLOWEST, FASTEST = 0.001, 10**9
SCHEMA = pa.schema([("value", pa.int64()), ("timestamp", pa.timestamp("us", tz="UTC"))])

_US = 1_000_000


class Offsets(TypedDict):
    """What is remembered from one batch to the next.

    Attributes:
        origin: when the stream began, milliseconds since 1970 UTC.
        rows: how many have been given.
    """

    origin: Millis
    rows: int


class Source(msgspec.Struct, frozen=True):
    """Return a stream of numbered rows at an even rate, as tables.

    A row has ``value``, which counts from 0, and ``timestamp``, when it is due: the first
    1 / rate seconds after the stream begins, the others at that distance. A batch has the rows
    that are due after the batch before it and up to its own time, whenever it is computed; while
    batches fall behind, only the first of those, and the others come later.

    Args:
        rows_per_second: the rate, from 0.001 to 10⁹; above 1000 it is rounded to a whole number.
        num_partitions: over how many partitions the rows of a batch are spread.

    Raises:
        DefinitionError: the rate is out of range, or the number of partitions not positive.

    Example:
        >>> from livebatch.testing import ManualContext, collected
        >>> with ManualContext("1s") as ssc:
        ...     values = collected(ssc.rate_stream(3).map(lambda row: row["value"]))
        ...     ssc.start()
        ...     ssc.advance("2s")
        ...     list(values)
        [[0, 1, 2], [3, 4, 5]]
    """

    rows_per_second: float = 1
    num_partitions: int = 1

    def __post_init__(self) -> None:
        rate, count = self.rows_per_second, self.num_partitions
        if type(rate) not in (int, float) or not SLOWEST <= rate <= FASTEST:
            raise DefinitionError(
                f"rows_per_second must be a number from {SLOWEST} to {FASTEST}, not {rate!r}"
            )
        if type(count) is not int or count < 1:
            raise DefinitionError(f"num_partitions must be a whole number from 1 on, not {count!r}")

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the rows."""
        return SCHEMA

    def plan(
        self, offsets: Offsets | None, time: Millis, limit: int | None = None
    ) -> tuple[list[Builtin], Offsets]:
        """Return readers of the rows that have become due, and what to remember.

        Args:
            offsets: what the last call returned; None at first.
            time: the batch time, milliseconds since 1970 UTC.
            limit: at most so many rows; the others come later.
        """
        if offsets is None:
            return [], {"origin": time, "rows": 0}
        # What is written as 0.3 means that, not the binary fraction next to it; and with such
        # denominators no time overflows 64 bits.
        rate = Fraction(str(self.rows_per_second))
        rate = rate.limit_denominator(1000 if rate <= 1000 else 1)
        origin, start = offsets["origin"], offsets["rows"]
        end = max(start, (time - origin) * rate // 1000)
        if limit is not None:
            end = min(end, start + limit)
        count = self.num_partitions
        bounds = [start + (end - start) * i // count for i in range(count + 1)]
        readers = [
            builtin(rows, first, last, origin, rate.numerator, rate.denominator)
            for first, last in pairwise(bounds)
            if first < last
        ]
        return readers, {"origin": origin, "rows": end}


def rows(first: int, last: int, origin: Millis, numerator: int, denominator: int) -> pa.Table:
    """Return the rows ``[first, last)`` of a stream of numerator / denominator rows a second.

    >>> [str(row["timestamp"]) for row in rows(2, 4, 0, 2, 1).to_pylist()]
    ['1970-01-01 00:00:01.500000+00:00', '1970-01-01 00:00:02+00:00']
    """
    value = np.arange(first, last, dtype=np.int64)
    spans, rest = np.divmod(value + 1, numerator)
    due = origin * 1000 + spans * (denominator * _US) + rest * (denominator * _US) // numerator
    return pa.table([pa.array(value), pa.array(due).cast(SCHEMA.field(1).type)], schema=SCHEMA)
