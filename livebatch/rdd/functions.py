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
from itertools import islice
from typing import Any

import pyarrow as pa

from livebatch.block import as_table
from livebatch.rdd.partitioner import explaining_keys

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
    combined: dict[Any, Any] = {}
    with explaining_keys():
        for key, value in rows:
            if key in combined:
                combined[key] = merge(combined[key], value)
            else:
                combined[key] = value if create is None else create(value)
    return list(combined.items())


def count_values(rows: Rows) -> Rows:
    """Count how often each row occurs."""
    with explaining_keys():
        return list(Counter(rows).items())


def sum_counts(rows: Pairs) -> Rows:
    """Add up the counts of each key."""
    total: Counter[Any] = Counter()
    for key, count in rows:
        total[key] += count
    return list(total.items())


def group_values(rows: Pairs) -> Rows:
    """Collect the values of each key into a list, in order."""
    groups: dict[Any, list[Any]] = {}
    with explaining_keys():
        for key, value in rows:
            groups.setdefault(key, []).append(value)
    return list(groups.items())


def cogroup_values(*sides: Pairs) -> Rows:
    """Give (key, (values of the first side, values of the second, …)) for every key."""
    groups: dict[Any, tuple[list[Any], ...]] = {}
    with explaining_keys():
        for i, side in enumerate(sides):
            for key, value in side:
                if key not in groups:
                    groups[key] = tuple([] for _ in sides)
                groups[key][i].append(value)
    return list(groups.items())


def reduce_rows(function: Callable[[Any, Any], Any], rows: Rows) -> Rows:
    """Give the one row that a partition reduces to, or none if it is empty."""
    iterator = iter(rows)
    for first in iterator:
        return [reduce(function, iterator, first)]
    return []


def count_rows(rows: Rows) -> int:
    counted = deque(enumerate(rows, 1), maxlen=1)
    return counted[0][0] if counted else 0


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


def collect_rows(rows: Rows) -> list[Any]:
    return list(rows)


def collect_table(rows: Rows) -> pa.Table | None:
    """The rows as a table, or None if there are none."""
    collected = list(rows)
    return as_table(collected) if collected else None


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
    table = dict(group_values(there))
    return ((key, (value, other)) for key, value in here for other in table.get(key, ()))


def left_join(here: Pairs, there: Pairs) -> Iterator[Any]:
    table = dict(group_values(there))
    return ((key, (value, other)) for key, value in here for other in table.get(key, (None,)))


def right_join(here: Pairs, there: Pairs) -> Iterator[Any]:
    return ((key, (value, other)) for key, (other, value) in left_join(there, here))


def full_join(here: Pairs, there: Pairs) -> Iterator[Any]:
    for key, (left, right) in cogroup_values(here, there):
        for value in left or (None,):
            for other in right or (None,):
                yield key, (value, other)


def without_keys(here: Pairs, there: Pairs) -> Iterator[Any]:
    known = {key for key, _ in there}
    return ((key, value) for key, value in here if key not in known)


def keys_of_both(here: Pairs, there: Pairs) -> list[Any]:
    known = {key for key, _ in there}
    return list(dict.fromkeys(key for key, _ in here if key in known))


def zipped(here: Rows, there: Rows) -> Iterator[Any]:
    """Pairs of rows; a ValueError if one side has more."""
    return zip(here, there, strict=True)


# -- order, chance and numbers -------------------------------------------------------------------


def sorted_rows(key: Callable[[Any], Any], reverse: bool, rows: Rows) -> list[Any]:
    return sorted(rows, key=key, reverse=reverse)


def sampled_keys(key: Callable[[Any], Any], count: int, rows: Rows) -> list[Any]:
    """The keys of some rows, evenly over the partition."""
    keys = list(map(key, rows))
    return keys[:: max(1, len(keys) // count)]


def range_bounds(keys: list[Any], partitions: int) -> list[Any]:
    """Bounds that divide the keys into so many ranges of about equal size."""
    keys = sorted(keys)
    cuts = (keys[len(keys) * i // partitions] for i in range(1, partitions) if keys)
    return list(dict.fromkeys(cuts))


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
