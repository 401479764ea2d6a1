"""Windows: operators that look back over several batches.

A window of length w at time t holds the batches of (t - w, t]. The first windows are partial.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import add, sub
from typing import Any

from livebatch.closures import Function, builtin, ship
from livebatch.interval import Duration, Interval, Millis, check_multiple, to_millis
from livebatch.rdd import RDD
from livebatch.rdd import functions as run
from livebatch.rdd.operation import Stored, Unioned, Zipped
from livebatch.stream import DStream, check_count, lift, operator, slide_of

Stream = DStream[Any]


def _batches(parent: Stream, start: Millis, end: Millis) -> list[RDD[Any]]:
    times = Interval(start, end).ticks(parent.zero, parent.slide)
    return [rdd for time in times if (rdd := parent.rdd_at(time)) is not None]


def _all_of(batches: Sequence[RDD[Any]], parent: Stream) -> RDD[Any]:
    return RDD(Unioned(), batches) if batches else RDD(Stored(()), runner=parent.runner)


class Windowed(DStream[Any]):
    """The records of the last ``window`` milliseconds, every ``slide`` milliseconds."""

    reaches_back = True

    def __init__(self, parents: Sequence[Stream], slide: Millis, window: Millis) -> None:
        super().__init__(parents, slide, window)
        self.lookback = window
        parents[0].persisted = True

    def check_parent(self, slide: Millis, name: str) -> None:
        _check_durations(self.lookback, self.slide, slide, f"{name} is used by a stream whose")

    def compute(self, time: Millis) -> RDD[Any]:
        parent = self.parents[0]
        return _all_of(_batches(parent, time - self.lookback, time), parent)


class ReducedWindow(DStream[Any]):
    """A sliding reduction by key that adds what enters the window and takes off what leaves.

    The parent is reduced by key already, and divided as this stream is to be.
    """

    cuts_lineage = True

    def __init__(
        self,
        parents: Sequence[Stream],
        slide: Millis,
        window: Millis,
        func: Function,
        inv_func: Function,
        filter_func: Function | None,
        num_partitions: int | None,
    ) -> None:
        super().__init__(parents, slide, window, func, inv_func, filter_func, num_partitions)
        self.lookback = window + slide
        self.num_partitions = num_partitions
        self.length, self.func = window, func
        self.inv_func, self.filter_func = inv_func, filter_func
        parents[0].persisted = True

    def check_parent(self, slide: Millis, name: str) -> None:
        _check_durations(self.length, self.slide, slide, f"{name} is used by a stream whose")

    def compute(self, time: Millis) -> RDD[Any]:
        parent, earlier = self.parents[0], time - self.slide
        before = self.generated.get(earlier)
        if before is None:
            window = _all_of(_batches(parent, time - self.length, time), parent)
            reduced = window.reduce_by_key(self.func, self.num_partitions)  # type: ignore[arg-type]
            return reduced if self.filter_func is None else reduced.filter(self.filter_func)  # type: ignore[arg-type]
        left = _batches(parent, earlier - self.length, min(earlier, time - self.length))
        entered = _batches(parent, max(earlier, time - self.length), time)
        step = builtin(slide_window, self.func, self.inv_func, self.filter_func, len(left))
        return RDD(Zipped(step), [before, *left, *entered])


def slide_window(
    func: Callable[[Any, Any], Any],
    inv_func: Callable[[Any, Any], Any],
    filter_func: Callable[[tuple[Any, Any]], Any] | None,
    left: int,
    before: run.Pairs,
    *batches: run.Pairs,
) -> run.Rows:
    """Take off the first ``left`` batches' values, add the others', keep what passes."""
    values = dict(before)
    for batch in batches[:left]:
        for key, value in batch:
            if key in values:
                values[key] = inv_func(values[key], value)
    for batch in batches[left:]:
        for key, value in batch:
            values[key] = func(values[key], value) if key in values else value
    return values.items() if filter_func is None else filter(filter_func, values.items())


@operator
def window(
    self: Stream, window_duration: Duration, slide_duration: Duration | None = None
) -> Stream:
    """Return a stream whose batches hold the records of the last ``window_duration``.

    Args:
        window_duration: how far back, such as ``"30s"``.
        slide_duration: how often; every batch if not told.

    Example:
        ``lines.window("1m", "10s").count()``

    Raises:
        DefinitionError: a duration is not a multiple of this stream's slide.
    """
    length, slide = _durations(self, window_duration, slide_duration)
    return Windowed([self], slide, length)


@operator
def reduce_by_key_and_window(
    self: Stream,
    func: Callable[[Any, Any], Any],
    inv_func: Callable[[Any, Any], Any] | None,
    window_duration: Duration,
    slide_duration: Duration | None = None,
    num_partitions: int | None = None,
    filter_func: Callable[[tuple[Any, Any]], Any] | None = None,
) -> Stream:
    """Merge the values of each key over a sliding window.

    With an inverse function, each slide costs what enters and leaves the window, not what it
    holds. The inverse must be exact (integers and decimals are, floats are not).

    Args:
        func: associative, commutative; takes two values, gives one.
        inv_func: ``inv_func(func(a, b), b) == a``; None to reduce every window anew.
        window_duration, slide_duration: how far back, and how often.
        num_partitions: how many partitions the result has.
        filter_func: takes (key, value); only those for which it is true are kept. Without one,
            keys whose values have all left the window stay, with what is left of them.

    Example:
        ``pairs.reduce_by_key_and_window(add, sub, "30s", "1s", filter_func=lambda kv: kv[1])``

    Raises:
        DefinitionError: a duration is not a multiple of this stream's slide.
    """
    length, slide = _durations(self, window_duration, slide_duration)
    merge, parts = ship(func), check_count(num_partitions)
    keep = None if filter_func is None else ship(filter_func)
    reduced = lift(self, "reduce_by_key", merge, parts)
    if inv_func is None:
        result: Stream = Windowed([reduced], slide, length)
        result = lift(result, "reduce_by_key", merge, parts)
    elif keep is None:
        result = ReducedWindow([reduced], slide, length, merge, ship(inv_func), None, parts)
    else:
        result = _counted(reduced, slide, length, merge, ship(inv_func), parts)
    return result if keep is None else lift(result, "filter", keep)


def _counted(
    reduced: Stream,
    slide: Millis,
    length: Millis,
    func: Function,
    inv_func: Function,
    num_partitions: int | None,
) -> Stream:
    """Return a sliding reduction that also counts of how many batches' values each key's is made,
    and so knows which keys have left the window."""
    counted = lift(reduced, "map_values", builtin(with_one))
    add_both, take_both = builtin(on_both, func, 1), builtin(on_both, inv_func, -1)
    window = ReducedWindow(
        [counted], slide, length, add_both, take_both, builtin(is_there), num_partitions
    )
    return lift(window, "map_values", builtin(without_count))


@operator
def count_by_value_and_window(
    self: Stream,
    window_duration: Duration,
    slide_duration: Duration | None = None,
    num_partitions: int | None = None,
) -> Stream:
    """Return a stream of (record, how often it occurs in the window), counts above 0 only.

    Example:
        ``words.count_by_value_and_window("30s", "1s").top(10, key=lambda pair: pair[1])``

    Raises:
        DefinitionError: a duration is not a multiple of this stream's slide.
    """
    length, slide = _durations(self, window_duration, slide_duration)
    counts = lift(self, "value_counts", check_count(num_partitions))
    return ReducedWindow(
        [counts], slide, length, builtin(plus), builtin(minus), builtin(has_count), num_partitions
    )


@operator
def reduce_by_window(
    self: Stream,
    reduce_func: Callable[[Any, Any], Any],
    inv_reduce_func: Callable[[Any, Any], Any] | None,
    window_duration: Duration,
    slide_duration: Duration | None = None,
) -> Stream:
    """Merge all records of a sliding window into one; an empty window stays empty.

    Args:
        reduce_func: associative, commutative; takes two records, gives one.
        inv_reduce_func: takes off what ``reduce_func`` added, or None.
        window_duration, slide_duration: how far back, and how often.

    Raises:
        DefinitionError: a duration is not a multiple of this stream's slide.
    """
    keyed = lift(self.reduce(reduce_func), "key_by", builtin(no_key))
    length, slide = _durations(self, window_duration, slide_duration)
    merge = ship(reduce_func)
    reduced = lift(keyed, "reduce_by_key", merge, 1)
    if inv_reduce_func is None:
        merged: Stream = lift(Windowed([reduced], slide, length), "reduce_by_key", merge, 1)
    else:
        merged = _counted(reduced, slide, length, merge, ship(inv_reduce_func), 1)
    return lift(merged, "values")


@operator
def count_by_window(
    self: Stream, window_duration: Duration, slide_duration: Duration | None = None
) -> Stream:
    """Return a stream of one number a slide: how many records the window holds."""
    reduced: Stream = self.count().reduce_by_window(
        builtin(plus), builtin(minus), window_duration, slide_duration
    )
    return reduced


def _durations(stream: Stream, window: Duration, slide: Duration | None) -> tuple[Millis, Millis]:
    length = to_millis(window, "the window")
    every = slide_of(stream, slide, "the slide")
    _check_durations(length, every, stream.slide, "the")
    return length, every


def _check_durations(length: Millis, slide: Millis, of_parent: Millis, whose: str) -> None:
    check_multiple(length, of_parent, f"{whose} window")
    check_multiple(slide, of_parent, f"{whose} slide")


def plus(a: Any, b: Any) -> Any:
    return add(a, b)


def minus(a: Any, b: Any) -> Any:
    return sub(a, b)


def has_count(pair: tuple[Any, int]) -> bool:
    return pair[1] > 0


def no_key(row: Any) -> None:
    return None


def with_one(value: Any) -> tuple[Any, int]:
    return value, 1


def without_count(counted: tuple[Any, int]) -> Any:
    return counted[0]


def is_there(pair: tuple[Any, tuple[Any, int]]) -> bool:
    return pair[1][1] > 0


def on_both(
    function: Callable[[Any, Any], Any], sign: int, a: tuple[Any, int], b: tuple[Any, int]
) -> tuple[Any, int]:
    """Apply a function to the values of (value, count) pairs, and add or subtract the counts."""
    return function(a[0], b[0]), a[1] + sign * b[1]
