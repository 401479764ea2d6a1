"""Sketches: summaries of rows that stay small however many rows there are, and that merge.

They are those of Apache DataSketches. Equal rows count as one, whatever their types, and the same
rows in the same order give the same sketch in every process.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache, reduce
from itertools import islice
from math import ceil, log2
from pickle import dumps, loads
from typing import Any, TypeVar

from livebatch.errors import DefinitionError
from livebatch.rdd.partitioner import explaining_keys, stable_hash

PORTION = 8192
"""So many rows are counted before they go into a sketch."""

_LEAST, _MOST = 7, 21
"""The numbers of registers that DataSketches' HyperLogLog can have, as powers of 2."""

S = TypeVar("S", "DistinctRows", "FrequentRows")


class DistinctRows:
    """About how many different rows there are (HyperLogLog).

    Args:
        size: of 2**size registers.
        data: what `__reduce__` gave.

    Example:
        >>> words = DistinctRows(distinct_size(0.05))
        >>> words.add(["to", "be", "or", "not", "to", "be"])
        >>> words.count()
        4
    """

    def __init__(self, size: int, data: bytes | None = None) -> None:
        from datasketches import hll_sketch, hll_union

        self._size, self._union = size, hll_union(size)
        if data is not None:
            self._union.update(hll_sketch.deserialize(data))

    def add(self, rows: Iterable[Any]) -> None:
        """Take in rows."""
        for counts in _counted(rows):
            for row in counts:
                self._union.update(_fingerprint(row))

    def merge(self, other: DistinctRows) -> None:
        """Take in the rows of another."""
        self._union.update(other._union.get_result())

    def count(self) -> int:
        """Return how many different rows there are, about."""
        return int(self._union.get_estimate() + 0.5)

    def __reduce__(self) -> Any:
        return DistinctRows, (self._size, self._union.get_result().serialize_compact())


class FrequentRows:
    """The most frequent rows (Misra and Gries's, as Anderson and others have made it fast).

    Args:
        size: it keeps up to 0.75 × 2**size rows.
        data: what `__reduce__` gave.

    Example:
        >>> words = FrequentRows(frequent_size(2, 0.01))
        >>> words.add(["to", "be", "or", "not", "to", "be", "to"])
        >>> words.top(2)
        [('to', 3), ('be', 2)]
    """

    def __init__(self, size: int, data: bytes | None = None) -> None:
        from datasketches import frequent_items_sketch

        self._size = size
        if data is None:
            self._sketch = frequent_items_sketch(size)
        else:
            self._sketch = frequent_items_sketch.deserialize(data, _pickles())

    def add(self, rows: Iterable[Any]) -> None:
        """Take in rows."""
        for counts in _counted(rows):
            for row, count in counts.items():
                self._sketch.update(_Item(row), count)

    def merge(self, other: FrequentRows) -> None:
        """Take in the rows of another."""
        self._sketch.merge(other._sketch)

    def top(self, num: int) -> list[tuple[Any, int]]:
        """Return the ``num`` most frequent rows and about how often they occur, most first."""
        from datasketches import frequent_items_error_type

        found = self._sketch.get_frequent_items(frequent_items_error_type.NO_FALSE_NEGATIVES)
        ranked = sorted(found, key=lambda item: item[1], reverse=True)
        return [(item.row, count) for item, count, *_ in ranked[:num]]

    def __reduce__(self) -> Any:
        return FrequentRows, (self._size, self._sketch.serialize(_pickles()))


class _Item:
    """A row with a hash that all processes agree on."""

    __slots__ = ("_hash", "row")

    def __init__(self, row: Any) -> None:
        self.row, self._hash = row, hash(stable_hash(row))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Item) and bool(self.row == other.row)


@cache
def _pickles() -> Any:
    """Return what writes and reads the rows in a sketch, each a pickle after its length."""
    from datasketches import PyObjectSerDe

    class Pickles(PyObjectSerDe):  # type: ignore[misc]
        def get_size(self, item: _Item) -> int:
            return len(self.to_bytes(item))

        def to_bytes(self, item: _Item) -> bytes:
            data = dumps(item.row, protocol=5)
            return len(data).to_bytes(4, "little") + data

        def from_bytes(self, data: bytes, offset: int) -> tuple[_Item, int]:
            end = offset + 4 + int.from_bytes(data[offset : offset + 4], "little")
            return _Item(loads(data[offset + 4 : end])), end - offset

    return Pickles()


def _counted(rows: Iterable[Any]) -> Iterator[Counter[Any]]:
    """Count some rows at a time, so that what is frequent costs little."""
    iterator = iter(rows)
    with explaining_keys():
        while counts := Counter(islice(iterator, PORTION)):
            yield counts


def _fingerprint(row: Any) -> int | str:
    """Return what stands for a row: the same for equal ones, another for others, as good as ever.

    `stable_hash` need not tell as much apart (0 from None and -1 from -2, in tuples, too).
    """
    if isinstance(row, str):
        return "s" + str.encode(row, "utf-8", "surrogatepass").decode("latin-1")
    if isinstance(row, bytes):
        return "b" + bytes.decode(row, "latin-1")
    if row is None:
        return "None"
    if isinstance(row, tuple):
        parts = [str(_fingerprint(part)) for part in row]
        return "t" + "".join(f"{len(part)}:{part}" for part in parts)
    return (-1 if row == -1 else stable_hash(row)) & (1 << 63) - 1


def distinct_size(relative_sd: float) -> int:
    """Return the size of a `DistinctRows` whose counts have this relative standard deviation.

    Raises:
        DefinitionError: none has.
    """
    least = 1.04 / 2 ** (_MOST / 2)
    if not least < relative_sd < 1:
        raise DefinitionError(
            f"relative_sd must be between {least:.4f} and 1, such as 0.05, not {relative_sd!r}"
        )
    return max(_LEAST, ceil(2 * log2(1.04 / relative_sd)))


def frequent_size(num: int, relative_error: float) -> int:
    """Return the size of a `FrequentRows` that keeps so many, and whose counts are off by at most
    this share of all rows.

    Raises:
        DefinitionError: no such share can be had.
    """
    if not 1e-6 <= relative_error < 1:
        raise DefinitionError(
            f"relative_error must be from 0.000001 up to 1, such as 0.001, not {relative_error!r}"
        )
    return max(3, ceil(log2(max(3.5 / relative_error, 4 * num))))


def distinct_rows(size: int, rows: Iterable[Any]) -> list[DistinctRows]:
    """One row: the sketch of all."""
    sketch = DistinctRows(size)
    sketch.add(rows)
    return [sketch]


def frequent_rows(size: int, rows: Iterable[Any]) -> list[FrequentRows]:
    """One row: the sketch of all."""
    sketch = FrequentRows(size)
    sketch.add(rows)
    return [sketch]


def merge_sketches(one: S, other: S) -> S:
    """Return the first sketch, with the rows of both."""
    one.merge(other)
    return one


def count_of(size: int, sketches: Iterable[DistinctRows]) -> list[int]:
    """One row: how many different rows the sketches are of, 0 if there are none."""
    return [reduce(merge_sketches, sketches, DistinctRows(size)).count()]


def top_of(size: int, num: int, sketches: Iterable[FrequentRows]) -> list[tuple[Any, int]]:
    """The most frequent of the rows that the sketches are of, with their counts."""
    return reduce(merge_sketches, sketches, FrequentRows(size)).top(num)
