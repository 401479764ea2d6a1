"""What runs inside a task on behalf of RDD operations and actions.

Each takes the user's functions first and the rows last, so that it travels as a `Builtin`.
"""

from __future__ import annotations

import heapq
import random
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from functools import reduce
from itertools import compress, groupby, islice, repeat
from typing import Any

import pyarrow as pa

from livebatch.block import Tables
from livebatch.rdd.external import Groups, Side, folded, parted
from livebatch.rdd.partitioner import explaining_keys
from livebatch.rowtables import as_table
from livebatch.scratch import Gauge, portions

Rows = Iterable[Any]
Pairs = Iterable[tuple[Any, Any]]


def on_value(function: Callable[[Any], Any], rows: Pairs) -> Iterator[Any]:
    """map_values."""
    return ((key, function(value)) for key, value in rows)


def each_on_value(function: Callable[[Any], Rows], rows: Pairs) -> Iterator[Any]:
    """flat_map_values."""
    return ((key, item) for key, value in rows for item in function(value))


def with_key(function: Callable[[Any], Any], rows: Rows) -> Iterator[Any]:
    """key_by."""
    return ((function(row), row) for row in rows)


def first_of(rows: Pairs) -> Iterator[Any]:
    return (key for key, _ in rows)


def second_of(rows: Pairs) -> Iterator[Any]:
    return (value for _, value in rows)


def combine_values(
    create: Callable[[Any], Any] | None, merge: Callable[[Any, Any], Any], rows: Pairs
) -> Rows:
    """Fold the values of each key, in order; the first goes through ``create`` if there is one."""

    def add(combined: Groups, rows: Pairs) -> None:
        for key, value in rows:
            if key in combined:
                combined[key] = merge(combined[key], value)
            else:
                combined[key] = value if create is None else create(value)

    return folded(Side(add, rows))


def count_values(rows: Rows) -> Rows:
    """Count how often each row occurs."""

    def add(counts: Groups, rows: Rows) -> None:
        for row, count in Counter(rows).items():
            counts[row] = counts.get(row, 0) + count

    return folded(Side(add, rows, key=_itself))


def sum_counts(rows: Pairs) -> Rows:
    """Add up the counts of each key."""

    def add(total: Groups, rows: Pairs) -> None:
        for key, count in rows:
            total[key] = total.get(key, 0) + count

    return folded(Side(add, rows))


def group_values(rows: Pairs) -> Rows:
    """Collect the values of each key into a list, in order."""
    return folded(Side(_append, rows))


def cogroup_values(*sides: Pairs) -> Rows:
    """Give (key, (values of the first side, values of the second, …)) for every key."""
    return folded(*_sides(*sides))


def _sides(*sides: Pairs) -> list[Side]:
    def adding(side: int) -> Callable[[Groups, Pairs], None]:
        def add(groups: Groups, rows: Pairs) -> None:
            for key, value in rows:
                if key not in groups:
                    groups[key] = tuple([] for _ in sides)
                groups[key][side].append(value)

        return add

    return [Side(adding(i), rows) for i, rows in enumerate(sides)]


def _append(groups: Groups, rows: Pairs) -> None:
    for key, value in rows:
        groups.setdefault(key, []).append(value)


def _itself(row: Any) -> Any:
    return row


def reduce_rows(function: Callable[[Any, Any], Any], rows: Rows) -> Rows:
    """Give the one row that a partition reduces to, or none if it is empty."""
    iterator = iter(rows)
    for first in iterator:
        return [reduce(function, iterator, first)]
    return []


def count_rows(rows: Rows) -> int:
    if isinstance(rows, Tables):
        return len(rows)
    return sum(compress(repeat(1), zip(rows)))  # no step of it is Python


def counted(rows: Rows) -> list[int]:
    """One row: how many there are."""
    return [count_rows(rows)]


def summed(rows: Rows) -> list[Any]:
    """One row: the sum of all."""
    return [sum(rows)]


def largest(count: int, key: Callable[[Any], Any] | None, rows: Rows) -> list[Any]:
    """The largest rows, largest first."""
    return heapq.nlargest(count, rows, key=key)


def smallest(count: int, key: Callable[[Any], Any] | None, rows: Rows) -> list[Any]:
    """The smallest rows, smallest first."""
    return heapq.nsmallest(count, rows, key=key)


def first_rows(count: int, rows: Rows) -> list[Any]:
    return list(islice(rows, count))


def collect_rows(rows: Iterable[Any]) -> Iterable[Any]:
    """The rows; those that lie in tables travel as such."""
    return Tables(rows.tables) if isinstance(rows, Tables) else list(rows)


def collect_table(rows: Rows) -> pa.Table | None:
    """The rows as a table, or None if there are none; tables that are alike stay as they are."""
    if isinstance(rows, Tables) and len({table.schema for table in rows.tables}) == 1:
        return pa.concat_tables(rows.tables).replace_schema_metadata(None)
    collected = list(rows)
    return as_table(collected) if collected else None


def listed(function: Callable[[Rows], Rows], rows: Rows) -> list[Any]:
    return list(function(rows))


def for_each(function: Callable[[Any], Any], rows: Rows) -> None:
    deque(map(function, rows), maxlen=0)


def for_partition(function: Callable[[Rows], Any], rows: Rows) -> None:
    function(rows)


def as_one_row(rows: Rows) -> list[list[Any]]:
    return [list(rows)]


def as_keys(rows: Rows) -> Iterator[Any]:
    return ((row, None) for row in rows)


def of_first(key: Callable[[Any], Any] | None, row: tuple[Any, Any]) -> Any:
    """The key that a (key, value) row is sorted by."""
    return row[0] if key is None else key(row[0])


def values_of(wanted: Any, rows: Pairs) -> list[Any]:
    return [value for key, value in rows if key == wanted]


def from_zero(zero: Any, function: Callable[[Any, Any], Any], value: Any) -> Any:
    """The first value of a key, folded into a zero value of its own."""
    return function(deepcopy(zero), value)


def aggregated(zero: Any, function: Callable[[Any, Any], Any], rows: Rows) -> Any:
    return reduce(function, rows, deepcopy(zero))


# -- joins -----------------------------------------------------------------------------------


def inner_join(here: Pairs, there: Pairs) -> Iterator[Any]:
    return _joined(here, there, ())


def left_join(here: Pairs, there: Pairs) -> Iterator[Any]:
    return _joined(here, there, (None,))


def _joined(here: Pairs, there: Pairs, missing: tuple[Any, ...]) -> Iterator[Any]:
    """Join, with ``missing`` for the values there of a key that is only here: rows here stream
    past a table of those there, unless memory does not hold that."""
    there, gauge = iter(there), Gauge()
    table: Groups = {}
    with explaining_keys():
        for portion in portions(there):
            _append(table, portion)
            if gauge.full():
                return _joined_in_parts(table, here, there, missing)
    return ((key, (value, other)) for key, value in here for other in table.get(key, missing))


def _joined_in_parts(
    table: Groups, here: Pairs, there: Pairs, missing: tuple[Any, ...]
) -> Iterator[Any]:
    left, right = _sides(here, there)
    groups: Groups = {key: ([], values) for key, values in table.items()}
    table.clear()
    for key, (values, others) in parted(groups, [right, left]):
        for value in values:
            for other in others or missing:
                yield key, (value, other)


def right_join(here: Pairs, there: Pairs) -> Iterator[Any]:
    return ((key, (value, other)) for key, (other, value) in left_join(there, here))


def full_join(here: Pairs, there: Pairs) -> Iterator[Any]:
    for key, (left, right) in cogroup_values(here, there):
        for value in left or (None,):
            for other in right or (None,):
                yield key, (value, other)


def without_keys(here: Pairs, there: Pairs) -> Iterator[Any]:
    grouped = cogroup_values(here, there)
    return ((key, value) for key, (left, right) in grouped if not right for value in left)


def keys_of_both(here: Pairs, there: Pairs) -> Iterator[Any]:
    grouped = cogroup_values(here, there)
    return ((key, None) for key, (left, right) in grouped if left and right)


def zipped(here: Rows, there: Rows) -> Iterator[Any]:
    """Pairs of rows; a ValueError if one side has more."""
    return zip(here, there, strict=True)


# -- order, chance and numbers -------------------------------------------------------------------


def sampled_keys(key: Callable[[Any], Any], count: int, rows: Rows) -> list[Any]:
    """The keys of some rows, evenly over the partition: between ``count`` and twice as many, if
    there are so many."""
    keys: list[Any] = []
    every = 1
    for number, row in enumerate(rows):
        if number % every == 0:
            keys.append(key(row))
            if len(keys) > 2 * count:
                keys, every = keys[::2], 2 * every
    return keys


def range_bounds(keys: list[Any], partitions: int) -> list[Any]:
    """Bounds that divide the keys into so many ranges of about equal size."""
    keys = sorted(keys)
    cuts = (keys[len(keys) * i // partitions] for i in range(1, partitions) if keys)
    return [cut for cut, _ in groupby(cuts)]


def fresh_seed() -> int:
    return random.getrandbits(32)


def drawn(
    with_replacement: bool, fraction: float, seed: int, split: int, rows: Rows
) -> Iterator[Any]:
    """Rows drawn at random; the same for the same seed and partition."""
    chance = random.Random(f"{seed}.{split}")
    if not with_replacement:
        return (row for row in rows if chance.random() < fraction)
    return (row for row in rows for _ in range(_poisson(chance, fraction)))


def _poisson(chance: random.Random, mean: float) -> int:
    """A Poisson number: how many arrivals at rate 1 there are in a time of ``mean``."""
    count, time = 0, chance.expovariate(1)
    while time < mean:
        count, time = count + 1, time + chance.expovariate(1)
    return count


def numbered(starts: list[int], split: int, rows: Rows) -> Iterator[Any]:
    return ((row, number) for number, row in enumerate(rows, starts[split]))


def even_bounds(low: Any, high: Any, count: int) -> list[Any]:
    """``count`` buckets of equal width from low to high."""
    if low == high:
        return [low, high + 1]
    return [*(low + (high - low) * i / count for i in range(count)), high]


def histogram_of(bounds: list[Any], rows: Rows) -> list[int]:
    """How many rows lie in each bucket; the last takes in its upper bound."""
    counts = [0] * (len(bounds) - 1)
    for row in rows:
        if bounds[0] <= row <= bounds[-1]:
            counts[min(bisect_right(bounds, row) - 1, len(counts) - 1)] += 1
    return counts
