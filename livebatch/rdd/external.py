"""Sorting and grouping rows of which there may be more than memory holds.

As long as memory suffices, grouping is a dict and sorting a list. Past that, grouping goes on as
a Grace hash join does: what has been folded so far, and all rows that are still to come, are
divided by key over temporary files, which are then treated one after the other; the values of a
key are folded in the same order in either case. Sorting merges sorted runs.
(Graefe 1993, Query evaluation techniques for large databases, sections 2 and 4.)
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from livebatch.rdd.partitioner import explaining_keys
from livebatch.scratch import Gauge, Rows, gathered, give_back, portions

Groups: TypeAlias = dict[Any, Any]

PARTS = 16
"""Over so many files what does not fit into memory is divided."""

DEEPEST = 6
"""So many times a part is divided again; what does not fit then is one key's."""


class Side:
    """Rows to be folded into groups.

    Args:
        add: folds rows into a dict of groups.
        rows: the rows.
        key: of a row; its first item if not told.
    """

    def __init__(
        self,
        add: Callable[[Groups, Iterable[Any]], None],
        rows: Iterable[Any],
        key: Callable[[Any], Any] | None = None,
    ) -> None:
        self.add, self.rows, self.key = add, iter(rows), key

    def divided(self, part_of: Callable[[Any], int]) -> list[Side]:
        """Return the rows as many sides, those of a part each."""
        parts = [Rows() for _ in range(PARTS)]

        def divide(rows: list[Any]) -> None:
            buckets: list[list[Any]] = [[] for _ in parts]
            for row in rows:
                buckets[part_of(row[0] if self.key is None else self.key(row))].append(row)
            for part, bucket in zip(parts, buckets, strict=True):
                part.extend(bucket)

        divide(gathered(self.rows, divide))
        return [Side(self.add, part, self.key) for part in parts]


def folded(*sides: Side, groups: Groups | None = None, depth: int = 0) -> Iterable[tuple[Any, Any]]:
    """Fold the rows of all sides, one side after the other, and give (key, group) for every key.

    Args:
        sides: what to fold.
        groups: what has been folded before; this dict is used up.
        depth: how many times the rows have been divided already.
    """
    groups, gauge = {} if groups is None else groups, Gauge()
    with explaining_keys():
        for i, side in enumerate(sides):
            for portion in portions(side.rows):
                side.add(groups, portion)
                if depth < DEEPEST and gauge.full():
                    return parted(groups, sides[i:], depth)
    return groups.items()


def parted(groups: Groups, sides: Sequence[Side], depth: int = 0) -> Iterator[tuple[Any, Any]]:
    """Give what `folded` gives, by way of files: a part of the keys after the other."""

    def part_of(key: Any) -> int:
        return hash((depth, key)) % PARTS

    with explaining_keys():
        held = Side(dict.update, groups.items()).divided(part_of)
        groups.clear()
        give_back()
        rest = [side.divided(part_of) for side in sides]
    for part, *others in zip(held, *rest, strict=True):
        yield from folded(*others, groups=dict(part.rows), depth=depth + 1)


def sorted_rows(key: Callable[[Any], Any], reverse: bool, rows: Iterable[Any]) -> Iterable[Any]:
    """Sort rows as `sorted` does, by way of sorted runs in files where memory runs short."""
    runs: list[Iterable[Any]] = []

    def aside(rows: list[Any]) -> None:
        rows.sort(key=key, reverse=reverse)
        run = Rows()
        run.extend(rows)
        runs.append(run)

    rest = gathered(rows, aside)
    rest.sort(key=key, reverse=reverse)
    return heapq.merge(*runs, rest, key=key, reverse=reverse) if runs else rest
