"""How far batches are: what is still to be made of each. The log and listeners are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from livebatch.clock import Clock
from livebatch.engine.log import Entry, NotSettled, Settled
from livebatch.engine.progress import Progress
from livebatch.events import (
    BatchCompleted,
    BatchFailed,
    BatchSubmitted,
    Event,
    OutputBegun,
    StageCost,
)
from livebatch.failure import Failure
from livebatch.graph import Job
from livebatch.interval import Millis
from livebatch.rdd import RDD, blocks_of
from livebatch.rdd.operation import Stored


class Batches:
    """The batches that have begun and are not done.

    Args:
        note: logs an entry.
        publish: told of every event.
    """

    def __init__(
        self, clock: Clock, note: Callable[[Entry], object], publish: Callable[[Event], None]
    ) -> None:
        self._clock, self._note, self._publish = clock, note, publish
        self._open: dict[Millis, int] = {}
        self.failed_in: set[Millis] = set()
        self._inputs: dict[Millis, dict[str, int | None]] = {}
        self._costs: dict[Millis, dict[str, StageCost]] = {}

    def begin(self, time: Millis, jobs: int, inputs: Mapping[str, RDD[Any]]) -> None:
        """Take note of a batch and of how much there is to do for it."""
        self._open[time] = jobs + 1
        rows = {id: _rows_in(rdd) for id, rdd in inputs.items()}
        self._inputs[time], self._costs[time] = rows, {}
        known = {id: count for id, count in rows.items() if count is not None}
        self._publish(BatchSubmitted(time, self._clock.now(), tuple(rows), known))

    def __contains__(self, time: object) -> bool:
        """Whether a batch is being made."""
        return time in self._open

    def work_begins(self, progress: Progress, job: Job) -> Millis:
        """Take note that work on an output has begun, if it had not; return when."""
        if progress.begun is None:
            output = job.output
            name = output.name or (output.function.name if output.function else "")
            self._publish(OutputBegun(output.id, name, job.time, progress.begin(self._clock)))
        return progress.begin(self._clock)

    def made(self, job: Job, costs: Mapping[str, StageCost]) -> None:
        """Take note of what making an output has cost."""
        self._costs[job.time].update(costs)

    def failed(self, job: Job, failure: Failure, printed: str) -> None:
        """Take note that an output could not be made."""
        self.failed_in.add(job.time)
        reason = f"{failure.kind}: {failure.message}"
        self._note(NotSettled(job.time, job.output.id, reason))
        name = job.output.name or job.output.owner or None
        now = self._clock.now()
        self._publish(BatchFailed(job.output.id, name, job.time, failure, printed, now))

    def close(self, time: Millis) -> None:
        """One thing less to do for a batch; after the last it has settled."""
        self._open[time] -= 1
        if self._open[time]:
            return
        del self._open[time]
        if time in self.failed_in:
            self.failed_in.discard(time)
        else:
            self._note(Settled(time))
        rows = _counted(self._inputs.pop(time), self._costs.pop(time))
        self._publish(BatchCompleted(time, self._clock.now(), rows))


def _rows_in(rdd: RDD[Any]) -> int | None:
    """Return how many rows of an input there are, where that is known before they are read."""
    if not isinstance(rdd.operation, Stored):
        return None
    return sum(block.rows for block in blocks_of(rdd))


def _counted(rows: Mapping[str, int | None], costs: Mapping[str, StageCost]) -> dict[str, int]:
    """Return how many records of each input there were. What was read but by the stage of that
    input alone is known from what that stage cost."""
    stages = [costs[id].stage for id in rows if id in costs]

    def count(id: str, known: int | None) -> int:
        if known is not None:
            return known
        alone = id in costs and stages.count(costs[id].stage) == 1
        return costs[id].rows if alone else 0

    return {id: count(id, known) for id, known in rows.items()}
