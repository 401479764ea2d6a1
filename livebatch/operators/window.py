"""Windows: operators that look back over several batches.

A window of length w at time t holds the batches of (t - w, t]. The first windows are partial.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import add, itemgetter
from typing import Any

from livebatch.arguments import check_count
from livebatch.closures import Function, builtin, ship
from livebatch.interval import Duration, Millis, to_millis
from livebatch.operators.partial import merged_window, shared
from livebatch.operators.windowed import (
    SlidWindow,
    Windowed,
    slide_counts,
    slide_present,
    slide_values,
)
from livebatch.rdd import functions as run
from livebatch.spans import check_durations
from livebatch.stream import (
    DStream,
    Lifted,
    lift,
    operator,
    slide_of,
)

Stream = DStream[Any]


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
    length, slide = durations(self, window_duration, slide_duration)
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

    With an inverse function, each slide calls the functions for what enters and leaves the window
    only. The inverse must be exact (integers and decimals are, floats are not). Without one, each
    slide merges a few partial results (some 3 × log2 of the number of batches at most), which
    windows over the same stream with the same function share.

    Args:
        func: associative, commutative; takes two values, gives one.
        inv_func: ``inv_func(func(a, b), b) == a``; None if there is no such function.
        window_duration, slide_duration: how far back, and how often.
        num_partitions: how many partitions the result has.
        filter_func: takes (key, value); only those for which it is true are kept. Without one,
            keys whose values have all left the window stay, with what is left of them.

    Example:
        ``pairs.reduce_by_key_and_window(add, sub, "30s", "1s", filter_func=lambda kv: kv[1])``

    Raises:
        DefinitionError: a duration is not a multiple of this stream's slide.
    """
    length, slide = durations(self, window_duration, slide_duration)
    merge, parts = ship(func), check_count(num_partitions)
    keep = None if filter_func is None else ship(filter_func)
    reduced = shared_lift(self, "reduce_by_key", merge, parts)
    if inv_func is None:
        result = merged_window(reduced, slide, length, merge, parts)
    elif keep is None:
        step = builtin(slide_values, merge, ship(inv_func))
        result = SlidWindow([reduced], slide, length, step, parts)
    else:
        result = _present(reduced, slide, length, merge, ship(inv_func), parts)
    return result if keep is None else lift(result, "filter", keep)


def _present(
    reduced: Stream,
    slide: Millis,
    length: Millis,
    func: Function,
    inv_func: Function,
    num_partitions: int | None,
) -> Stream:
    """Return a sliding reduction that knows which keys have left the window, and drops them."""
    step = builtin(slide_present, func, inv_func)
    window = SlidWindow([reduced], slide, length, step, num_partitions)
    return lift(window, "map_partitions", builtin(keys_and_values), True)


@operator
def group_by_key_and_window(
    self: Stream,
    window_duration: Duration,
    slide_duration: Duration | None = None,
    num_partitions: int | None = None,
) -> Stream:
    """Collect the values of each key in a sliding window into a list, oldest batch first.

    Each slide costs what the window holds, as its lists do; where something smaller than a list
    will do, `reduce_by_key_and_window` costs less.

    Example:
        ``pairs.group_by_key_and_window("30s", "10s").map_values(statistics.median)``

    Raises:
        DefinitionError: a duration is not a multiple of this stream's slide.
    """
    length, slide = durations(self, window_duration, slide_duration)
    parts = check_count(num_partitions)
    divided = shared_lift(self, "partition_by", parts)
    return lift(Windowed([divided], slide, length), "group_by_key", parts)


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
    length, slide = durations(self, window_duration, slide_duration)
    parts = check_count(num_partitions)
    counts = shared_lift(self, "value_counts", parts)
    return SlidWindow([counts], slide, length, builtin(slide_counts), parts)


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
    length, slide = durations(self, window_duration, slide_duration)
    merge = ship(reduce_func)
    reduced = to_one_pair(self, builtin(run.reduce_rows, merge), merge)
    if inv_reduce_func is None:
        merged = merged_window(reduced, slide, length, merge, 1)
    else:
        merged = _present(reduced, slide, length, merge, ship(inv_reduce_func), 1)
    return lift(merged, "values")


@operator
def count_by_window(
    self: Stream, window_duration: Duration, slide_duration: Duration | None = None
) -> Stream:
    """Return a stream of one number a slide: how many records the window holds."""
    length, slide = durations(self, window_duration, slide_duration)
    counts = to_one_pair(self, builtin(run.counted), builtin(plus))
    window = SlidWindow([counts], slide, length, builtin(slide_counts), 1)
    return lift(lift(window, "values"), "map_partitions", builtin(run.summed))


def to_one_pair(stream: Stream, step: Function, merge: Function) -> Stream:
    """Return a stream that has each batch reduced to one pair, whose key is None.

    Args:
        stream: what is reduced.
        step: takes the records of a partition, gives one or none.
        merge: takes two of those, gives one.
    """
    parts = shared_lift(stream, "map_partitions", step)
    return shared_lift(shared_lift(parts, "key_by", builtin(no_key)), "reduce_by_key", merge, 1)


def shared_lift(stream: Stream, method: str, *args: Any) -> Stream:
    """Lift an RDD method to a stream, once for all windows."""
    return shared(stream, Lifted, stream.slide, method, *args)


def durations(stream: Stream, window: Duration, slide: Duration | None) -> tuple[Millis, Millis]:
    """Return the length and the slide of a window over a stream, in milliseconds.

    Raises:
        DefinitionError: one is not a multiple of the stream's slide.
    """
    length = to_millis(window, "the window")
    every = slide_of(stream, slide, "the slide")
    check_durations(length, every, stream.slide, "the")
    return length, every


def plus(a: Any, b: Any) -> Any:
    return add(a, b)


def no_key(row: Any) -> None:
    return None


def keys_and_values(rows: run.Rows) -> run.Rows:
    return map(itemgetter(0, 1), rows)
