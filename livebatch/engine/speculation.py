"""Which tasks are late, and are run a second time on another worker.

How long a task should take is known from the finished tasks of its stage, where most are finished,
and from what the same partition of the same stream has taken in the batches before, where there
were some. Of a stage with two tasks the first alone would say little, and of one with a single
task nothing: micro-batches repeat themselves, and their history tells even which partition is
always the slowest. Where both are known, a task must be late by both.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from statistics import median
from typing import NamedTuple

from livebatch.engine.costs import known_as
from livebatch.engine.stagerun import StageRun, Try
from livebatch.tasks import Answer, Done

MULTIPLIER = 3.0
"""A late task takes over so many times as long as it should (``spark.speculation.multiplier``)."""

QUANTILE = 0.9
"""The part of a stage's tasks that must be finished to tell (``spark.speculation.quantile``)."""

LEAST = 0.25
"""Seconds that any task may take (``spark.speculation.minTaskRuntime``)."""

BATCHES, ENOUGH = 8, 3
"""So many batches are remembered of each partition of each stage, and so many are enough."""

PARTITIONS = 10_000
"""Of so many partitions anything is remembered: those that ran last."""


class Taken(NamedTuple):
    """What a task has taken, and how many rows it had read."""

    rows: int
    seconds: float


class Speculation:
    """Knows what tasks have taken and judges which take too long."""

    def __init__(self) -> None:
        self._past: OrderedDict[tuple[str, int], deque[Taken]] = OrderedDict()

    def finished(self, state: StageRun, index: int, done: Done) -> None:
        """Take note of what a task has taken."""
        if (key := _key(state, index)) is None:
            return
        past = self._past.setdefault(key, deque(maxlen=BATCHES))
        past.append(Taken(done.rows, done.seconds))
        self._past.move_to_end(key)
        if len(self._past) > PARTITIONS:
            self._past.popitem(last=False)

    def is_late(self, state: StageRun, attempt: Try, seconds: float) -> bool:
        """Return whether a task that has run for so many seconds has run for too long."""
        known = [*_of_stage(state), *self._of_past(state, attempt)]
        return bool(known) and seconds > max(LEAST, MULTIPLIER * max(known))

    def _of_past(self, state: StageRun, attempt: Try) -> list[float]:
        key = _key(state, attempt.index)
        past = self._past.get(key, ()) if key else ()
        if len(past) < ENOUGH:
            return []
        rows = median(taken.rows for taken in past)
        larger = max(1.0, attempt.rows / rows) if rows else 1.0
        return [median(taken.seconds for taken in past) * larger]


def _of_stage(state: StageRun) -> list[float]:
    if len(state.done) < max(1, int(QUANTILE * len(state.stage.splits))):
        return []
    return [median(done.seconds for done in state.done.values())]


def _key(state: StageRun, index: int) -> tuple[str, int] | None:
    """Return what a task is known by in all batches, if it comes again at all."""
    stage = state.stage
    if "@" not in stage.id or isinstance(stage.purpose, Answer):
        return None
    return known_as(stage), stage.splits[index]
