"""Answers that are about right, from sketches that stay small and merge over windows."""

from __future__ import annotations

from typing import Any

from livebatch.arguments import check_count
from livebatch.closures import Function, builtin
from livebatch.interval import Duration
from livebatch.operators.partial import merged_window
from livebatch.operators.window import durations, to_one_pair
from livebatch.rdd.sketches import (
    count_of,
    distinct_rows,
    distinct_size,
    frequent_rows,
    frequent_size,
    merge_sketches,
    top_of,
)
from livebatch.stream import (
    DStream,
    lift,
    operator,
)

Stream = DStream[Any]


@operator
def count_approx_distinct(self: Stream, relative_sd: float = 0.05) -> Stream:
    """Return a stream of one number for each batch: about how many different records it has.

    Args:
        relative_sd: the relative standard deviation of the numbers, above 0.0007: they are off by
            more than twice as much one time in twenty. Half of it takes four times the memory
            (0.05: 512 bytes). Small numbers are nearly exact.

    Example:
        >>> from livebatch.testing import run
        >>> run(lambda words: words.count_approx_distinct(), ["abac", "", "bb"])
        [[3], [0], [1]]

    Raises:
        DefinitionError: no such deviation can be had.
    """
    size = distinct_size(relative_sd)
    return _finish(_sketches(self, builtin(distinct_rows, size)), builtin(count_of, size))


@operator
def count_approx_distinct_by_window(
    self: Stream,
    window_duration: Duration,
    slide_duration: Duration | None = None,
    relative_sd: float = 0.05,
) -> Stream:
    """Return a stream of one number a slide: about how many different records the window holds.

    Args:
        window_duration, slide_duration: how far back, and how often.
        relative_sd: as for `count_approx_distinct`, however long the window is.

    Example:
        ``visits.map(lambda visit: visit["user"]).count_approx_distinct_by_window("1h", "10s")``

    Raises:
        DefinitionError: a duration is not a multiple of this stream's slide, or no such deviation
            can be had.
    """
    size = distinct_size(relative_sd)
    sketches = _windows(self, builtin(distinct_rows, size), window_duration, slide_duration)
    return _finish(sketches, builtin(count_of, size))


@operator
def top_k(self: Stream, k: int, relative_error: float = 0.001) -> Stream:
    """Return a stream of the ``k`` most frequent records of each batch with about how often they
    occur: (record, count), most frequent first.

    No count is too low, and none is too high by more than ``relative_error`` of the number of all
    records. So no record is missing that occurs more often by as much than the last one given.
    As long as there are no more different records than 2.6 / ``relative_error``, counts are exact.

    Args:
        k: how many.
        relative_error: a share of all records, from 0.000001 up to 1; memory and time go by its
            inverse.

    Example:
        >>> from livebatch.testing import run
        >>> run(lambda words: words.top_k(2), ["abacab", "", "b"])
        [[('a', 3), ('b', 2)], [], [('b', 1)]]

    Raises:
        DefinitionError: ``k`` is not at least 1, or no such error can be had.
    """
    size = _size(k, relative_error)
    return _finish(_sketches(self, builtin(frequent_rows, size)), builtin(top_of, size, k))


@operator
def top_k_by_window(
    self: Stream,
    k: int,
    window_duration: Duration,
    slide_duration: Duration | None = None,
    relative_error: float = 0.001,
) -> Stream:
    """Return a stream of the ``k`` most frequent records of a sliding window with about how often
    they occur: (record, count), most frequent first.

    `count_by_value_and_window` and `top` tell it exactly, for the memory and time that all
    different records take; this takes the same however many there are.

    Args:
        k: how many.
        window_duration, slide_duration: how far back, and how often.
        relative_error: as for `top_k`, of the number of all records in the window.

    Example:
        ``searches.top_k_by_window(10, "10m", "1s")``

    Raises:
        DefinitionError: a duration is not a multiple of this stream's slide, ``k`` is not at least
            1, or no such error can be had.
    """
    size = _size(k, relative_error)
    sketches = _windows(self, builtin(frequent_rows, size), window_duration, slide_duration)
    return _finish(sketches, builtin(top_of, size, k))


def _size(k: int, relative_error: float) -> int:
    check_count(k, "k")
    return frequent_size(k, relative_error)


def _sketches(stream: Stream, step: Function) -> Stream:
    return to_one_pair(stream, step, builtin(merge_sketches))


def _windows(
    stream: Stream, step: Function, window_duration: Duration, slide_duration: Duration | None
) -> Stream:
    length, slide = durations(stream, window_duration, slide_duration)
    return merged_window(_sketches(stream, step), slide, length, builtin(merge_sketches), 1)


def _finish(pairs: Stream, step: Function) -> Stream:
    return lift(lift(pairs, "values"), "map_partitions", step)
