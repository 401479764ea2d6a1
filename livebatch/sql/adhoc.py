"""Ad hoc SQL: one statement over what is kept of named streams."""

from __future__ import annotations

from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from livebatch.block import BlockStore
from livebatch.client import Connection
from livebatch.clock import stopwatch
from livebatch.engine.embedded import Stepped
from livebatch.engine.store import SharedMemoryStore
from livebatch.errors import BlockLost, EngineError, LivebatchError, QueryError
from livebatch.events import Batch, EngineStatus, StreamStatus
from livebatch.interval import Duration
from livebatch.sql.database import Database, memory_share
from livebatch.sql.recent import Recent
from livebatch.sql.result import Origin, Result
from livebatch.sql.span import Span
from livebatch.wire import Status


class Context(Protocol):
    """What a query asks of a `StreamingContext`."""

    @property
    def connection(self) -> Connection:
        """A line to its engine."""


def query(
    sql: str,
    *,
    last: Duration | None = None,
    at: datetime | None = None,
    batches: int | None = None,
    context: Context,
) -> Result:
    """Return the result of an SQL query (DuckDB's dialect) over settled batches of named streams.

    A stream is a table of its name. Its first column, ``batch_time``, is the time of a row's
    batch; then come the fields of the rows: the keys of dicts, the fields of dataclasses and
    named tuples, ``_1``, ``_2``, … of tuples, ``value`` of anything else. All batches that are
    kept are queried, unless told.

    Args:
        sql: one statement.
        last: only the batches of the last so long before each stream's newest one, and that.
        at: only each stream's batch that was the newest at this time (naive times are local).
        batches: only the newest so many batches of each stream.
        context: whose streams.

    Raises:
        QueryError: the query is written wrongly, or names a stream that there is not.
        NotRunning: no batch of a stream has settled yet, or none from then is kept.
        DefinitionError: more than one of last, at and batches, or one of them is wrong.

    Example:
        >>> from livebatch.testing import ManualContext
        >>> with ManualContext("1s") as ssc:
        ...     words = ssc.register("words", ssc.queue_stream([["a", "b"], ["a"]]))
        ...     ssc.start()
        ...     ssc.advance("2s")
        ...     list(query("SELECT value, count(*) AS n FROM words GROUP BY ALL ORDER BY ALL",
        ...                context=ssc))
        [{'value': 'a', 'n': 2}, {'value': 'b', 'n': 1}]
    """
    begun, span = stopwatch(), Span.of(last, at, batches)
    try:
        table, origins = _carry_out(sql, span, context.connection)
    except BlockLost:  # a batch was forgotten meanwhile; now the engine does not name it any more
        table, origins = _carry_out(sql, span, context.connection)
    return Result(table, origins, stopwatch() - begun)


def columns(name: str, context: Context) -> list[str]:
    """Return the columns that a query of a stream's newest batch sees, ``batch_time`` first.

    Raises:
        QueryError: there is no such stream.
        NotRunning: no batch of it has settled yet.
        BlockLost: its batch was forgotten in this moment.
    """
    streams = Streams(Span(limit=1), context.connection)
    return list(streams.find(name).schema.names)


def _carry_out(sql: str, span: Span, connection: Connection) -> tuple[pa.Table, list[Origin]]:
    streams = Streams(span, connection)
    with Database(streams.find) as database:
        try:
            return database.run(sql), streams.origins
        except QueryError as error:
            cause = streams.explain(error)
    raise cause


class Streams:
    """The streams of an engine as they are when a query begins, opened as the query names them.

    Attributes:
        origins: what was opened.
    """

    def __init__(self, span: Span, connection: Connection) -> None:
        status = connection.request(Status())
        assert isinstance(status, EngineStatus)
        self.origins: list[Origin] = []
        self._streams, self._span, self._connection = status.streams, span, connection
        self._store = store_of(connection)
        self._opened: dict[str, Recent] = {}

    def find(self, name: str) -> Recent:
        """Return the batches of a stream.

        Raises:
            QueryError: there is no such stream.
            NotRunning: it has no such batches.
            BlockLost: one of them was forgotten in this moment.
        """
        stream = _stream_called(name, self._streams)
        batches = self._span.fetch(stream, self._connection)
        room = memory_share() - sum(recent.nbytes for recent in self._opened.values())
        recent = Recent(batches, self._store, room, self._sample(stream, batches))
        self._opened[stream.name] = recent
        times = batches[0].time, batches[-1].time
        self.origins.append(Origin(stream.name, len(batches), *times))
        return recent

    def _sample(self, stream: StreamStatus, batches: list[Batch]) -> list[Batch]:
        """Return a batch that shows which columns a stream has, where these do not."""
        if any(batch.rows for batch in batches):
            return []
        return [batch for batch in Span().fetch(stream, self._connection) if batch.rows][-1:]

    def explain(self, error: QueryError) -> LivebatchError:
        """Return what a query failed of."""
        for name, recent in self._opened.items():
            if recent.lost is not None:
                return recent.lost
            if len(recent.schema) == 1:
                hint = f"All batches of {name} are empty, so its columns are not known."
                return QueryError(f"{error}\n{hint}")
        return error


def store_of(connection: Connection) -> BlockStore:
    """Return the store of an engine's blocks, to be read.

    Raises:
        EngineError: it is not known where it is.
    """
    if isinstance(connection, Stepped):
        return connection.executor.store
    found = getattr(connection, "found", None)
    if found is None:
        raise EngineError("this line to an engine does not say where its blocks are")
    return SharedMemoryStore(Path(found.shared_memory), 0)


def _stream_called(name: str, streams: tuple[StreamStatus, ...]) -> StreamStatus:
    """Return the stream that SQL means by a name, whatever its case.

    Raises:
        QueryError: there is none, or there are several.
    """
    found = [stream for stream in streams if stream.name.casefold() == name.casefold()]
    if len(found) == 1:
        return found[0]
    if found:
        several = " and ".join(stream.name for stream in found)
        raise QueryError(f"SQL cannot tell {several} apart: give one of them another name")
    names = sorted(stream.name for stream in streams)
    alike = get_close_matches(name, names, 1)
    hint = f"; did you mean {alike[0]}?" if alike else ""
    there = f"there are {', '.join(names)}" if names else "there are none yet"
    raise QueryError(f"there is no stream {name}: {there}{hint}")
