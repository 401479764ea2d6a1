"""Which of the settled batches that are kept a query is about."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import NamedTuple

from livebatch.client import Connection
from livebatch.errors import DefinitionError, NotRunning
from livebatch.events import Batch, Batches, StreamStatus
from livebatch.interval import Duration, Millis, from_datetime, to_millis
from livebatch.wire import Settled

PAGE = 64
"""So many batches are asked for at once: their small blocks come with them, and the engine must
not be held up by one long answer."""


class Span(NamedTuple):
    """All that is kept of a stream, or a part of it.

    Attributes:
        last: the batches of so many milliseconds before the newest one, and that.
        until: none that are later than this, milliseconds since 1970 UTC.
        limit: at most so many, the newest of them.
    """

    last: Millis | None = None
    until: Millis | None = None
    limit: int | None = None

    @classmethod
    def of(cls, last: Duration | None, at: datetime | None, batches: int | None) -> Span:
        """Return the span that a user asks for.

        Raises:
            DefinitionError: it is none, or there are several.
        """
        if sum(asked is not None for asked in (last, at, batches)) > 1:
            raise DefinitionError("a query takes one of last, at and batches")
        if batches is not None and batches < 1:
            raise DefinitionError(f"batches is at least 1, not {batches}")
        if at is not None:
            return cls(None, from_datetime(at), 1)
        return cls(None if last is None else to_millis(last, "last"), None, batches)

    def fetch(self, stream: StreamStatus, connection: Connection) -> list[Batch]:
        """Return the batches of a stream, oldest first.

        Args:
            stream: as it was when the query began; later batches are not in it.

        Raises:
            NotRunning: there are none.
        """
        if stream.last is None:
            raise NotRunning(f"no batch of {stream.name} has settled yet")
        after = 0 if self.last is None else stream.last - self.last
        until = stream.last if self.until is None else min(self.until, stream.last)
        found = _pages(stream.name, after, until, self.limit, connection)
        if not found:
            raise NotRunning(f"no batch of {stream.name} from then is kept")
        return found


def _pages(
    name: str, after: Millis, until: Millis, limit: int | None, connection: Connection
) -> list[Batch]:
    pages: list[tuple[Batch, ...]] = []
    left = sys.maxsize if limit is None else limit
    while left > 0:
        asked = min(PAGE, left)
        reply = connection.request(Settled(name, after, until, asked))
        assert isinstance(reply, Batches)
        pages.append(reply.batches)
        if len(reply.batches) < asked:
            break
        until, left = reply.batches[0].time - 1, left - asked
    return [batch for page in reversed(pages) for batch in page]
