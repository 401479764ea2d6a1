"""Messages between processes, as typed records; `livebatch.framing` makes frames of them."""

from __future__ import annotations

from typing import Any, ClassVar, TypeAlias

from livebatch import errors
from livebatch.block import BlockRef
from livebatch.calls import Call, Raised, Returned
from livebatch.closures import Function
from livebatch.errors import EngineError, JobFailed, LivebatchError
from livebatch.events import (
    Batches,
    EngineStatus,
    Event,
    Explained,
    Message,
    SourceState,
    TaskRuns,
)
from livebatch.failure import Failure, render
from livebatch.graph import NodeRecord, Output
from livebatch.interval import Millis
from livebatch.rdd import Lineage
from livebatch.shared import (
    AddToAccumulator,
    DropBroadcast,
    Remember,
    SetAccumulator,
    SetBroadcast,
    SharedRequest,
)
from livebatch.tasks import Done, Failed, Lost, Task

# -- sources ---------------------------------------------------------------------------------


class Receive(Message, frozen=True):
    """Run a push source: what a receiver process is told when it says hello.

    Attributes:
        buffer: bytes that may wait to be processed.
        durable: the folder where blocks go before they are reported; empty: nowhere.
        start: of the stream's receivers that put blocks there, the how many-th.
    """

    stream: str
    source: str
    options: dict[str, Any]
    block_interval: Millis
    buffer: int
    durable: str = ""
    start: int = 0


class Received(Message, frozen=True):
    """A receiver stored a block of records."""

    carries_code: ClassVar[bool] = False
    stream: str
    block: BlockRef


class Room(Message, frozen=True):
    """How much a receiver has brought about.

    Attributes:
        waiting: bytes of its stream that have not been processed.
        blocks: how many of its blocks the engine has.
        dropped: records of its stream that have been dropped.
    """

    waiting: int
    blocks: int
    dropped: int


class Finished(Message, frozen=True):
    """A receiver that was told to stop has handed on all that it had received."""

    stream: str


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
    """Stop the engine.

    Attributes:
        graceful: after all that was received has been processed.
        whole: the engine itself; otherwise its streams alone, so that batch RDDs go on.
    """

    graceful: bool = False
    whole: bool = True


class KeepCheckpoints(Message, frozen=True):
    """Keep checkpoints in a folder from now on."""

    folder: str


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
    """Apply an action to partitions of an RDD (none named: all); ``time``: as part of a batch."""

    id: str
    lineage: Lineage
    action: Function
    splits: tuple[int, ...] | None = None
    time: Millis | None = None


class CancelJob(Message, frozen=True):
    """Give up a job."""

    id: str


class AskProgress(Message, frozen=True):
    """Ask how many tasks of a job are done and how many there are; the reply is an `Ok`."""

    job: str


class KeepRDD(Message, frozen=True):
    """Compute an RDD to blocks, the asker's; the reply is `Kept`. ``time``: as for `RunJob`."""

    lineage: Lineage
    time: Millis | None = None


class Kept(Message, frozen=True):
    """The blocks of an RDD, one for each partition."""

    carries_code: ClassVar[bool] = False
    blocks: tuple[BlockRef, ...]


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


class AskState(Message, frozen=True):
    """Ask where the states of a named stream lie.

    Attributes:
        until: up to this batch; None: to the newest.
        limit: at most so many, the newest of them.
    """

    name: str
    until: Millis | None = None
    limit: int | None = None


class StateFound(Message, frozen=True):
    """Where states lie: the RDD of the lineage has their layers as its parents.

    Attributes:
        times: of the batches that left them.
        first: how many layers the first has; each other has one more.
    """

    times: tuple[Millis, ...]
    first: int
    lineage: Lineage


class KeepCode(Message, frozen=True):
    """Free all code but this."""

    digests: tuple[str, ...]


class SendAgain(Message, frozen=True):
    """Code that the request needs has been freed: send it again, with all of it."""


class Offer(Message, frozen=True):
    """Put an RDD into the queue of a queue stream."""

    once: ClassVar[bool] = True
    stream: str
    rdds: tuple[Lineage, ...]


class BeginRun(Message, frozen=True):
    """Make a run of a streaming program over batches that are there already.

    Attributes:
        id: unique.
        nodes: its streams.
        inputs: the queue streams among them, which are fed batch by batch.
        stream: whose batches are wanted.
        batch: the batch interval.
        zero: the time before the first batch, milliseconds since 1970 UTC.
    """

    id: str
    nodes: tuple[NodeRecord, ...]
    inputs: tuple[str, ...]
    stream: str
    batch: Millis
    zero: Millis


class RunNext(Message, frozen=True):
    """Run one more batch, given what each input has for it; the reply is the settled batch, or
    none where the stream has none then, as `Batches`."""

    run: str
    rdds: tuple[Lineage, ...]


class EndRun(Message, frozen=True):
    """Give up a run and forget it."""

    run: str


class Status(Message, frozen=True):
    """Ask how the engine and its streams are doing."""


class AskTasks(Message, frozen=True):
    """Ask which tasks have run, after so many; they are taken note of while someone asks."""

    after: int = 0


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


Change: TypeAlias = (
    Define | Remove | Discard | Pause | Offer | Remember | SetBroadcast | DropBroadcast
    | SetAccumulator | AddToAccumulator
)  # fmt: skip
"""Requests that change what the engine does from the next batch on."""

AnyMessage: TypeAlias = (
    Task | Done | Failed | Lost | Call | Returned | Raised | Receive | Received | SourceState
    | Room | Finished
    | Hello | Welcome | Define | Remove | Discard | Start | Stop | RunJob | CancelJob | Settled
    | KeepCode | SendAgain | KeepCheckpoints | Pause | Explain | Explained | Resize | Release
    | AskProgress | KeepRDD | Kept | Offer | BeginRun | RunNext | EndRun | Status | AskTasks
    | TaskRuns | Ok | AskState | StateFound | SharedRequest | Answers | Refused | Event
    | EngineStatus | Batches
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
