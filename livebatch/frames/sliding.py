"""Sliding windows over frames: all their rows, or states that are merged bit by bit.

States of single batches are level 0. Each batch of a level above merges two of the level below, at
times that are multiples of its slide since the zero time. So any window is covered by at most two
batches of each level, always the same ones, merged in order of time.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from typing import Any

from livebatch.closures import Function, builtin
from livebatch.frames import counted, run
from livebatch.frames.exchange import Exchange, merging, states_of
from livebatch.frames.frame import Frame, Sliding, Source, known, method
from livebatch.frames.plan import Plan
from livebatch.interval import Duration, Millis, format_millis, to_millis
from livebatch.rdd import RDD
from livebatch.rdd.operation import Stored, Tabled, Unioned
from livebatch.schema import Columns
from livebatch.spans import batches_of, check_durations, covering
from livebatch.stream import DStream, slide_of

Stream = DStream[Any]


class RowsWindow(Frame):
    """The rows of the last ``window`` milliseconds, every ``slide`` milliseconds."""

    def __init__(
        self, parents: Sequence[Stream], slide: Millis, label: str, columns: Columns, window: Millis
    ) -> None:
        super().__init__(parents, slide, label, columns, builtin(run.whole, columns))
        self.params = (label, columns, window)
        self.lookback = window

    def started(self, zero: Millis, start: Millis) -> None:
        super().started(zero, start)
        # Not before: what is made of a window often does without its rows.
        self.parents[0].persisted = True

    def check_parent(self, slide: Millis, name: str) -> None:
        check_durations(self.lookback, self.slide, slide, f"{name} is used by a stream whose")

    def compute(self, time: Millis) -> RDD[Any]:
        batches = batches_of(self.parents[0], time - self.lookback, time)
        return RDD(Unioned(), batches) if batches else nothing(self.parents[0])


class StatesLevel(DStream[Any]):
    """The states of the parent's last batches, merged, as often as those are new."""

    exports_states = True
    reaches_back = True

    def __init__(
        self, parents: Sequence[Stream], slide: Millis, label: str, merge: Function
    ) -> None:
        super().__init__(parents, slide, label, merge)
        self.label, self.merge = label, merge
        self.lookback = slide - parents[0].slide
        parents[0].persisted = True

    def compute(self, time: Millis) -> RDD[Any] | None:
        batches = batches_of(self.parents[0], time - self.slide, time)
        if len(batches) < 2:
            return batches[0] if batches else None
        return RDD(Tabled(self.merge, True), batches)


class StatesWindow(Frame):
    """What the states of the last ``window`` milliseconds finish as, merged from the levels that
    the parent is the highest of."""

    exports_states = True

    def __init__(
        self,
        parents: Sequence[Stream],
        slide: Millis,
        label: str,
        columns: Columns,
        finish: Function,
        window: Millis,
    ) -> None:
        super().__init__(parents, slide, label, columns, finish)
        self.params = (label, columns, finish, window)
        self.length = window
        # A batch of a level is needed until a window begins after it does.
        self.lookback = window - parents[0].slide
        parents[0].persisted = True

    def compute(self, time: Millis) -> RDD[Any]:
        parent = self.parents[0]
        batches = covering(parent, StatesLevel, time - self.length, time)
        if not batches:
            return RDD(Tabled(self.function, gathers=True), [nothing(parent)])
        return RDD(Tabled(self.function, True), batches)


class SlidStates(DStream[Any]):
    """The states of the last ``window`` milliseconds: those from a slide before, with what has
    entered the window added and what has left it taken off."""

    cuts_lineage = True
    exports_states = True

    def __init__(
        self,
        parents: Sequence[Stream],
        slide: Millis,
        label: str,
        window: Millis,
        merge: Function,
        step: str,
    ) -> None:
        super().__init__(parents, slide, label, window, merge, step)
        self.label, self.length, self.merge, self.step = label, window, merge, step
        self.lookback = window + slide
        parents[0].persisted = True

    def compute(self, time: Millis) -> RDD[Any]:
        parent, earlier, begin = self.parents[0], time - self.slide, time - self.length
        before = self.generated.get(earlier)
        if before is None:
            return self._merged(batches_of(parent, begin, time))
        left = batches_of(parent, earlier - self.length, min(earlier, begin))
        entered = batches_of(parent, max(earlier, begin), time)
        step = builtin(counted.slid, self.step, len(left))
        return RDD(Tabled(step, True), [before, *left, *entered])

    def _merged(self, batches: list[RDD[Any]]) -> RDD[Any]:
        if batches:
            return RDD(Tabled(self.merge, True), batches)
        level = self.parents[0]
        assert isinstance(level, Exchange)
        return level.divided(nothing(level.parents[0]))


def nothing(stream: Stream) -> RDD[Any]:
    """Return a batch without rows."""
    return RDD(Stored(()), runner=stream.runner)


def states_window(level: Stream, source: Source, plan: Plan, label: str, window: Sliding) -> Frame:
    """Return the window over states, or over rows that take their place."""
    finish = merging(source, plan, plan.finish)
    return known(StatesWindow([level], window.slide, label, plan.finished, finish, window.length))


def slid_window(source: Source, plan: Plan, label: str, window: Sliding) -> Frame:
    """Return the window of counts, of which what leaves it is taken off."""
    plan = counted.hashed(plan)
    level = states_of(source, plan, f"counts of {label}", (), finish=False, in_order=True)
    slide, merge = window.slide, builtin(counted.in_order, merging(source, plan, plan.merge))
    counts = SlidStates([level], slide, f"slid {label}", window.length, merge, plan.slide)
    finish = merging(source, plan, plan.slid)
    if plan.leading is not None:
        finish = builtin(counted.leading, *plan.leading, finish)
    return known(Frame([counts], slide, label, plan.finished, finish))


def rows_by_key(source: Source, plan: Plan, label: str) -> Stream:
    """Return the rows of each batch, divided by key."""
    return states_of(source, plan, f"rows of {label}", (), finish=False)


def highest_level(source: Source, plan: Plan, label: str, window: Sliding) -> Stream:
    """Return the highest level of states that is of use to a window; it knows those below."""
    merge = merging(source, plan, plan.merge)
    level: Stream = states_of(source, plan, f"states of {label}", (), finish=False)
    pane = gcd(window.length, window.slide)
    if pane > level.slide:
        level = StatesLevel([level], pane, f"states of {format_millis(pane)}", merge)
    while 4 * level.slide <= window.length + pane:  # then one of twice the slide always fits in
        twice = 2 * level.slide
        level = StatesLevel([level], twice, f"states of {format_millis(twice)}", merge)
    return level


@method
def window(self: Frame, window_duration: Duration, slide_duration: Duration | None = None) -> Frame:
    """Return a frame whose batches hold the rows of the last ``window_duration``.

    Aggregates over it are computed from partial states wherever DuckDB can export those; `explain`
    says how.

    Args:
        window_duration: how far back, such as ``"30s"``.
        slide_duration: how often; every batch if not told.

    Example:
        ``requests.window("30s", "1s").group_by("page").agg(p99="approx_quantile(ms, 0.99)")``

    Raises:
        DefinitionError: a duration is not a multiple of this frame's slide.
    """
    length = to_millis(window_duration, "the window")
    slide = slide_of(self, slide_duration, "the slide")
    check_durations(length, slide, self.slide, "the")
    label = f"window({format_millis(length)}, {format_millis(slide)})"
    made = known(RowsWindow([self], slide, label, self.columns, length))
    made.sliding = Sliding(self, length, slide)
    return made
