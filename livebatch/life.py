"""How a context lives: it starts, pauses streams, leaves its engine running, and stops."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from threading import Event as Flag
from types import TracebackType
from typing import Any, ClassVar, Self

from livebatch.client import Subscription
from livebatch.clock import deadline
from livebatch.engine.beginning import exists
from livebatch.errors import DefinitionError, EngineLost, JobFailed, NotRunning
from livebatch.events import EngineStatus
from livebatch.failure import Failure, render
from livebatch.filesystems import absolute
from livebatch.inputs import Inputs
from livebatch.interval import Duration, to_millis
from livebatch.listener import Relay, StreamingListener
from livebatch.rdd import RDD
from livebatch.shared import Remember
from livebatch.stream import DStream
from livebatch.wire import KeepCheckpoints, Pause, Resize, Start, Status, Stop

POLL = 0.02
"""Seconds between two questions whether what is waited for has happened."""


class Life(Inputs):
    """The part of a `StreamingContext` that begins, holds up and ends."""

    _ended: Flag
    _failures: deque[Failure]
    _subscriptions: dict[str, list[Subscription]]
    _hang_ups: list[Callable[[], None]]
    settled: Callable[..., list[RDD[Any]]]
    _gone = False
    _active: ClassVar[Life | None] = None

    def start(self) -> None:
        """Begin with the batches. Streams can be added, replaced and removed afterwards too.

        Raises:
            NotRunning: the context has been stopped.
        """
        if self._ended.is_set():
            raise NotRunning("a context that has been stopped does not start again: make a new one")
        self.connection.request(Start())
        Life._active = self

    @classmethod
    def get_active(cls) -> Self | None:
        """Return the context that was started last in this process, if it has not been stopped.

        Example:
            >>> from livebatch import StreamingContext
            >>> from livebatch.testing import ManualContext
            >>> with ManualContext() as ssc:
            ...     ssc.start()
            ...     StreamingContext.get_active() is ssc
            True
        """
        return Life._active  # type: ignore[return-value]

    @classmethod
    def get_or_create(
        cls, checkpoint_path: str | Path, setup_func: Callable[[], Self], **options: Any
    ) -> Self:
        """Return a context that goes on from a checkpoint; the one that a function makes, if there
        is none.

        Args:
            checkpoint_path: the folder of the checkpoint.
            setup_func: takes nothing, makes the context and its streams; it calls
                ``ssc.checkpoint(checkpoint_path)``, or gives the context that folder.
            options: for the context that goes on, see `StreamingContext`; how long batches are and
                what is computed are as they were.

        Raises:
            EngineError: the checkpoint is of another version.
            DefinitionError: ``setup_func`` makes no context.

        Example:
            ``ssc = StreamingContext.get_or_create("ckpt/", make_streams)``
        """
        if exists(absolute(checkpoint_path)):
            return cls(checkpoint=checkpoint_path, **options)  # type: ignore[call-arg]
        made = setup_func()
        if not isinstance(made, cls):
            raise DefinitionError(f"setup_func must return a StreamingContext, not {made!r}")
        return made

    @classmethod
    def get_active_or_create(
        cls,
        checkpoint_path: str | Path | None,
        setup_func: Callable[[], Self],
    ) -> Self:
        """Return the context that this process has started, if there is one; else as
        `get_or_create`, or without a folder what ``setup_func`` makes.

        Args:
            checkpoint_path: the folder of the checkpoint; None: there is none.
            setup_func: takes nothing, makes the context and its streams.

        Example:
            >>> from livebatch import StreamingContext
            >>> from livebatch.testing import ManualContext
            >>> with ManualContext() as ssc:
            ...     ssc.start()
            ...     StreamingContext.get_active_or_create("ckpt/", ManualContext) is ssc
            True
        """
        active = cls.get_active()
        if active is not None:
            return active
        return (
            setup_func()
            if checkpoint_path is None
            else cls.get_or_create(checkpoint_path, setup_func)
        )

    def checkpoint(self, directory: str | Path) -> None:
        """Keep checkpoints in a folder from now on, from which `get_or_create` goes on.

        Args:
            directory: by path or URI; only this engine uses it.

        Raises:
            EngineError: there is a checkpoint already, or the engine has another folder; another
                engine uses it, or it cannot be written.

        Example:
            >>> import tempfile
            >>> from livebatch.testing import ManualContext, collected
            >>> folder = tempfile.mkdtemp()
            >>> def make_streams():
            ...     ssc = ManualContext("1s")
            ...     ssc.checkpoint(folder)
            ...     numbers = ssc.queue_stream([[1], [2], [3]]).map(lambda n: ("sum", n))
            ...     sums = numbers.update_state_by_key(lambda new, before: sum(new, before or 0))
            ...     ssc.register("sums", sums)
            ...     ssc.start()
            ...     return ssc
            >>> ssc = ManualContext.get_or_create(folder, make_streams)
            >>> ssc.advance("1s")
            >>> again = ManualContext.get_or_create(folder, make_streams, at=ssc.clock.now())
            >>> again.advance("2s")
            >>> again.streams["sums"].latest().collect()
            [('sum', 6)]
        """
        self.connection.request(KeepCheckpoints(absolute(directory)))

    def remember(self, duration: Duration) -> None:
        """Have every stream, those to come included, remember its batches at least so long.

        Args:
            duration: how long; what a stream or a name asks for itself holds if it is longer.

        Example:
            ``ssc.remember("1h")``
        """
        self.connection.request(Remember(to_millis(duration)))

    def add_streaming_listener(self, streaming_listener: StreamingListener) -> None:
        """Have a listener told how batches, outputs and sources get on, in a thread of this
        process, from now on.

        Args:
            streaming_listener: see `StreamingListener`; what it raises is logged.

        Example:
            ``ssc.add_streaming_listener(PrintDelays())``
        """
        heard = Relay(streaming_listener).heard
        self._hang_ups.append(self.connection.listen(heard, apart=True))

    def pause(self, name: str) -> None:
        """Have a named stream compute no batches from the next one on, for all clients, until
        `resume`.

        The batches of a pause are left out, not put off: input that belongs to them is dropped.
        Whatever is computed from the stream batch by batch has no batch then either (joins and
        unions with other streams included), states stand still, and windows go on without the
        batches that are missing. What the stream itself is computed from runs on if anything
        else needs it. A stream that is defined anew under the name is not paused.

        Args:
            name: the stream's.

        Raises:
            NotRunning: there is no such stream.

        Example:
            >>> from livebatch.testing import ManualContext, collected
            >>> with ManualContext("1s") as ssc:
            ...     ticks = ssc.register("ticks", ssc.queue_stream([[1], [2], [3]]))
            ...     batches = collected(ticks)
            ...     ssc.start()
            ...     ssc.advance("1s")
            ...     ssc.pause("ticks")
            ...     ssc.advance("1s")
            ...     ssc.resume("ticks")
            ...     ssc.advance("1s")
            ...     batches
            [[1], [3]]
        """
        self.connection.request(Pause(name))

    def resume(self, name: str) -> None:
        """Have a paused stream go on from the next batch.

        Args:
            name: the stream's.

        Raises:
            NotRunning: there is no such stream.
        """
        self.connection.request(Pause(name, False))

    def resize(self, workers: int) -> None:
        """Change the number of workers; tasks under way are finished.

        Raises:
            DefinitionError: it is not at least 1.
        """
        if workers < 1:
            raise DefinitionError(f"at least 1 worker is needed, not {workers}")
        self.connection.request(Resize(workers))

    def detach(self) -> None:
        """Leave the engine running and hang up."""
        self._end()
        if not self._gone:
            self._gone = True
            self.connection.close()

    def _end(self) -> bool:
        """Listen no more; return whether this was the first time."""
        if self._ended.is_set():
            return False
        self._ended.set()
        if Life._active is self:
            Life._active = None
        for hang_up in self._hang_ups:
            hang_up()
        for owner in list(self._subscriptions):
            self._unsubscribe(owner)
        return True

    def _unsubscribe(self, owner: str) -> None:
        for subscription in self._subscriptions.pop(owner, []):
            subscription.close()

    def stop(self, stop_spark_context: bool = True, stop_gracefully: bool = False) -> None:
        """Stop. A context that was stopped does not start again.

        Args:
            stop_spark_context: stop the engine, too; otherwise streams alone are stopped, and
                batch RDDs can still be used.
            stop_gracefully: receive no more, but finish all that was received, within at most ten
                batch intervals.
        """
        first = self._end()
        if stop_spark_context and not self._gone:
            self._gone = True
            self.connection.stop(Stop(stop_gracefully))
        elif first:
            self.connection.request(Stop(stop_gracefully, whole=False))
            while self._running():
                Flag().wait(POLL)

    def _running(self) -> bool:
        status = self.connection.request(Status())
        assert isinstance(status, EngineStatus)
        return status.running

    def await_termination_or_timeout(self, timeout: float) -> bool:
        """Wait until the context is stopped, but at most so many seconds; return whether it was.

        Raises:
            JobFailed: a batch failed; later batches still run.
            EngineLost: the engine is gone.

        Example:
            >>> from livebatch.testing import ManualContext
            >>> with ManualContext() as ssc:
            ...     ssc.start()
            ...     ssc.await_termination_or_timeout(0)
            False
        """
        return self.await_termination(timeout)

    def await_termination(self, timeout: float | None = None) -> bool:
        """Wait until the context is stopped.

        Args:
            timeout: at most so many seconds; None: for ever.

        Returns:
            whether it has stopped.

        Raises:
            JobFailed: a batch failed; later batches still run.
            EngineLost: the engine is gone.
        """
        limit = deadline(timeout)
        while not self._ended.is_set():
            if self._failures:
                raise JobFailed(render(self._failures.popleft()))
            if not self.connection.alive():
                raise EngineLost("the engine is gone; its log says why")
            if limit.passed():
                return False
            left = limit.left()
            self._ended.wait(0.1 if left is None else min(0.1, left))
        return True

    def await_settled(
        self, stream: DStream[Any], wanted: Callable[[RDD[Any]], object], timeout: Duration | None
    ) -> RDD[Any]:
        """Wait for a batch of a named stream that is wanted; see `DStream.await_batch`.

        Raises:
            NotRunning: the stream has no name, or has been stopped.
            TimeoutError: there was none in time.
        """
        limit = deadline(None if timeout is None else to_millis(timeout) / 1000)
        seen = max((rdd.batch_time or 0 for rdd in self.settled(stream, limit=1)), default=0)
        while not limit.passed():
            for rdd in self.settled(stream, after=seen):
                if wanted(rdd):
                    return rdd
                seen = rdd.batch_time or seen
            Flag().wait(POLL)
        raise TimeoutError(
            f"no batch of {stream.name} was as wanted within {timeout}: give it more time, or see "
            f"what {stream.name}.latest() has"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
