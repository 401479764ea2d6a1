"""What the scheduler is told, and what it says is to be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from livebatch.accumulator import Piece
from livebatch.block import BlockRef
from livebatch.engine.dag import Stage
from livebatch.engine.stagerun import StageFaults
from livebatch.events import BadRecords, StageCost
from livebatch.failure import Failure
from livebatch.tasks import Done, Failed, Lost, Task

# -- events ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class JobSubmitted:
    """A job: its stages, parents first, the last of which is its result.

    Attributes:
        urgency: jobs with a smaller one go first; ties in order of submission.
    """

    job: str
    stages: Sequence[Stage]
    urgency: tuple[int, ...] = ()
    strict: bool = False


@dataclass(frozen=True)
class JobCancelled:
    """Nobody wants a job's result any more."""

    job: str


@dataclass(frozen=True)
class SlotsChanged:
    """So many tasks can run at once, and so many copies of late ones beside them."""

    slots: int
    spares: int = 0


@dataclass(frozen=True)
class Elapsed:
    """The tasks that run have run for so many seconds."""

    seconds: Mapping[str, float]


Event: TypeAlias = JobSubmitted | JobCancelled | SlotsChanged | Elapsed | Done | Failed | Lost


# -- commands --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Launch:
    """Run a task."""

    task: Task


@dataclass(frozen=True)
class Kill:
    """Stop a task; its outcome is of no interest."""

    task: str


@dataclass(frozen=True)
class StageKept:
    """All blocks of an RDD that is to be kept have been written."""

    stage: Stage
    blocks: tuple[BlockRef, ...]


@dataclass(frozen=True)
class Release:
    """Blocks that no job needs any more."""

    blocks: tuple[BlockRef, ...]


@dataclass(frozen=True)
class JobBegun:
    """The first of a job's tasks begins, or another job has begun it before."""

    job: str


@dataclass(frozen=True)
class JobDone:
    """A job's result is there: an outcome for each split of its last stage.

    Attributes:
        seconds: how long its tasks ran, added up.
        read: how many rows its first stages read.
        costs: what the stages cost, by the streams that they computed.
        faults: what each stage left out, if any did.
        stages: what all stages cost, in seconds, by their names without a time.
    """

    job: str
    outcomes: tuple[Done, ...]
    seconds: float
    bad: tuple[BadRecords, ...]
    printed: str = ""
    read: int = 0
    costs: Mapping[str, StageCost] = field(default_factory=dict)
    faults: tuple[StageFaults, ...] = ()
    stages: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class JobGivenUp:
    """A job failed. ``lost``: it missed this block, and can be planned again without it."""

    job: str
    failure: Failure
    lost: str | None = None
    printed: str = ""


@dataclass(frozen=True)
class StageAdded:
    """The tasks of a stage, which is done, have added to accumulators."""

    stage: Stage
    added: tuple[Mapping[str, Piece], ...]


Command: TypeAlias = (
    Launch | Kill | StageKept | StageAdded | Release | JobBegun | JobDone | JobGivenUp
)
