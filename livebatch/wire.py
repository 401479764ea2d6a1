"""Messages between processes, as typed records; `livebatch.framing` makes frames of them."""

from __future__ import annotations

from typing import Any, ClassVar, TypeAlias

import msgspec

from livebatch import errors
from livebatch.block import BlockRef
from livebatch.closures import Function
from livebatch.errors import EngineError, JobFailed, LivebatchError
from livebatch.events import (
    BadRecords,
    Batches,
    EngineStatus,
    Event,
    Explained,
    Message,
    SourceState,
)
from livebatch.failure import Failure, render
from livebatch.graph import NodeRecord, Output
from livebatch.interval import Millis
from livebatch.rdd import Lineage
from livebatch.rdd.operation import AnyOperation, Exchanged, Shuffled

# -- tasks -----------------------------------------------------------------------------------


class Step(msgspec.Struct, frozen=True, array_like=True):
    """One node of a task: rows of blocks, or an operation on the rows of earlier steps."""

    operation: AnyOperation | None
    split: int
    inputs: tuple[int, ...] = ()
    blocks: tuple[BlockRef, ...] = ()


class Divide(msgspec.Struct, frozen=True, tag=True):
    """Write the rows for the partitions of a shuffle."""

    shuffle: Shuffled | Exchanged


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


class Pause(Message, frozen=True):
    """Pause a named stream from the next batch on, or have it go on."""

    name: str
    paused: bool = True


class Explain(Message, frozen=True):
    """Ask how a named stream is computed."""

    name: str


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


class AskProgress(Message, frozen=True):
    """Ask how many tasks of a job are done and how many there are; the reply is an `Ok`."""

    job: str


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


class KeepCode(Message, frozen=True):
    """Free all code but this."""

    digests: tuple[str, ...]


class SendAgain(Message, frozen=True):
    """Code that the request needs has been freed: send it again, with all of it."""


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


AnyMessage: TypeAlias = (
    Task | Done | Failed | Lost | Call | Returned | Raised | Receive | Received | SourceState
    | Hello | Welcome | Define | Remove | Discard | Start | Stop | RunJob | CancelJob | Settled
    | KeepCode | SendAgain | Pause | Explain | Explained | Resize | Release | AskProgress
    | Offer | Status | Ok | Answers | Refused | Event | EngineStatus | Batches
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
