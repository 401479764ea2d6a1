"""StreamingContext: where streams begin."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from math import inf
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

import msgspec

import livebatch.frames
import livebatch.operators  # noqa: F401  (streams get their methods)
from livebatch.client import ClientRunner, Connection, Subscription, batch_rdd
from livebatch.closures import Function
from livebatch.errors import DefinitionError, NotRunning
from livebatch.events import Batch, Batches, BatchFailed, EngineStatus, Event, Explained
from livebatch.explain import debug_text, explained
from livebatch.failure import Failure, describe
from livebatch.frames import StreamingDataFrame
from livebatch.graph import NodeRecord, Output, records
from livebatch.interval import Duration, Millis, to_millis
from livebatch.launch import EngineKind, attach, connect
from livebatch.life import Life
from livebatch.operators.transform import Transformed, on_list
from livebatch.rdd import RDD
from livebatch.schema import Columns, arrow_schema
from livebatch.stream import DStream, check_count, check_name, lift, same_slide
from livebatch.wire import Define, Explain, Remove, Settled, Status

if TYPE_CHECKING:
    from livebatch.sql import Result

RETAIN: Millis = 600_000
PRINTED: Millis = 60_000
FAILURES = 100
_COLUMNS = "columns"


class StreamingContext(Life):
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
        connection: a line to an engine that is there already; nothing is started then.

    Raises:
        DefinitionError: an argument is wrong.
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
        connection: Connection | None = None,
    ) -> None:
        self.batch = to_millis(batch, "the batch interval")
        if on_error not in ("skip", "raise"):
            raise DefinitionError(f'on_error is "skip" or "raise", not {on_error!r}')
        if engine not in ("process", "embedded"):
            raise DefinitionError(f'engine is "process" or "embedded", not {engine!r}')
        check_count(workers, "the number of workers")
        self.connection = connection or connect(
            engine, self.batch, workers, on_error == "raise", _seconds(linger), name
        )
        self._id = secrets.token_hex(3)
        self.runner = ClientRunner(self.connection, self._id)
        self.connection.serve_driver(self.runner)
        self.streams: dict[str, DStream[Any]] = {}
        self.write: Callable[[str], None] = print
        self._owner = ""
        self._waiting: list[tuple[tuple[NodeRecord, ...], Output]] = []
        self._subscriptions: dict[str, list[Subscription]] = {}
        self._failures: deque[Failure] = deque(maxlen=FAILURES)
        self._ended = Flag()
        self._hang_up = self.connection.listen(self._heard)

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
        for found in status.streams:
            stream: DStream[Any] = DStream((), found.slide)
            stream.name, stream.context = found.name, context
            if _COLUMNS in found.notes:
                columns = msgspec.json.decode(found.notes[_COLUMNS], type=Columns)
                stream.schema = arrow_schema(columns)
            context.streams[found.name] = stream
        return context

    # -- combinations -------------------------------------------------------------------------

    def union(self, *dstreams: DStream[Any]) -> DStream[Any]:
        """Return a stream of the records of all these streams.

        Raises:
            DefinitionError: there are none, or their slides differ.
        """
        same_slide(dstreams, "union")
        return dstreams[0].union(*dstreams[1:])  # type: ignore[no-any-return]

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
        return Transformed(dstreams, slide, on_list(transform_func))

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
            DefinitionError: it is no name, or the stream would be computed from itself.
        """
        check_name(name)
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

    def add_output(self, stream: DStream[Any], function: Function) -> None:
        """Have a function called with (time, rdd) of every batch, in the driver process."""
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

    def settled(
        self,
        stream: DStream[Any],
        after: Millis = 0,
        until: Millis | None = None,
        limit: int | None = None,
    ) -> list[RDD[Any]]:
        """Return settled batches of a named stream that are still kept, oldest first.

        Args:
            stream: which.
            after, until: those of ``(after, until]``, milliseconds since 1970 UTC.
            limit: at most so many, the newest of them.

        Raises:
            NotRunning: the stream has no name, or has been stopped.
        """
        if stream.name is None:
            raise NotRunning("only a stream with a name is kept: ssc.register(name, stream)")
        reply = self.connection.request(Settled(stream.name, after, until, limit))
        assert isinstance(reply, Batches)
        return [batch_rdd(batch, self.runner) for batch in reply.batches]

    def _define(self, stream: DStream[Any], output: Output) -> None:
        nodes = () if output.stream[0] == "@" else tuple(records(stream))
        definition = (nodes, output)
        if self._owner and output.name is None:  # goes with the named stream of the cell
            self._waiting.append(definition)
        else:
            self._send([definition])

    def _send(self, definitions: list[tuple[tuple[NodeRecord, ...], Output]]) -> None:
        """Define streams and outputs, with those that have waited for them, all at once."""
        together = [*self._waiting, *definitions]
        self._waiting = []
        if together:
            nodes = {node.id: node for nodes, _ in together for node in nodes}
            outputs = tuple(output for _, output in together)
            self.connection.request(Define(tuple(nodes.values()), outputs))

    def _new_id(self) -> str:
        return f"{self._id}.out{secrets.token_hex(3)}"

    # -- questions ----------------------------------------------------------------------------

    def query(
        self,
        sql: str,
        *,
        last: Duration | None = None,
        at: datetime | None = None,
        batches: int | None = None,
    ) -> Result:
        """Ask the batches of named streams that are still kept in SQL (DuckDB's).

        Every stream is a table, with the time of the batch as ``batch_time``.

        Args:
            sql: the query; several streams can be joined.
            last: only batches of the last so long before each stream's newest.
            at: only the batch that was the newest at a time.
            batches: only so many, the newest.

        Example:
            ``ssc.query("SELECT tag, count(*) FROM tags GROUP BY tag", last="5m").to_pandas()``

        Raises:
            QueryError: the SQL is wrong; the message points at the word.
        """
        from livebatch.sql import query  # takes a moment, and not everyone asks

        return query(sql, last=last, at=at, batches=batches, context=self)

    def explain(self, stream: DStream[Any] | str) -> str:
        """Return how a stream is computed, as text; see `DStream.explain`.

        Args:
            stream: the stream, or the name of one that runs.

        Raises:
            NotRunning: there is no stream of this name.
        """
        name = stream if isinstance(stream, str) else stream.name
        if name is None:
            return debug_text(explained(stream))  # type: ignore[arg-type]
        return debug_text(self.explained(name))

    def explained(self, name: str) -> Explained:
        """Return how a named stream is computed, and what its newest batch cost.

        Raises:
            NotRunning: there is no such stream.
        """
        reply = self.connection.request(Explain(name))
        assert isinstance(reply, Explained)
        return reply

    def status(self) -> EngineStatus:
        """Return how the engine and its streams are doing."""
        reply = self.connection.request(Status())
        assert isinstance(reply, EngineStatus)
        return reply

    def _heard(self, event: Event) -> None:
        if isinstance(event, BatchFailed):
            self._failures.append(event.failure)


def _seconds(linger: Duration | None) -> float | None:
    if linger is None or linger == inf:
        return linger  # type: ignore[return-value]
    return to_millis(linger, "linger") / 1000


def _reference(stream: DStream[Any]) -> str:
    return f"@{stream.name}" if stream.name else stream.id
