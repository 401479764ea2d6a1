"""What can be asked of a context: recent batches, states, SQL, how streams do."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from livebatch.client import ClientRunner, Connection, batch_rdd
from livebatch.errors import NotRunning
from livebatch.events import Batches, EngineStatus, Explained, TaskRuns
from livebatch.explain import debug_text, explained
from livebatch.interval import Duration, Millis
from livebatch.rdd import RDD, from_lineage
from livebatch.stream import DStream, StateLayers
from livebatch.wire import AskState, AskTasks, Explain, Settled, StateFound, Status

if TYPE_CHECKING:
    from livebatch.sql import Result


class Questions:
    """The part of a `StreamingContext` that answers questions."""

    connection: Connection
    runner: ClientRunner

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
        reply = self.connection.request(Settled(_kept_name(stream), after, until, limit))
        assert isinstance(reply, Batches)
        return [batch_rdd(batch, self.runner) for batch in reply.batches]

    def state_of(
        self, stream: DStream[Any], until: Millis | None = None, limit: int | None = None
    ) -> StateLayers:
        """Return the layers of the states of a named stream that are still kept.

        Args:
            stream: which.
            until: those of batches up to this time, milliseconds since 1970 UTC.
            limit: at most so many, the newest of them.

        Raises:
            NotRunning: the stream has no name or no state, or no state from then is kept.
        """
        reply = self.connection.request(AskState(_kept_name(stream), until, limit))
        assert isinstance(reply, StateFound)
        layers = from_lineage(reply.lineage, self.runner).parents
        for layer in layers:
            layer.persisted = False  # it is the engine's to keep or to forget
        return StateLayers(reply.times, layers[: reply.first], layers[reply.first :])

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

    def tasks(self, after: int = 0) -> TaskRuns:
        """Return which tasks have run lately on which workers. The engine takes note of them for
        ten seconds after each call.

        Args:
            after: the ``count`` of the reply before: only what has ended since, and what runs.
        """
        reply = self.connection.request(AskTasks(after))
        assert isinstance(reply, TaskRuns)
        return reply


def _kept_name(stream: DStream[Any]) -> str:
    if stream.name is None:
        raise NotRunning("only a stream with a name is kept: ssc.register(name, stream)")
    return stream.name
