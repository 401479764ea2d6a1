"""Ad hoc questions: the settled batches of a named stream that are still kept, as RDDs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from livebatch.errors import NotRunning
from livebatch.interval import Duration, Millis, from_datetime, to_datetime, to_millis
from livebatch.rdd import RDD
from livebatch.stream import DStream, context_of, operator

Stream = DStream[Any]


@operator
def latest(self: Stream) -> RDD[Any]:
    """Return the newest settled batch.

    Example:
        ``tags.latest().take(5)``

    Raises:
        NotRunning: no batch has settled yet, or the stream has no name.
    """
    return _one(self, context_of(self).settled(self, limit=1))


@operator
def await_batch(
    self: Stream,
    condition: Callable[[RDD[Any]], object] | None = None,
    timeout: Duration | None = "1m",
) -> RDD[Any]:
    """Wait for the next batch to settle for which a condition holds, and return it.

    Args:
        condition: takes a batch as an RDD; if not given, the batch must have rows. It is asked in
            this process.
        timeout: at most so long; None: for ever.

    Example:
        ``load.await_batch(lambda rdd: rdd.first()["cpu %"] > 90)``

    Raises:
        NotRunning: the stream has no name, or has been stopped.
        TimeoutError: there was no such batch in time.
    """
    return context_of(self).await_settled(self, condition or _has_rows, timeout)


def _has_rows(rdd: RDD[Any]) -> bool:
    return not rdd.is_empty()


@operator
def at(self: Stream, time: datetime) -> RDD[Any]:
    """Return the batch that was the newest at a time (naive times are local).

    Example:
        ``tags.at(datetime(2026, 11, 22, 12, 30))``

    Raises:
        NotRunning: no batch from then is kept, or the stream has no name.
    """
    return _one(self, context_of(self).settled(self, until=from_datetime(time), limit=1))


@operator
def last(self: Stream, duration: Duration) -> RDD[Any]:
    """Return the batches of the last ``duration`` before the newest one, and that, as one RDD.

    Example:
        ``tags.last("30s").to_pandas()``

    Raises:
        NotRunning: no batch has settled yet, or the stream has no name.
        DefinitionError: the duration is none.
    """
    context, length = context_of(self), to_millis(duration)
    newest = _time_of(_one(self, context.settled(self, limit=1)))
    return _together(self, context.settled(self, newest - length, newest))


@operator
def between(self: Stream, begin: datetime, end: datetime) -> RDD[Any]:
    """Return the batches after ``begin`` up to ``end`` as one RDD (naive times are local).

    Raises:
        NotRunning: none of them is kept, or the stream has no name.
    """
    found = context_of(self).settled(self, from_datetime(begin), from_datetime(end))
    return _together(self, found)


@operator
def slice(self: Stream, begin: datetime, end: datetime) -> list[RDD[Any]]:
    """Return the batches from ``begin`` to ``end``, both included, as a list of RDDs.

    Example:
        >>> from datetime import timedelta
        >>> from livebatch.testing import ManualContext
        >>> from livebatch.interval import to_datetime
        >>> with ManualContext("1s") as ssc:
        ...     numbers = ssc.register("numbers", ssc.queue_stream([[1], [2], [3]]))
        ...     ssc.start()
        ...     ssc.advance("3s")
        ...     now = to_datetime(ssc.clock.now())
        ...     [rdd.collect() for rdd in numbers.slice(now - timedelta(seconds=1), now)]
        [[2], [3]]

    Raises:
        NotRunning: a batch of that time is no longer kept, or the stream has no name.
    """
    first, last_ = from_datetime(begin), from_datetime(end)
    found = context_of(self).settled(self, first - 1, last_)
    if not found or _time_of(found[0]) - first >= self.slide:
        kept = context_of(self).settled(self)
        since = f"since {to_datetime(_time_of(kept[0])):%H:%M:%S}" if kept else "none"
        raise NotRunning(f"not all batches from {begin} on are kept: {self.name} has {since}")
    return found


def _one(stream: Stream, found: list[RDD[Any]]) -> RDD[Any]:
    if not found:
        raise NotRunning(f"no batch of {stream.name} from then is kept, or has settled yet")
    return found[0]


def _together(stream: Stream, found: list[RDD[Any]]) -> RDD[Any]:
    first = _one(stream, found)
    return first.union(*found[1:])


def _time_of(rdd: RDD[Any]) -> Millis:
    assert rdd.batch_time is not None
    return rdd.batch_time
