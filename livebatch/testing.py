"""What livebatch is tested with, for testing your own streams, sources, sinks and executors.

Nothing here reads the time: a `ManualContext` stands still until it is told to go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from livebatch.checks import check_sink, check_source
from livebatch.clock import ManualClock
from livebatch.engine.embedded import Stepped
from livebatch.engine.executors.base import Executor
from livebatch.engine.executors.local import LocalExecutor
from livebatch.engine.log import BatchLog
from livebatch.engine.runtime import make_place, socket_address
from livebatch.filesystems import absolute
from livebatch.interval import Duration, Millis, to_millis
from livebatch.rdd import RDD
from livebatch.session import StreamingContext
from livebatch.stream import DStream
from livebatch.transport import Hub

__all__ = ["ManualContext", "check_sink", "check_source", "collected", "local_executor", "run"]

START = 1_700_000_000_000
"""The time at which a `ManualContext` begins, milliseconds since 1970 UTC."""


BUDGET = 1 << 30
"""Bytes that the blocks of a `local_executor` may take."""


class ManualContext(StreamingContext):
    """A context under a manual clock, with an engine in the calling thread.

    Args:
        batch: the batch interval.
        executor: where tasks run; inline if not given.
        on_error: as for `StreamingContext`.
        log: where batches are logged; in memory if not given.
        checkpoint: the folder of its checkpoints; it goes on from what is there, which is how a
            restart is tried out: make a second context without stopping the first.
        every: how often a snapshot is taken.
        at: what the clock says, milliseconds since 1970 UTC.
        backpressure: as for `StreamingContext`.

    An executor that is given is not closed with the context, so that several can use it.

    Example:
        >>> with ManualContext("1s") as ssc:
        ...     words = ssc.queue_stream([["a", "b", "a"], ["b"]])
        ...     counts = collected(words.count_by_value())
        ...     ssc.start()
        ...     ssc.advance("2s")
        ...     [sorted(batch) for batch in counts]
        [[('a', 2), ('b', 1)], [('b', 1)]]
    """

    def __init__(
        self,
        batch: Duration = "1s",
        executor: Executor | None = None,
        on_error: str = "skip",
        log: BatchLog | None = None,
        checkpoint: str | Path | None = None,
        every: Duration = "10s",
        at: Millis = START,
        backpressure: bool = True,
    ) -> None:
        self.clock = ManualClock(at)
        millis, strict = to_millis(batch), on_error == "raise"
        folder = None if checkpoint is None else absolute(checkpoint)
        self.stepped = Stepped(
            millis, self.clock, executor, log, strict, folder, to_millis(every), backpressure
        )
        super().__init__(batch, on_error=on_error, connection=self.stepped)
        if checkpoint is not None:
            self._take_up()

    def advance(self, duration: Duration) -> None:
        """Let time pass, batch by batch, and do all the work of each batch."""
        end = self.clock.now() + to_millis(duration)
        while (tick := self.stepped.engine.tick) is not None and tick <= end:
            self.clock.advance(tick - self.clock.now())
            self.stepped.run()
        self.clock.advance(end - self.clock.now())


@contextmanager
def local_executor(workers: int = 2, memory: int | None = None) -> Iterator[LocalExecutor]:
    """Give an executor of real worker processes, to be passed to a `ManualContext`.

    Args:
        workers: how many.
        memory: bytes that each of them may use for itself; None: no limit.
    """
    place = make_place("test", BUDGET)
    with TemporaryDirectory(prefix="livebatch-") as sockets:
        router = socket_address("test", "router", Path(sockets))
        hub = Hub(router, socket_address("test", "events", Path(sockets)))
        executor = LocalExecutor(hub, router, place, workers, memory)
        try:
            yield executor
        finally:
            executor.close()
            hub.close()
            place.remove()


def collected(stream: DStream[Any]) -> list[list[Any]]:
    """Return a list to which every settled batch of a stream is appended, as a list of rows."""
    batches: list[list[Any]] = []

    def add(time: datetime, rdd: RDD[Any]) -> None:
        batches.append(rdd.collect())

    stream.foreach_rdd(add, on="kernel")
    return batches


def run(stream_of: Any, batches: Iterable[Iterable[Any]], **options: Any) -> list[list[Any]]:
    """Run ``stream_of(input stream)`` over batches of rows and return its batches.

    Example:
        >>> run(lambda numbers: numbers.reduce(max), [[1, 3], [], [2]])
        [[3], [], [2]]
    """
    given = [list(batch) for batch in batches]
    with ManualContext("1s", **options) as ssc:
        results = collected(stream_of(ssc.queue_stream(given)))
        ssc.start()
        ssc.advance(len(given))
    return results
