"""Who is at work on what: an account of the workers of an executor."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from livebatch.clock import Deadline, deadline, stopwatch

KEPT = 4096
WATCHED = 10.0
"""Seconds that tasks are taken note of after somebody has last asked for them."""


class Ran(NamedTuple):
    """A task that ran, so many seconds ago and for so many seconds; None: it still does."""

    worker: int
    task: str
    ago: float
    seconds: float | None


class Timesheet:
    """Knows how long each worker has been at work and, while somebody asks now and then, which
    tasks ran when; of those the oldest are forgotten first.

    Args:
        now: reads a time in seconds.

    Example:
        >>> time = iter(range(10))
        >>> sheet = Timesheet(now=lambda: float(next(time)))
        >>> sheet.since(0)
        (0, [])
        >>> sheet.begin(7, "a")
        >>> sheet.end(7)
        >>> sheet.begin(7, "b")
        >>> sheet.since(0)[1][0]
        Ran(worker=7, task='a', ago=3.0, seconds=1.0)
        >>> sheet.since(1)
        (1, [Ran(worker=7, task='b', ago=2.0, seconds=None)])
        >>> sheet.running()
        {'b': 3.0}
    """

    def __init__(self, now: Callable[[], float] = stopwatch) -> None:
        self._now = now
        self._begun: dict[int, tuple[str, float]] = {}
        self._worked: dict[int, float] = {}
        self._ended: deque[tuple[int, str, float, float]] = deque(maxlen=KEPT)
        self._count = 0
        self._watched: Deadline = deadline(0)

    def begin(self, worker: int, task: str) -> None:
        """Take note that a worker begins with a task."""
        self._begun[worker] = task, self._now()

    def end(self, worker: int) -> None:
        """Take note that a worker is done with its task, if it has one."""
        if worker not in self._begun:
            return
        task, begun = self._begun.pop(worker)
        seconds = self._now() - begun
        self._worked[worker] = self._worked.get(worker, 0.0) + seconds
        if not self._watched.passed():
            self._ended.append((worker, task, begun, seconds))
            self._count += 1

    def forget(self, worker: int) -> None:
        """Take note that a worker is gone."""
        self.end(worker)
        self._worked.pop(worker, None)

    def running(self) -> dict[str, float]:
        """Return for how many seconds each task that runs has run."""
        now = self._now()
        return {task: now - begun for task, begun in self._begun.values()}

    def worked(self, worker: int) -> float:
        """Return for how many seconds a worker has been at work."""
        current = self._now() - self._begun[worker][1] if worker in self._begun else 0.0
        return self._worked.get(worker, 0.0) + current

    def since(self, after: int) -> tuple[int, list[Ran]]:
        """Return how many tasks have ended and been taken note of, those of them that came after
        so many, and those that run."""
        self._watched = deadline(WATCHED)
        now, fresh = self._now(), max(self._count - after, 0)
        ended = list(self._ended)[-fresh:] if fresh else []
        ran = [Ran(worker, task, now - begun, seconds) for worker, task, begun, seconds in ended]
        running = self._begun.items()
        return self._count, ran + [Ran(w, task, now - begun, None) for w, (task, begun) in running]
