"""How a stage gets on."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from livebatch.engine.costs import cost_of
from livebatch.engine.dag import Stage
from livebatch.events import BadRecords, StageCost
from livebatch.failure import Failure
from livebatch.tasks import Done, Task

MAX_BAD = 0.01
"""A stage fails if functions raise on more than this share of its records."""


@dataclass(frozen=True)
class StageFaults:
    """What a stage left out because functions raised on it.

    Attributes:
        id: of the stage.
        streams: ids of the streams that it computed.
        bad: what each of its tasks left out.
    """

    id: str
    streams: frozenset[str]
    bad: tuple[BadRecords, ...]


@dataclass(frozen=True)
class Try:
    """A task that runs, for the split with an index."""

    index: int
    task: Task

    @property
    def rows(self) -> int:
        """How many rows its blocks hold, about."""
        return sum(block.rows for step in self.task.steps for block in step.blocks)


@dataclass
class StageRun:
    """A stage that is under way, or done and still needed.

    Attributes:
        waits: for these stages.
        pending: the indices of splits for which no task runs and none is done.
        running: the tasks that run; for one split, two at most.
        lost: how many tasks have been lost, by the index of their split.
        short: how many of them have lacked memory.
    """

    stage: Stage
    waits: set[str]
    pending: deque[int]
    done: dict[int, Done] = field(default_factory=dict)
    running: dict[str, Try] = field(default_factory=dict)
    lost: Counter[int] = field(default_factory=Counter)
    short: Counter[int] = field(default_factory=Counter)
    streams: frozenset[str] = frozenset()
    number: int = 0

    def at(self, index: int) -> list[str]:
        """Return the tasks that run for a split."""
        return [task for task, attempt in self.running.items() if attempt.index == index]

    def wrote(self, block: str | None) -> bool:
        """Return whether a task of this stage has written a block."""
        written = (done.block.id for done in self.done.values() if done.block is not None)
        return block is not None and block in written

    @property
    def complete(self) -> bool:
        return len(self.done) == len(self.stage.splits)

    @property
    def ready(self) -> bool:
        """Whether there are tasks that can run."""
        return bool(self.pending) and not self.waits

    @property
    def cost(self) -> StageCost:
        return cost_of(self.stage, self.done.values())

    @property
    def faults(self) -> StageFaults:
        bad = tuple(done.bad for done in self.done.values() if done.bad)
        return StageFaults(self.stage.id, self.streams, bad)

    def too_many_bad(self) -> Failure | None:
        """Return the first failure of a stage if functions raised on over 1 % of its records (a
        single one among others is never too many)."""
        found = [
            done.bad
            for done in self.done.values()
            if done.bad and done.bad.count > done.bad.misfits
        ]
        count = sum(bad.count - bad.misfits for bad in found)
        seen = sum(max(d.rows, d.bad.seen if d.bad else 0) for d in self.done.values())
        if count <= max(MAX_BAD * seen, 1 if seen > 1 else 0):
            return None
        return found[0].samples[0]
