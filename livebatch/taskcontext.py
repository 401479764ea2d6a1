"""TaskContext: what a function that runs in a worker can know of the task it runs in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime

import msgspec

from livebatch.interval import Millis, to_datetime


class Attempt(msgspec.Struct, frozen=True, array_like=True):
    """Which task of which stage this is, and for how many-th time it is tried.

    Attributes:
        stage: the number of its stage.
        partition: which partition of that.
        number: unique, also over attempts.
        before: how many times it was tried before.
        time: of the batch it belongs to, if it does to one.
    """

    stage: int
    partition: int
    number: int
    before: int = 0
    time: Millis | None = None


class TaskContext:
    """The task that calls a function on records; `get` returns it.

    Example:
        >>> from livebatch import TaskContext
        >>> from livebatch.testing import ManualContext
        >>> with ManualContext() as ssc:
        ...     rdd = ssc.parallelize("abc", 3)
        ...     rdd.map(lambda letter: (letter, TaskContext.get().partition_id())).collect()
        [('a', 0), ('b', 1), ('c', 2)]
    """

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt

    @classmethod
    def get(cls) -> TaskContext | None:
        """Return the context of the task that calls; None outside of tasks.

        >>> TaskContext.get() is None
        True
        """
        return _current.get()

    def stage_id(self) -> int:
        """Return the number of the task's stage, unique within an engine.

        Example:
            ``TaskContext.get().stage_id()``
        """
        return self._attempt.stage

    def partition_id(self) -> int:
        """Return the index of the partition that the task computes.

        Example:
            ``TaskContext.get().partition_id()``
        """
        return self._attempt.partition

    def attempt_number(self) -> int:
        """Return how many times the task was tried before, on workers that died: 0 at first.

        Example:
            ``TaskContext.get().attempt_number()``
        """
        return self._attempt.before

    def task_attempt_id(self) -> int:
        """Return a number that no other attempt at a task has, within an engine.

        Example:
            ``TaskContext.get().task_attempt_id()``
        """
        return self._attempt.number

    def batch_time(self) -> datetime | None:
        """Return the time of the batch that the task belongs to, as a local, aware datetime; None
        where it belongs to none.

        A batch that is computed again, for want of a block, has the time it had.

        Example:
            >>> from livebatch.testing import run
            >>> run(lambda s: s.map(lambda n: f"{TaskContext.get().batch_time():%S}"), [[1], [2]])
            [['21'], ['22']]
        """
        time = self._attempt.time
        return None if time is None else to_datetime(time)


_current: ContextVar[TaskContext | None] = ContextVar("task", default=None)


_batch: ContextVar[Millis | None] = ContextVar("batch", default=None)


@contextmanager
def part_of_batch(time: Millis) -> Iterator[None]:
    """Within this, jobs are asked for as part of a batch."""
    token = _batch.set(time)
    try:
        yield
    finally:
        _batch.reset(token)


def time_of_batch() -> Millis | None:
    """Return the time of the batch as part of which this runs, outside of tasks."""
    return _batch.get()


@contextmanager
def running(attempt: Attempt) -> Iterator[None]:
    """Within this, a task is being carried out."""
    token = _current.set(TaskContext(attempt))
    try:
        yield
    finally:
        _current.reset(token)
