"""How a context lives: it starts, pauses streams, leaves its engine running, and stops."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Event as Flag
from types import TracebackType
from typing import Self

from livebatch.client import Subscription
from livebatch.clock import deadline
from livebatch.errors import DefinitionError, EngineLost, JobFailed
from livebatch.failure import Failure, render
from livebatch.inputs import Inputs
from livebatch.wire import Pause, Resize, Start, Stop


class Life(Inputs):
    """The part of a `StreamingContext` that begins, holds up and ends."""

    _ended: Flag
    _failures: deque[Failure]
    _subscriptions: dict[str, list[Subscription]]
    _hang_up: Callable[[], None]

    def start(self) -> None:
        """Begin with the batches. Streams can be added, replaced and removed afterwards too."""
        self.connection.request(Start())

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
        if self._end():
            self.connection.close()

    def _end(self) -> bool:
        """Listen no more; return whether this was the first time."""
        if self._ended.is_set():
            return False
        self._ended.set()
        self._hang_up()
        for owner in list(self._subscriptions):
            self._unsubscribe(owner)
        return True

    def _unsubscribe(self, owner: str) -> None:
        for subscription in self._subscriptions.pop(owner, []):
            subscription.close()

    def stop(self, stop_gracefully: bool = False) -> None:
        """Stop the engine.

        Args:
            stop_gracefully: receive no more, but finish all that was received.
        """
        if self._end():
            self.connection.stop(Stop(stop_gracefully))

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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
