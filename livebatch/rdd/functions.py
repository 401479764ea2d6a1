"""What runs inside a task on behalf of RDD operations and actions.

Each takes the user's functions first and the rows last, so that it travels as a `Builtin`.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from functools import reduce
from itertools import islice
from typing import Any

import pyarrow as pa

from livebatch.block import as_table

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
    for key, value in rows:
        if key in combined:
            combined[key] = merge(combined[key], value)
        else:
            combined[key] = value if create is None else create(value)
    return list(combined.items())


def count_values(rows: Rows) -> Rows:
    """Count how often each row occurs."""
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
    for key, value in rows:
        groups.setdefault(key, []).append(value)
    return list(groups.items())


def cogroup_values(*sides: Pairs) -> Rows:
    """Give (key, (values of the first side, values of the second, …)) for every key."""
    groups: dict[Any, tuple[list[Any], ...]] = {}
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


def fold_rows(zero: Any, function: Callable[[Any, Any], Any], rows: Rows) -> Any:
    return reduce(function, rows, zero)


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


def distinct_rows(rows: Rows) -> Rows:
    return list(dict.fromkeys(rows))


def collect_rows(rows: Rows) -> list[Any]:
    return list(rows)


def collect_table(rows: Rows) -> pa.Table | None:
    """The rows as a table, or None if there are none."""
    collected = list(rows)
    return as_table(collected) if collected else None


def for_each(function: Callable[[Any], Any], rows: Rows) -> None:
    deque(map(function, rows), maxlen=0)
