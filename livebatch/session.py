"""StreamingContext: where streams begin."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from math import inf
from pathlib import Path
from threading import Event as Flag
from typing import Any, overload

import msgspec

import livebatch.frames
import livebatch.operators
import livebatch.sinks  # noqa: F401  (streams get their methods)
from livebatch.arguments import check_count, check_name
from livebatch.batchrun import BatchRuns
from livebatch.client import ClientRunner, Connection, Subscription
from livebatch.closures import Function, goes_to_driver
from livebatch.errors import ClosureError, DefinitionError
from livebatch.events import Batch, BatchFailed, EngineStatus, Event
from livebatch.failure import Failure, describe
from livebatch.filesystems import absolute
from livebatch.frames import StreamingDataFrame
from livebatch.frames.rebinding import check_replacement
from livebatch.graph import Output, records
from livebatch.indriver import DriverContext
from livebatch.interval import Duration, Millis, to_millis
from livebatch.launch import EngineKind, Kept, attach, connect
from livebatch.life import Life
from livebatch.operators.refreshed import Refreshed
from livebatch.operators.transform import Transformed, on_list
from livebatch.questions import Questions
from livebatch.rdd import RDD
from livebatch.schema import Columns, arrow_schema
from livebatch.sources.receiving import Overflow, check_overflow
from livebatch.stream import (
    DStream,
    lift,
    same_slide,
)
from livebatch.wire import (
    Define,
    Remove,
    Status,
)

RETAIN: Millis = 600_000
PRINTED: Millis = 60_000
FAILURES = 100
_COLUMNS = "columns"


class StreamingContext(Life, BatchRuns, Questions):
    """An engine, and the streams that are defined on it.

    Sources are methods: ``ssc.socket_text_stream("localhost", 9999)``; each file of
    `livebatch.sources` is one.

    Args:
        batch: the batch interval, such as ``"500ms"``.
        engine: ``"process"``: the engine is a process of its own; ``"embedded"``: a thread of
            this one. Workers are processes either way.
        workers: how many worker processes; as many as there are CPUs if not told.
        on_error: ``"skip"``: records that a function raises on are left out and counted, unless
            more than 1 % are; ``"raise"``: the first one fails its batch.
        linger: how long the engine goes on after its last client has gone; ``math.inf``: for
            ever. If not told, it ends with this process.
        name: of the engine, by which others find it.
        checkpoint: a folder, by path or URI, that only this engine uses. It is started again from
            there if it dies, and a context that is made with this folder later goes on where it
            was: the streams that have names are `streams` then.
        checkpoint_every: how often a snapshot is taken there.
        missed: what becomes of batches whose time passed while the engine was down: they are
            ``"run"``, in order, or ``"skip"``.
        supervised: whether the engine is started again if it dies, which without a checkpoint
            loses what was received and not yet in a batch, and needs the machine to stay up.
        backpressure: whether sources that are pulled (files, rates, recordings) give less while
            batches fall behind, so that these do not pile up: what is left over comes later.
            Nothing is limited while batches keep up. (Spark:
            ``spark.streaming.backpressure.enabled``, which is off there.)
        on_overflow: what happens to sources that are pushed (sockets, measurements) when batches
            fall behind and too much waits: ``"block"``, ``"drop_oldest"`` or ``"spill"``, as
            `livebatch.sources.receiving.Receiving` tells; a source can be told otherwise.
        connection: a line to an engine that is there already; nothing is started then.

    Raises:
        DefinitionError: an argument is wrong.
        EngineError: the checkpoint is of another version or used by another engine, or none can
            be kept there.
        EngineLost: the engine could not be started.

    Example:
        >>> import livebatch as lb
        >>> with lb.StreamingContext("100ms", workers=1) as ssc:
        ...     rdd = ssc.parallelize(range(10)).map(lambda n: n * n)
        ...     rdd.reduce(lambda a, b: a + b)
        285
    """

    def __init__(
        self,
        batch: Duration = "1s",
        *,
        engine: EngineKind = "process",
        workers: int | None = None,
        on_error: str = "skip",
        linger: Duration | None = None,
        name: str | None = None,
        checkpoint: str | Path | None = None,
        checkpoint_every: Duration = "10s",
        missed: str = "run",
        supervised: bool | None = None,
        backpressure: bool = True,
        on_overflow: Overflow = "block",
        connection: Connection | None = None,
    ) -> None:
        self.batch = to_millis(batch, "the batch interval")
        if on_error not in ("skip", "raise"):
            raise DefinitionError(f'on_error is "skip" or "raise", not {on_error!r}')
        if engine not in ("process", "embedded"):
            raise DefinitionError(f'engine is "process" or "embedded", not {engine!r}')
        check_count(workers, "the number of workers")
        if missed not in ("run", "skip"):
            raise DefinitionError(f'missed is "run" or "skip", not {missed!r}')
        folder = "" if checkpoint is None else absolute(checkpoint)
        every = to_millis(checkpoint_every, "checkpoint_every")
        kept = Kept(folder, every, missed, bool(folder) if supervised is None else supervised)
        check_overflow(on_overflow)
        self.on_overflow = on_overflow
        strict, alone = on_error == "raise", _seconds(linger)
        self.connection = connection or connect(
            engine, self.batch, workers, strict, alone, name, kept, backpressure
        )
        self._id = secrets.token_hex(3)
        self.runner = ClientRunner(self.connection, self._id)
        self.connection.serve_driver(self.runner)
        self.streams: dict[str, DStream[Any]] = {}
        self.write: Callable[[str], None] = print
        self._owner = ""
        self._waiting: list[tuple[DStream[Any], Output]] = []
        self._subscriptions: dict[str, list[Subscription]] = {}
        self._failures: deque[Failure] = deque(maxlen=FAILURES)
        self._ended = Flag()
        self._hang_ups = [self.connection.listen(self._heard)]
        if connection is None and folder:
            self._take_up()

    @classmethod
    def attach(cls, name: str | None = None) -> StreamingContext:
        """Return a context of an engine that runs, with its named streams as `streams`.

        Args:
            name: of the engine; the only one that runs if not told.

        Raises:
            NotRunning: there is no such engine.
            EngineError: several run, and none was named.
        """
        connection = attach(name)
        status = connection.request(Status())
        assert isinstance(status, EngineStatus)
        context = cls(status.batch / 1000, connection=connection)
        context._take_up()
        return context

    def _take_up(self) -> None:
        """Know the streams that the engine has."""
        status = self.connection.request(Status())
        assert isinstance(status, EngineStatus)
        self.batch = status.batch
        for found in status.streams:
            stream: DStream[Any] = DStream((), found.slide)
            stream.name, stream.context = found.name, self
            if _COLUMNS in found.notes:
                columns = msgspec.json.decode(found.notes[_COLUMNS], type=Columns)
                stream.schema = arrow_schema(columns)
            self.streams[found.name] = stream

    # -- combinations -------------------------------------------------------------------------

    @overload
    def union(self, *dstreams: DStream[Any]) -> DStream[Any]: ...

    @overload
    def union(self, *dstreams: RDD[Any]) -> RDD[Any]: ...

    def union(self, *dstreams: Any) -> Any:
        """Return a stream of the records of all these streams; or an RDD of the rows of RDDs.

        Raises:
            DefinitionError: there are none, or their slides differ.
        """
        if any(isinstance(one, RDD) for one in dstreams):
            return dstreams[0].union(*dstreams[1:])
        same_slide(dstreams, "union")
        return dstreams[0].union(*dstreams[1:])

    def transform(
        self, dstreams: Sequence[DStream[Any]], transform_func: Callable[..., RDD[Any]]
    ) -> DStream[Any]:
        """Return a stream made by a function of the list of the streams' RDDs.

        Args:
            dstreams: streams of one slide.
            transform_func: takes (rdds) or (time, rdds); gives an RDD. It runs in the driver
                process.
        """
        slide = same_slide(dstreams, "transform")
        function, versions = on_list(transform_func, slide)
        return Transformed([*dstreams, *versions], slide, function)

    def refreshed(self, load: Callable[[], RDD[Any]], every: Duration) -> Refreshed:
        """Return a dataset that is loaded anew now and then, to be used with streams.

        In a function given to `DStream.transform` it is an RDD. All of a batch sees one version,
        and so does a batch that is computed again. The rows of a version are kept, not read again
        for each batch. If a refresh fails, the version before goes on, and the failure is shown
        at the stream; the next try is at the next refresh.

        Args:
            load: takes nothing, gives an RDD; it runs in the driver process, for the first batch
                that needs it in each period.
            every: the period, in the time of the batches; a multiple of the batch interval.

        Raises:
            DefinitionError: the period is none.
            ClosureError: ``load`` cannot be sent to the driver process.

        Example:
            >>> from livebatch.testing import ManualContext, collected
            >>> with ManualContext("1s") as ssc:
            ...     spam = ssc.refreshed(lambda: ssc.parallelize([("buy", True)]), every="10m")
            ...     words = ssc.queue_stream([["buy", "sell"]]).map(lambda word: (word, 1))
            ...     found = collected(words.transform(lambda rdd: rdd.join(spam)))
            ...     ssc.start()
            ...     ssc.advance("1s")
            ...     found
            [[('buy', (1, True))]]
        """
        return Refreshed(load, every, self.batch)

    def __reduce__(self) -> Any:
        if not goes_to_driver():
            raise ClosureError(
                "the StreamingContext is used inside a function that runs in the workers, where "
                "there is none: use it outside, or in transform or foreach_rdd"
            )
        return DriverContext, ()

    # -- names and outputs -------------------------------------------------------------------

    def register(
        self,
        name: str,
        stream: DStream[Any],
        retain: Duration | None = None,
        notes: dict[str, str] | None = None,
    ) -> DStream[Any]:
        """Give a stream a name and keep its settled batches, so that they can be queried.

        A stream that has the name already is replaced at the next batch, and what is computed
        from it follows.

        Args:
            name: a Python name.
            stream: the stream.
            retain: how long settled batches are kept; 10 minutes if not told.
            notes: kept by the engine for whoever attaches, such as how the stream is shown.

        Raises:
            DefinitionError: it is no name, or the stream would be computed from itself, or is a
                frame with other columns than the one it replaces, and queries over that one would
                not be what they were.
        """
        check_name(name)
        check_replacement(name, stream, self.streams)
        if stream.name not in (None, name):  # a second name is a stream of its own
            stream = lift(stream, "union")
        kept = RETAIN if retain is None else to_millis(retain, "retain")
        said = dict(notes or {})
        if isinstance(stream, StreamingDataFrame):
            said[_COLUMNS] = msgspec.json.encode(stream.columns).decode()
        output = Output(self._new_id(), stream.id, None, kept, name, name, said)
        self._define(stream, output)
        stream.name = name
        self.streams[name] = stream
        return stream

    @contextmanager
    def defining(self, name: str) -> Iterator[None]:
        """Within this, outputs belong to a named stream: they are replaced and go with it, and
        if an exception leaves this, they are dropped."""
        before, self._owner, self._waiting = self._owner, name, []
        former = self._subscriptions.pop(name, [])
        try:
            yield
            self._send([])
        except BaseException:
            self._unsubscribe(name)
            self._subscriptions[name] = former
            raise
        else:
            for subscription in former:
                subscription.close()
        finally:
            self._owner, self._waiting = before, []

    def remove(self, name: str) -> None:
        """Stop a named stream.

        Raises:
            DefinitionError: other named streams are computed from it.
            NotRunning: there is no such stream.
        """
        self.connection.request(Remove(name))
        self.streams.pop(name, None)
        self._unsubscribe(name)

    def add_output(self, stream: DStream[Any], function: Function | None) -> None:
        """Have a function called with (time, rdd) of every batch, in the driver process; None:
        have every batch computed."""
        self._define(stream, Output(self._new_id(), _reference(stream), function, 0, None,
                                    self._owner))  # fmt: skip

    def subscribe(
        self, stream: DStream[Any], function: Callable[[datetime, RDD[Any]], None]
    ) -> Subscription:
        """Have a function called with (time, rdd) of every settled batch, in this process."""
        output = Output(self._new_id(), _reference(stream), None, PRINTED, None, self._owner)
        owner = self._owner or stream.name

        def failed(batch: Batch, error: Exception) -> None:
            failure = describe(error)
            self.connection.announce(BatchFailed(output.id, owner, batch.time, failure))

        subscription = Subscription(self.connection, self.runner, output.id, function, failed)
        self._subscriptions.setdefault(self._owner, []).append(subscription)
        self._define(stream, output)
        return subscription

    def amend(self, stream: DStream[Any]) -> None:
        """Take note that a stream is to be kept otherwise than when it was made; if it runs, from
        the next batch on.

        Raises:
            DefinitionError: another client has defined it.
        """
        if not stream.params:
            raise DefinitionError(f"{stream.name} was defined elsewhere: have it kept there")
        if not self._owner:  # a cell's streams are defined when it ends
            self.connection.request(Define(tuple(records(stream)), ()))

    def _define(self, stream: DStream[Any], output: Output) -> None:
        if self._owner and output.name is None:  # goes with the named stream of the cell
            self._waiting.append((stream, output))
        else:
            self._send([(stream, output)])

    def _send(self, definitions: list[tuple[DStream[Any], Output]]) -> None:
        """Define streams and outputs, with those that have waited for them, all at once."""
        together = [*self._waiting, *definitions]
        self._waiting = []
        if together:
            made = [records(stream) for stream, output in together if output.stream[0] != "@"]
            nodes = {node.id: node for nodes in made for node in nodes}
            outputs = tuple(output for _, output in together)
            self.connection.request(Define(tuple(nodes.values()), outputs))

    def _new_id(self) -> str:
        return f"{self._id}.out{secrets.token_hex(3)}"

    def _heard(self, event: Event) -> None:
        if isinstance(event, BatchFailed):
            self._failures.append(event.failure)


def _seconds(linger: Duration | None) -> float | None:
    if linger is None or linger == inf:
        return linger  # type: ignore[return-value]
    return to_millis(linger, "linger") / 1000


def _reference(stream: DStream[Any]) -> str:
    return f"@{stream.name}" if stream.name else stream.id
