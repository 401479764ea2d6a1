"""What the engine tells whoever listens: records of settled and failed batches, of sources, of how
it is doing."""

from __future__ import annotations

from typing import ClassVar, TypeAlias

import msgspec

from livebatch.block import BlockRef
from livebatch.failure import Failure
from livebatch.interval import Millis


class Message(msgspec.Struct, frozen=True, tag=True):
    """Anything that is sent to another process. ``once``: doing it twice would be wrong."""

    once: ClassVar[bool] = False


class BadRecords(msgspec.Struct, frozen=True):
    """Records that were left out because a function raised on them.

    Attributes:
        count: how many.
        seen: of how many.
        samples: what was raised, for the first ones.
        misfits: so many of them did not have a frame's columns, for which no batch fails.
    """

    count: int
    seen: int
    samples: tuple[Failure, ...]
    misfits: int = 0


class SourceState(Message, frozen=True):
    """How a source is doing: ``connecting``, ``receiving``, ``waiting`` for room, or ``stopped``,
    and why; and how many records have been ``dropped`` since this was last said."""

    stream: str
    state: str
    detail: str = ""
    dropped: int = 0


class InputStatus(msgspec.Struct, frozen=True):
    """How sources are doing, all together.

    Attributes:
        state: of each, and why.
        limit: records a second that pull sources may give, as batches fall behind; None: all.
        waiting: bytes that push sources have given and no batch has worked off yet.
        buffer: how many that may be.
        dropped: records that have been dropped for want of room.
        on_overflow: what happens when the buffers are full; empty if there are none.
    """

    state: str = ""
    limit: float | None = None
    waiting: int = 0
    buffer: int = 0
    dropped: int = 0
    on_overflow: str = ""


class Batch(msgspec.Struct, frozen=True):
    """A settled batch of one output.

    Attributes:
        time: its batch time, milliseconds since 1970 UTC.
        rdd: the id of its RDD.
        blocks: where its rows are.
        rows: how many there are.
        delay: milliseconds from the batch time to when it settled.
        began: milliseconds from the batch time to when its first task began.
        busy: milliseconds its tasks ran, added up.
        read: records that its first tasks read, from sources and from stored batches; 0 where a
            source does not tell.
        bad: records left out because a function raised on them.
        printed: what user code printed and logged in the workers.
    """

    output: str
    name: str | None
    time: Millis
    rdd: str
    blocks: tuple[BlockRef, ...] = ()
    rows: int = 0
    delay: Millis = 0
    busy: Millis = 0
    bad: BadRecords | None = None
    printed: str = ""
    began: Millis = 0
    read: int = 0


class Batches(Message, frozen=True):
    """Settled batches, oldest first."""

    batches: tuple[Batch, ...]


class BatchSettled(Message, frozen=True):
    """A batch of an output settled."""

    carries_code: ClassVar[bool] = False
    batch: Batch


class BatchFailed(Message, frozen=True):
    """A batch of an output failed.

    Attributes:
        name: of the stream whose cell defined the output.
        at: when it failed.
    """

    output: str
    name: str | None
    time: Millis
    failure: Failure
    printed: str = ""
    at: Millis = 0


class StreamingStarted(Message, frozen=True):
    """The engine has begun with batches, ``at`` that time."""

    at: Millis


class Restarted(Message, frozen=True):
    """The engine died and was started again; batches may have settled unheard."""


class BatchSubmitted(Message, frozen=True):
    """A batch has begun.

    Attributes:
        at: when it did.
        inputs: the ids of the streams that it has input of.
        rows: how much, where that is known.
    """

    time: Millis
    at: Millis
    inputs: tuple[str, ...]
    rows: dict[str, int]


class OutputBegun(Message, frozen=True):
    """Work on an output of a batch has begun. ``name``: of its stream or its function."""

    output: str
    name: str
    time: Millis
    at: Millis


class BatchCompleted(Message, frozen=True):
    """All outputs of a batch have been made, or have failed.

    Attributes:
        at: when the last was.
        rows: how many records of each input stream there were; 0 where that is not known.
    """

    time: Millis
    at: Millis
    rows: dict[str, int]


class SourceChanged(Message, frozen=True):
    """A source's state changed."""

    state: SourceState


class StreamRemoved(Message, frozen=True):
    """A named stream was stopped or replaced."""

    name: str


class StreamPaused(Message, frozen=True):
    """A named stream was paused, or goes on."""

    name: str
    paused: bool


class StreamStatus(msgspec.Struct, frozen=True):
    """How one named stream is doing.

    Attributes:
        slide: how often it has a batch.
        batches: how many have settled.
        rows: in the newest batch.
        rate: rows a second, over the last few seconds.
        last: the time of the newest batch.
        delay: milliseconds from its batch time to when it settled.
        began: milliseconds from its batch time to when its first task began.
        queued: how many batches are not done yet.
        bad: records left out so far.
        failed: how many batches have failed.
        error: why the newest batch failed, if it did.
        input: how the sources are doing that it is computed from, up to other named streams.
        retained: how many batches are kept.
        retain: how long they are.
        first: the time of the oldest batch kept.
        nbytes: what those kept take, in memory or, before compression, on disk.
        spilled: how much of that is on disk.
        keys, state: the number of keys and the bytes of the states it is computed by; None: it
            is computed by none.
        paused: the paused streams that it has no batches for want of, itself among them if it
            is paused.
        notes: what the client that defined it has noted.
    """

    name: str
    slide: Millis
    batches: int
    rows: int
    last: Millis | None
    delay: Millis
    bad: int
    error: str | None
    input: InputStatus = InputStatus()
    retained: int = 0
    retain: Millis = 0
    first: Millis | None = None
    nbytes: int = 0
    spilled: int = 0
    rate: float = 0.0
    began: Millis = 0
    queued: int = 0
    failed: int = 0
    keys: int | None = None
    state: int | None = None
    paused: tuple[str, ...] = ()
    notes: dict[str, str] = {}


class StageCost(msgspec.Struct, frozen=True):
    """What the tasks of a stage cost in the newest batch.

    Attributes:
        stage: what it is known by, the same in every batch.
        tasks: how many there were.
        rows: how many rows they read from blocks, about.
        seconds: how long they ran, added up.
    """

    stage: str
    tasks: int
    rows: int
    seconds: float


class StreamNode(msgspec.Struct, frozen=True):
    """One stream of a graph, as people see it.

    Attributes:
        label: what it does to its parents, such as ``map(str.upper)``.
        name: what it is called, if it has a name.
        parents: ids of the streams it is computed from.
        slide: how often it has a batch.
        paused: whether it is paused.
        time, rows: of its newest batch that is kept, and how many rows that has; None: its
            batches pass through and are not kept.
        cost: of the stage that computed its newest batch, where that is known.
    """

    id: str
    label: str
    name: str | None
    parents: tuple[str, ...]
    slide: Millis
    paused: bool = False
    time: Millis | None = None
    rows: int | None = None
    cost: StageCost | None = None


class Explained(Message, frozen=True):
    """How a stream is computed: what it comes from, parents first, and last the stream itself."""

    nodes: tuple[StreamNode, ...]


class Recovery(msgspec.Struct, frozen=True):
    """How an engine has gone on from a checkpoint.

    Attributes:
        at: when it did.
        again: how many batches were computed again, or for the first time.
        missed: how many batches' time had passed while it was down.
        skipped: whether those were left out, as was asked for.
    """

    at: Millis
    again: int
    missed: int
    skipped: bool = False


class CheckpointStatus(msgspec.Struct, frozen=True):
    """How an engine's checkpoints are doing.

    Attributes:
        folder: where they are.
        taken: the time of the batch after which the newest was taken.
        trouble: why none can be written, in words; else empty.
        recovery: how it went on from one, if it did.
    """

    folder: str
    taken: Millis | None
    trouble: str = ""
    recovery: Recovery | None = None


class EngineStatus(Message, frozen=True):
    """How the engine is doing.

    Attributes:
        batch: the batch interval.
        running: whether it makes batches.
        now: its clock.
        workers: their process ids.
        stored: bytes of blocks in memory.
        pending: how many jobs are under way.
        worked: seconds that each worker has worked.
        trouble: what keeps batches from beginning, or workers from starting, in words; else empty.
        checkpoints: if it keeps any.
    """

    batch: Millis
    running: bool
    now: Millis
    workers: tuple[int, ...]
    streams: tuple[StreamStatus, ...]
    stored: int
    pending: int
    pid: int
    name: str = ""
    worked: tuple[float, ...] = ()
    trouble: str = ""
    checkpoints: CheckpointStatus | None = None


class TaskRun(msgspec.Struct, frozen=True):
    """A task, and where and when it ran.

    Attributes:
        worker: the process id.
        stream: the named stream whose batch it is a part of; empty: none, but a job's.
        label: what its stage computes.
        begun: milliseconds since 1970 UTC.
        seconds: how long it ran; None: it still does.
    """

    worker: int
    stream: str
    label: str
    begun: float
    seconds: float | None


class TaskRuns(Message, frozen=True):
    """Tasks that ran lately, and those that run.

    Attributes:
        count: to be told when those are asked for that end after these.
    """

    count: int
    runs: tuple[TaskRun, ...]


Event: TypeAlias = (
    BatchSettled
    | Restarted
    | BatchFailed
    | SourceChanged
    | StreamRemoved
    | StreamPaused
    | StreamingStarted
    | BatchSubmitted
    | OutputBegun
    | BatchCompleted
)
