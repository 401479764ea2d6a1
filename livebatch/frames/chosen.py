"""A window whose aggregates are merged from states, or computed from its rows: what costs less."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from livebatch.closures import Function, builtin
from livebatch.frames import run
from livebatch.frames.choice import Choice
from livebatch.frames.exchange import merging
from livebatch.frames.frame import Frame, Sliding, Source, known
from livebatch.frames.plan import Plan
from livebatch.frames.sliding import StatesLevel, highest_level, nothing, rows_by_key
from livebatch.interval import Millis
from livebatch.rdd import RDD
from livebatch.rdd.operation import Tabled
from livebatch.schema import Columns
from livebatch.spans import covering
from livebatch.stream import DStream

WAYS = ("states", "window rows")


class ChosenWindow(Frame):
    """Aggregates of a window, in the cheaper of two ways.

    The parents are the highest level of states, and the rows divided by key; ``finish`` and
    ``recompute`` make the result of those.
    """

    exports_states = True

    def __init__(
        self,
        parents: Sequence[DStream[Any]],
        slide: Millis,
        label: str,
        columns: Columns,
        finish: Function,
        recompute: Function,
        window: Millis,
    ) -> None:
        super().__init__(parents, slide, label, columns, finish)
        self.params = (label, columns, finish, recompute, window)
        self.said = label
        self.length, self.finishing = window, (finish, recompute)
        self.lookback = window
        self.choice = Choice(window, slide)
        self.spent: dict[str, float] = {}
        for parent in parents:
            parent.persisted = True

    def compute(self, time: Millis) -> RDD[Any]:
        way, kept = self.choice.ways_at(time)
        self.label = f"from {WAYS[way]}: {self.said}"
        batches = covering(self.parents[way], StatesLevel, time - self.length, time)
        if not batches:
            return RDD(Tabled(self.finishing[way], gathers=True), [nothing(self.parents[way])])
        other = [1 - way] if len(kept) > 1 else []
        beside = [rdd for i in other for rdd in self._newest(self.parents[i], time)]
        if not beside:
            return RDD(Tabled(self.finishing[way], True), batches)
        function = builtin(run.without_last, len(beside), self.finishing[way])
        return RDD(Tabled(function, True), [*batches, *beside])

    def _newest(self, stream: DStream[Any], time: Millis) -> list[RDD[Any]]:
        """Return what has become of the batches since the last slide, to be kept."""
        while isinstance(stream, StatesLevel):
            stream = stream.parents[0]
        return covering(stream, StatesLevel, time - self.slide, time)

    def memory(self) -> dict[str, Any]:
        return {**super().memory(), "choice": vars(self.choice), "spent": self.spent}

    def recall(self, memory: dict[str, Any]) -> None:
        super().recall(memory)
        vars(self.choice).update(memory["choice"])
        self.spent = memory["spent"]

    def took(self, time: Millis, costs: Mapping[str, float], stages: Mapping[str, float]) -> None:
        """Take note of what a batch has cost: itself, and its share of its inputs."""
        self.spent.update(stages)
        if self.id in costs and (way := self.choice.way_of(time)) is not None:
            own, other = (self._inputs(self.parents[i]) for i in (way, 1 - way))
            self.choice.took(time, costs[self.id] + own, other)

    def _inputs(self, stream: DStream[Any]) -> float:
        """Return what a slide's share of the inputs of a way has cost, when it was last kept."""
        own = sum(self.spent.get(f"{stream.id}.{stage}", 0.0) for stage in ("map", "keep"))
        below = self._inputs(stream.parents[0]) if isinstance(stream, StatesLevel) else 0.0
        return own * self.slide / stream.slide + below

    def forget_before(self, time: Millis) -> list[RDD[Any]]:
        self.choice.forget_before(time - self.length)
        return super().forget_before(time)


def chosen_window(source: Source, states: Plan, rows: Plan, label: str, window: Sliding) -> Frame:
    """Return a window that is computed from states or from rows.

    Args:
        source: the rows of each batch.
        states, rows: the plans of both ways.
        label: how the user wrote it.
        window: how far it looks back, and how often.
    """
    parents = [highest_level(source, states, label, window), rows_by_key(source, rows, label)]
    finish = merging(source, states, states.finish)
    recompute = merging(source, rows, rows.finish)
    made = ChosenWindow(
        parents, window.slide, label, states.finished, finish, recompute, window.length
    )
    return known(made)
