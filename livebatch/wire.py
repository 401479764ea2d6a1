"""Messages between processes, as typed records; `livebatch.framing` makes frames of them."""

from __future__ import annotations

from typing import Any, ClassVar, TypeAlias

import msgspec

from livebatch import errors
from livebatch.block import BlockRef
from livebatch.closures import Function
from livebatch.errors import EngineError, JobFailed, LivebatchError
from livebatch.failure import Failure, render
from livebatch.graph import NodeRecord, Output
from livebatch.interval import Millis
from livebatch.rdd import Lineage
from livebatch.rdd.operation import AnyOperation, Shuffled


class Message(msgspec.Struct, frozen=True, tag=True):
    """Anything that is sent to another process."""


class BadRecords(msgspec.Struct, frozen=True):
    """Records that were left out because a function raised on them.

    Attributes:
        count: how many.
        seen: of how many.
        samples: what was raised, for the first ones.
    """

    count: int
    seen: int
    samples: tuple[Failure, ...]


# -- tasks -----------------------------------------------------------------------------------


class Step(msgspec.Struct, frozen=True, array_like=True):
    """One node of a task: rows of blocks, or an operation on the rows of earlier steps."""

    operation: AnyOperation | None
    split: int
    inputs: tuple[int, ...] = ()
    blocks: tuple[BlockRef, ...] = ()


class Divide(msgspec.Struct, frozen=True, tag=True):
    """Write the rows for the partitions of a shuffle."""

    shuffle: Shuffled


class Keep(msgspec.Struct, frozen=True, tag=True):
    """Write the rows as a block."""


class Answer(msgspec.Struct, frozen=True, tag=True):
    """Apply a function to the rows and return its result."""

    function: Function


Purpose: TypeAlias = Divide | Keep | Answer


class Task(Message, frozen=True):
    """One partition's worth of work.

    Attributes:
        id: unique, also over attempts; the block it writes has the same.
        steps: what it computes, in order; the last is the result.
        purpose: what becomes of the rows.
        strict: fail at the first record that a function raises on.
    """

    id: str
    steps: tuple[Step, ...]
    purpose: Purpose
    strict: bool = False


class Done(Message, frozen=True):
    """A task was carried out.

    Attributes:
        block: what it wrote.
        answer: the pickled result of its function.
        bad: records that were left out.
        rows: how many rows it read from blocks, about.
        seconds: how long it ran.
        output: what user code printed and logged meanwhile.
    """

    carries_code: ClassVar[bool] = False
    task: str
    block: BlockRef | None = None
    answer: bytes | None = None
    bad: BadRecords | None = None
    rows: int = 0
    seconds: float = 0.0
    output: str = ""


class Failed(Message, frozen=True):
    """A task raised. ``lost`` is the id of the block it missed, if that was it."""

    task: str
    failure: Failure
    lost: str | None = None
    output: str = ""


class Lost(Message, frozen=True):
    """The worker that ran a task is gone."""

    task: str
    reason: str = "its worker died"


Outcome: TypeAlias = Done | Failed | Lost


# -- the driver process ----------------------------------------------------------------------


class Call(Message, frozen=True):
    """Call a function on RDDs. ``wants_rdd``: it is a transform, and gives one back."""

    id: str
    function: Function
    time: Millis
    rdds: tuple[Lineage, ...]
    wants_rdd: bool


class Returned(Message, frozen=True):
    """A call returned."""

    call: str
    rdd: Lineage | None = None


class Raised(Message, frozen=True):
    """A call raised, or its process died."""

    call: str
    failure: Failure


CallOutcome: TypeAlias = Returned | Raised


# -- sources ---------------------------------------------------------------------------------


class Receive(Message, frozen=True):
    """Run a push source: what a receiver process is told when it says hello."""

    stream: str
    source: str
    options: dict[str, Any]
    block_interval: Millis


class Received(Message, frozen=True):
    """A receiver stored a block of records."""

    carries_code: ClassVar[bool] = False
    stream: str
    block: BlockRef


class SourceState(Message, frozen=True):
    """How a source is doing: ``connecting``, ``receiving`` or ``stopped``, and why."""

    stream: str
    state: str
    detail: str = ""


# -- requests of clients and of the driver, and their replies --------------------------------


class Hello(Message, frozen=True):
    """A process introduces itself: its role (worker, driver, receiver, client) and pid."""

    role: str
    name: str
    pid: int


class Welcome(Message, frozen=True):
    """The engine's answer to a client's or a driver's `Hello`."""

    batch: Millis
    parallelism: int
    shared_memory: str
    events: str
    version: str


class Define(Message, frozen=True):
    """Add streams and outputs from the next batch on."""

    nodes: tuple[NodeRecord, ...]
    outputs: tuple[Output, ...]


class Remove(Message, frozen=True):
    """Stop a named stream."""

    name: str


class Discard(Message, frozen=True):
    """Remove an output."""

    output: str


class Start(Message, frozen=True):
    """Begin with the batches."""


class Stop(Message, frozen=True):
    """Stop the engine; ``graceful``: after all that was received has been processed."""

    graceful: bool = False


class Resize(Message, frozen=True):
    """Change the number of workers."""

    workers: int


class RunJob(Message, frozen=True):
    """Apply an action to partitions of an RDD (none named: all)."""

    id: str
    lineage: Lineage
    action: Function
    splits: tuple[int, ...] | None = None


class CancelJob(Message, frozen=True):
    """Give up a job."""

    id: str


class Release(Message, frozen=True):
    """Forget the blocks of an RDD that a client had persisted."""

    rdd: str


class Settled(Message, frozen=True):
    """Ask for settled batches of an output, by its id or the name it gives.

    Attributes:
        after, until: those of ``(after, until]``, milliseconds since 1970 UTC; None: no end.
        limit: at most so many, the newest of them.
    """

    output: str
    after: Millis = 0
    until: Millis | None = None
    limit: int | None = None


class Offer(Message, frozen=True):
    """Put an RDD into the queue of a queue stream."""

    stream: str
    rdds: tuple[Lineage, ...]


class Status(Message, frozen=True):
    """Ask how the engine and its streams are doing."""


class Ok(Message, frozen=True):
    """A request was carried out."""

    value: Any = None


class Answers(Message, frozen=True):
    """The results of a job, pickled, one for each partition, and what was printed meanwhile."""

    results: tuple[bytes, ...]
    printed: str = ""


class Refused(Message, frozen=True):
    """A request was refused: the error class's name, and what it says."""

    error: str
    message: str
    failure: Failure | None = None
    printed: str = ""


# -- what the engine says to whoever listens -------------------------------------------------


class Batch(msgspec.Struct, frozen=True):
    """A settled batch of one output.

    Attributes:
        time: its batch time, milliseconds since 1970 UTC.
        rdd: the id of its RDD.
        blocks: where its rows are.
        rows: how many there are.
        delay: milliseconds from the batch time to when it settled.
        busy: milliseconds its tasks ran, added up.
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


class Batches(Message, frozen=True):
    """Settled batches, oldest first."""

    batches: tuple[Batch, ...]


class BatchSettled(Message, frozen=True):
    """A batch of an output settled."""

    carries_code: ClassVar[bool] = False
    batch: Batch


class BatchFailed(Message, frozen=True):
    """A batch of an output failed."""

    output: str
    name: str | None
    time: Millis
    failure: Failure
    printed: str = ""


class SourceChanged(Message, frozen=True):
    """A source's state changed."""

    state: SourceState


class StreamRemoved(Message, frozen=True):
    """A named stream was stopped or replaced."""

    name: str


class StreamStatus(msgspec.Struct, frozen=True):
    """How one named stream is doing."""

    name: str
    slide: Millis
    batches: int
    rows: int
    last: Millis | None
    delay: Millis
    bad: int
    error: str | None
    source: str = ""
    retained: int = 0
    retain: Millis = 0
    notes: dict[str, str] = {}


class EngineStatus(Message, frozen=True):
    """How the engine is doing."""

    batch: Millis
    running: bool
    now: Millis
    workers: tuple[int, ...]
    streams: tuple[StreamStatus, ...]
    stored: int
    pending: int
    pid: int
    name: str = ""


Event: TypeAlias = BatchSettled | BatchFailed | SourceChanged | StreamRemoved
AnyMessage: TypeAlias = (
    Task | Done | Failed | Lost | Call | Returned | Raised | Receive | Received | SourceState
    | Hello | Welcome | Define | Remove | Discard | Start | Stop | RunJob | CancelJob | Settled
    | Resize | Release | Offer | Status | Ok | Answers | Refused | Event | EngineStatus | Batches
)  # fmt: skip


def checked(reply: Message) -> Message:
    """Return a reply unless it is a refusal.

    Raises:
        LivebatchError: it is one.
    """
    if not isinstance(reply, Refused):
        return reply
    if reply.printed:
        print(reply.printed, end="")
    if reply.failure is not None:
        raise JobFailed(f"{reply.message}\n\n{render(reply.failure)}")
    kind = getattr(errors, reply.error, EngineError)
    error = LivebatchError.__new__(kind)
    error.args = (reply.message,)
    raise error
