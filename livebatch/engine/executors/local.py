"""Runs tasks in worker processes on this machine."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import msgspec

from livebatch.clock import Deadline, Timer, deadline
from livebatch.closures import codes
from livebatch.engine.child import GRACE, Child
from livebatch.engine.store import Place
from livebatch.engine.timesheet import Timesheet
from livebatch.tasks import Done, Failed, Lost, Outcome, Task
from livebatch.transport import Hub, Peer
from livebatch.wire import (
    AnyMessage,
    Hello,
)

PATIENCE = 0.5
"""Seconds between looks at whether a worker has been stopped."""


@dataclass(eq=False)
class _Worker:
    child: Child
    peer: Peer | None = None
    task: str | None = None
    unwanted: bool = False
    killed: Deadline = field(default_factory=lambda: deadline(None))


class LocalExecutor:
    """A number of worker processes; one that dies is replaced.

    Args:
        hub: where workers call in.
        address: the hub's.
        place: of the blocks.
        workers: how many.
        memory: bytes that each of them may use for itself; None: no limit.
    """

    def __init__(
        self, hub: Hub, address: str, place: Place, workers: int, memory: int | None = None
    ) -> None:
        self.store = place.open()
        self.slots = workers
        self.timesheet = Timesheet()
        self._hub = hub
        self._args = (address, msgspec.json.encode(place).decode(), str(memory or 0))
        self._look = Timer(PATIENCE)
        self._queue: deque[Task] = deque()
        self._outcomes: list[Outcome] = []
        self._workers: list[_Worker] = []
        hub.serve("worker", self._heard)
        for _ in range(workers):
            self._start()

    def _start(self) -> None:
        worker = _Worker(Child("livebatch.engine.worker", *self._args))
        self._workers.append(worker)
        self._hub.watch(worker.child.end, lambda: self._ended(worker))

    def submit(self, task: Task) -> None:
        self._queue.append(task)
        self._assign()

    def kill(self, task: str) -> None:
        self._queue = deque(item for item in self._queue if item.id != task)
        for worker in self._workers:
            if worker.task == task and not worker.unwanted:
                worker.unwanted, worker.killed = True, deadline(GRACE / 4)
                worker.child.interrupt()

    def poll(self, timeout: float) -> list[Outcome]:
        stuck = [worker for worker in self._workers if worker.unwanted]
        self._hub.poll(min(timeout, 0.1) if stuck else timeout)
        if self._look.due():
            self._kill_stopped()
        for worker in stuck:
            if worker.unwanted and worker.killed.passed():
                worker.child.kill()
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def resize(self, slots: int) -> None:
        self.slots = slots
        for _ in range(slots - len(self._workers)):
            self._start()
        self._retire()

    def _retire(self) -> None:
        """End idle workers that are one too many."""
        for worker in [worker for worker in self._workers if worker.task is None]:
            if len(self._workers) > self.slots:
                self._hub.unwatch(worker.child.end)
                self._forget(worker)
                worker.child.kill()
                worker.child.close()

    def drop_code(self, digests: set[str]) -> None:
        self._hub.keep_code("worker", codes.digests() - digests)

    def pids(self) -> tuple[int, ...]:
        return tuple(worker.child.pid for worker in self._workers)

    def _kill_stopped(self) -> None:
        """Kill workers that something has stopped, such as a debugger or SIGSTOP: nothing else
        tells them from busy ones, and their tasks are run again."""
        for worker in self._workers:
            if worker.task is not None and worker.child.stopped():
                worker.child.kill()

    @property
    def ready(self) -> bool:
        """Whether all workers have called in."""
        return all(worker.peer is not None for worker in self._workers)

    def close(self) -> None:
        for worker in self._workers:
            self._hub.unwatch(worker.child.end)
            worker.child.kill()
        for worker in self._workers:
            worker.child.close()
        self._workers.clear()

    # -- what workers say --------------------------------------------------------------------

    def _heard(self, peer: Peer, tag: bytes, message: AnyMessage) -> None:
        if isinstance(message, Hello):
            for worker in self._workers:
                if worker.child.pid == message.pid:
                    worker.peer = peer
        elif isinstance(message, (Done, Failed)):
            for worker in self._workers:
                if worker.peer == peer:
                    self._finished(worker, message)
        self._assign()

    def _finished(self, worker: _Worker, outcome: Done | Failed) -> None:
        if not worker.unwanted:
            self._outcomes.append(outcome)
        elif isinstance(outcome, Done) and outcome.block is not None:
            self.store.delete(outcome.block.id)
        self.timesheet.end(worker.child.pid)
        worker.task, worker.unwanted = None, False
        self._retire()

    def _ended(self, worker: _Worker) -> None:
        """A worker process has ended: its task is lost, and another takes its place."""
        self._forget(worker)
        worker.child.close()
        if worker.task is not None and not worker.unwanted:
            self._outcomes.append(Lost(worker.task))
        if len(self._workers) < self.slots:
            self._start()

    def _forget(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        self.timesheet.forget(worker.child.pid)
        self.store.forget_writer(worker.child.pid)
        if worker.peer is not None:
            self._hub.forget(worker.peer)

    def _assign(self) -> None:
        for worker in self._workers:
            if not self._queue:
                return
            if worker.peer is not None and worker.task is None:
                task = self._queue.popleft()
                worker.task = task.id
                self.timesheet.begin(worker.child.pid, task.id)
                self._hub.send(worker.peer, task)
