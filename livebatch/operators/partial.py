"""Partial results that windows without an inverse are merged from, and that they share.

Level 0 is a stream that has each batch reduced by key. Each batch of a level above is the merge of
four of the level below, at times that are multiples of its slide since the zero time. So any window
is covered by a few batches of each level, always the same ones, merged in order of time.
(docs/adr/0004-windows-from-levels.md tells why.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from math import gcd
from typing import Any

from livebatch.closures import Function, builtin
from livebatch.interval import Millis, check_multiple
from livebatch.rdd import RDD
from livebatch.rdd import functions as run
from livebatch.rdd.external import Groups, Side, folded
from livebatch.rdd.operation import Stored, Zipped
from livebatch.spans import batches_of, check_durations, covering
from livebatch.stream import DStream

Stream = DStream[Any]

FAN = 4
"""So many batches of a level are merged into one of the next."""


class Level(DStream[Any]):
    """The values of each key in the parent's last batches, merged, as often as those are new."""

    reaches_back = True

    def __init__(self, parents: Sequence[Stream], slide: Millis, func: Function) -> None:
        super().__init__(parents, slide, func)
        self.lookback, self.func = slide - parents[0].slide, func
        parents[0].persisted = True

    def check_parent(self, slide: Millis, name: str) -> None:
        check_multiple(self.slide, slide, f"{name} is merged by a stream whose slide")

    def slide_over(self, slide: Millis) -> Millis:
        return self.slide // self.parents[0].slide * slide

    def compute(self, time: Millis) -> RDD[Any] | None:
        batches = batches_of(self.parents[0], time - self.slide, time)
        return merged(batches, self.func) if batches else None


class MergedWindow(DStream[Any]):
    """The values of each key in the last ``window`` milliseconds, merged from levels.

    The first parent is level 0, the last the highest level.
    """

    reaches_back = True
    goes_on = True

    def __init__(
        self,
        parents: Sequence[Stream],
        slide: Millis,
        window: Millis,
        func: Function,
        num_partitions: int | None,
    ) -> None:
        super().__init__(parents, slide, window, func, num_partitions)
        self.length, self.func, self.num_partitions = window, func, num_partitions
        # A batch of a level is needed until a window begins after it does.
        self.lookback = max(window - parents[-1].slide, 0)
        parents[-1].persisted = True

    def check_parent(self, slide: Millis, name: str) -> None:
        whose = f"{name} is used by a stream whose"
        check_durations(self.length, self.slide, self.parents[0].slide, whose)

    def compute(self, time: Millis) -> RDD[Any]:
        highest = self.parents[-1]
        batches = covering(highest, Level, time - self.length, time)
        return merged(batches, self.func) if batches else nothing(highest, self.num_partitions)


def nothing(stream: Stream, num_partitions: int | None) -> RDD[Any]:
    """Return a batch without rows, divided as those with rows are."""
    empty: RDD[Any] = RDD(Stored(()), runner=stream.runner)
    return empty.partition_by(num_partitions)


def merged(batches: Sequence[RDD[Any]], func: Function) -> RDD[Any]:
    """Merge the values of each key of batches that are reduced by key and divided alike."""
    if len(batches) == 1:
        return batches[0]
    return RDD(Zipped(builtin(merge_tables, func)), batches)


def merge_tables(func: Callable[[Any, Any], Any], first: run.Pairs, *others: run.Pairs) -> run.Rows:
    """Merge the values of each key, those of the first table first."""

    def add(table: Groups, rows: run.Pairs) -> None:
        for key, value in rows:
            table[key] = func(table[key], value) if key in table else value

    return folded(Side(add, chain.from_iterable(others)), groups=dict(first))


def merged_window(
    reduced: Stream, slide: Millis, length: Millis, func: Function, num_partitions: int | None
) -> Stream:
    """Return a window over a stream that is reduced by key, merged from shared partial results."""
    level, pane = reduced, gcd(length, slide)
    if pane > reduced.slide:
        level = shared(reduced, Level, pane, func)
    while 2 * FAN * level.slide <= length + pane:  # then one of the next level always fits in
        level = shared(level, Level, FAN * level.slide, func)
    parents = list(dict.fromkeys([reduced, level]))
    return MergedWindow(parents, slide, length, func, num_partitions)


def shared(stream: Stream, kind: Callable[..., Stream], *params: Any) -> Stream:
    """Return the stream that another one has been made into in this way before, or make it so,
    so that whatever is computed from it is computed once."""
    found = stream.shared.get((kind, params))
    if found is None:
        found = stream.shared[kind, params] = kind([stream], *params)
    return found
