"""What a stream has in a span of time, for whatever looks back over several batches."""

from __future__ import annotations

from typing import Any

from livebatch.interval import Interval, Millis, check_multiple
from livebatch.rdd import RDD
from livebatch.stream import DStream

Stream = DStream[Any]


def batches_of(stream: Stream, start: Millis, end: Millis) -> list[RDD[Any]]:
    """Return the batches of ``(start, end]`` that a stream has."""
    times = Interval(start, end).ticks(stream.zero, stream.slide)
    return [rdd for time in times if (rdd := stream.rdd_at(time)) is not None]


def covering(stream: Stream, levels: type[Stream], start: Millis, end: Millis) -> list[RDD[Any]]:
    """Return what covers ``(start, end]``, in order of time: as many batches as fit of a level,
    and before and after them batches of those below.

    Args:
        stream: the highest level.
        levels: the kind of stream that levels are; each batch of one stands for several of its
            parent's, and the lowest level's parent is of another kind.
        start, end: batch times.
    """
    if not isinstance(stream, levels):
        return batches_of(stream, start, end)
    below, zero, slide = stream.parents[0], stream.zero, stream.slide
    first = max(start, zero) + -(max(start, zero) - zero) % slide
    last = end - (end - zero) % slide
    if first >= last:
        return covering(below, levels, start, end)
    middle = batches_of(stream, first, last)
    return [*covering(below, levels, start, first), *middle, *covering(below, levels, last, end)]


def check_durations(length: Millis, slide: Millis, of_parent: Millis, whose: str) -> None:
    """Check that a window and a slide are multiples of the parent's slide.

    Raises:
        DefinitionError: one is not.
    """
    check_multiple(length, of_parent, f"{whose} window")
    check_multiple(slide, of_parent, f"{whose} slide")
