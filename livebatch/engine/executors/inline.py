"""Runs tasks in the calling thread, one a poll: for tests, and for debugging user code."""

from __future__ import annotations

import os
from collections import deque

from livebatch.block import BlockStore
from livebatch.engine.store import MemoryStore
from livebatch.engine.task import run_task
from livebatch.engine.timesheet import Timesheet
from livebatch.tasks import Outcome, Task


class InlineExecutor:
    """Runs one task a poll, in order of submission."""

    spares = 0
    trouble = ""

    def __init__(self, slots: int = 2, store: BlockStore | None = None) -> None:
        self.store: BlockStore = store or MemoryStore()
        self.slots = slots
        self._tasks: deque[Task] = deque()
        self.timesheet = Timesheet()

    def submit(self, task: Task) -> None:
        self._tasks.append(task)

    def kill(self, task: str) -> None:
        self._tasks = deque(item for item in self._tasks if item.id != task)

    def poll(self, timeout: float) -> list[Outcome]:
        if not self._tasks:
            return []
        task = self._tasks.popleft()
        self.timesheet.begin(os.getpid(), task.id)
        outcome = run_task(task, self.store)
        self.timesheet.end(os.getpid())
        return [outcome]

    def resize(self, slots: int) -> None:
        self.slots = slots

    def drop_code(self, digests: set[str]) -> None:
        """There is but this process's, which others use."""

    def pids(self) -> tuple[int, ...]:
        return (os.getpid(),)

    def close(self) -> None:
        self._tasks.clear()
