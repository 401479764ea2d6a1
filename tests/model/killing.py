"""An executor whose workers die at chosen moments."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable

from livebatch.block import BlockStore
from livebatch.engine.executors.local import LocalExecutor
from livebatch.engine.timesheet import Timesheet
from livebatch.tasks import Outcome, Task


class KillingExecutor:
    """Passes everything on, and kills a worker right after certain tasks were submitted.

    Args:
        executor: with the workers.
        moments: how many tasks there are before each of the deaths.
    """

    def __init__(self, executor: LocalExecutor, moments: Iterable[int]) -> None:
        self._executor, self.slots, self.spares = executor, executor.slots, executor.spares
        self._moments = set(moments)
        self._submitted = 0
        self.killed: list[int] = []

    @property
    def trouble(self) -> str:
        return self._executor.trouble

    @property
    def store(self) -> BlockStore:
        return self._executor.store

    def submit(self, task: Task) -> None:
        self._executor.submit(task)
        self._submitted += 1
        if self._submitted in self._moments:
            pids = self._executor.pids()
            if not pids:  # all are dead already, and their successors have not called in
                self._moments.add(self._submitted + 1)
                return
            self.killed.append(pids[self._submitted % len(pids)])
            os.kill(self.killed[-1], signal.SIGKILL)

    def kill(self, task: str) -> None:
        self._executor.kill(task)

    def poll(self, timeout: float) -> list[Outcome]:
        return self._executor.poll(timeout)

    def resize(self, slots: int) -> None:
        self._executor.resize(slots)
        self.slots = slots

    def drop_code(self, digests: set[str]) -> None:
        self._executor.drop_code(digests)

    def pids(self) -> tuple[int, ...]:
        return self._executor.pids()

    @property
    def timesheet(self) -> Timesheet:
        return self._executor.timesheet

    def close(self) -> None:
        self._executor.close()
