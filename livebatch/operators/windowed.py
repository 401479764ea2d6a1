"""Streams whose batches look back: all records of a window, or what became of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from livebatch.closures import Function, builtin
from livebatch.interval import Millis
from livebatch.operators.partial import nothing
from livebatch.rdd import RDD
from livebatch.rdd import functions as run
from livebatch.rdd.operation import Stored, Unioned, Zipped
from livebatch.spans import batches_of, check_durations
from livebatch.stream import DStream

Stream = DStream[Any]
Tables = Sequence[run.Pairs]


class Windowed(DStream[Any]):
    """The records of the last ``window`` milliseconds, every ``slide`` milliseconds."""

    reaches_back = True
    goes_on = True

    def __init__(self, parents: Sequence[Stream], slide: Millis, window: Millis) -> None:
        super().__init__(parents, slide, window)
        self.lookback = window
        parents[0].persisted = True

    def check_parent(self, slide: Millis, name: str) -> None:
        check_durations(self.lookback, self.slide, slide, f"{name} is used by a stream whose")

    def compute(self, time: Millis) -> RDD[Any]:
        parent = self.parents[0]
        batches = batches_of(parent, time - self.lookback, time)
        return RDD(Unioned(), batches) if batches else RDD(Stored(()), runner=parent.runner)


class SlidWindow(DStream[Any]):
    """A sliding reduction by key that adds what enters the window and takes off what leaves.

    The parent is reduced by key already, and divided as this stream is to be. ``step`` takes the
    rows from a slide before, a list of tables that leave and one of those that enter.
    """

    cuts_lineage = True
    goes_on = True

    def __init__(
        self,
        parents: Sequence[Stream],
        slide: Millis,
        window: Millis,
        step: Function,
        num_partitions: int | None,
    ) -> None:
        super().__init__(parents, slide, window, step, num_partitions)
        self.length, self.step, self.num_partitions = window, step, num_partitions
        self.lookback = window + slide
        parents[0].persisted = True

    def check_parent(self, slide: Millis, name: str) -> None:
        check_durations(self.length, self.slide, slide, f"{name} is used by a stream whose")

    def compute(self, time: Millis) -> RDD[Any]:
        parent, earlier = self.parents[0], time - self.slide
        before = self.generated.get(earlier)
        if before is None:
            batches = batches_of(parent, time - self.length, time)
            if not batches:
                return nothing(parent, self.num_partitions)
            return RDD(Zipped(builtin(first_window, self.step)), batches)
        left = batches_of(parent, earlier - self.length, min(earlier, time - self.length))
        entered = batches_of(parent, max(earlier, time - self.length), time)
        return RDD(Zipped(builtin(next_window, self.step, len(left))), [before, *left, *entered])


def first_window(step: Callable[..., run.Rows], *entered: run.Pairs) -> run.Rows:
    return step((), (), entered)


def next_window(
    step: Callable[..., run.Rows], left: int, before: run.Rows, *tables: run.Pairs
) -> run.Rows:
    return step(before, tables[:left], tables[left:])


def slide_values(
    func: Callable[[Any, Any], Any],
    inv_func: Callable[[Any, Any], Any],
    before: run.Pairs,
    left: Tables,
    entered: Tables,
) -> run.Rows:
    """Keep (key, value) for every key that ever was in the window."""
    values = dict(before)
    for key, value in chain.from_iterable(left):
        if key in values:
            values[key] = inv_func(values[key], value)
    for key, value in chain.from_iterable(entered):
        values[key] = func(values[key], value) if key in values else value
    return values.items()


def slide_present(
    func: Callable[[Any, Any], Any],
    inv_func: Callable[[Any, Any], Any],
    before: run.Rows,
    left: Tables,
    entered: Tables,
) -> run.Rows:
    """Keep (key, value, how many batches it is from) for the keys that are in the window."""
    rows = {row[0]: row for row in before}
    for key, value in chain.from_iterable(left):
        if key in rows:
            _, held, batches = rows.pop(key)
            if batches > 1:
                rows[key] = key, inv_func(held, value), batches - 1
    for key, value in chain.from_iterable(entered):
        if key in rows:
            _, held, batches = rows[key]
            rows[key] = key, func(held, value), batches + 1
        else:
            rows[key] = key, value, 1
    return rows.values()


def slide_counts(before: run.Pairs, left: Tables, entered: Tables) -> run.Rows:
    """Keep (key, count) for the keys that are in the window."""
    counts = dict(before)
    for key, count in chain.from_iterable(left):
        if key in counts:
            rest = counts.pop(key) - count
            if rest:
                counts[key] = rest
    for key, count in chain.from_iterable(entered):
        counts[key] = counts.get(key, 0) + count
    return counts.items()
