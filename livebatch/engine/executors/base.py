"""The port behind which tasks run."""

from __future__ import annotations

from typing import Protocol

from livebatch.block import BlockStore
from livebatch.engine.timesheet import Timesheet
from livebatch.tasks import Outcome, Task


class Executor(Protocol):
    """Runs tasks somewhere; it is told which, and says what became of them.

    Attributes:
        slots: how many tasks can run at once.
        spares: how many more can, now and then: copies of tasks that are late.
    """

    slots: int
    spares: int

    @property
    def trouble(self) -> str:
        """What keeps workers from starting; empty: nothing does."""

    @property
    def timesheet(self) -> Timesheet:
        """What the workers are at, by their process ids."""

    @property
    def store(self) -> BlockStore:
        """Where the tasks' blocks lie."""

    def submit(self, task: Task) -> None:
        """Run a task. Its outcome comes from `poll`, exactly once unless it is killed."""

    def kill(self, task: str) -> None:
        """Stop a task if it still runs; its outcome may or may not come."""

    def poll(self, timeout: float) -> list[Outcome]:
        """Wait for outcomes, at most so many seconds, and return those there are."""

    def resize(self, slots: int) -> None:
        """Run so many tasks at once from now on; tasks under way are finished."""

    def drop_code(self, digests: set[str]) -> None:
        """Have the workers free code; it is sent again with the next task that needs it."""

    def pids(self) -> tuple[int, ...]:
        """Return the process ids of the workers."""

    def close(self) -> None:
        """Stop everything that was started."""
