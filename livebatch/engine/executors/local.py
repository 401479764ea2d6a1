"""Runs tasks in worker processes on this machine.

No worker sends heartbeats. That one has died or was stopped, the system tells; of one that is
alive, a thread that beats while the user's code hangs would say nothing, and one that is silent
while the user's code holds the interpreter would lie. Who takes too long is the scheduler's to
judge, which has the task run elsewhere.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import msgspec

from livebatch.block import BlockRef
from livebatch.clock import Deadline, Timer, deadline
from livebatch.closures import codes
from livebatch.engine.child import GRACE, Child, State
from livebatch.engine.executors.starts import Starts
from livebatch.engine.limits import oom_kills
from livebatch.engine.store import Place
from livebatch.engine.timesheet import Timesheet
from livebatch.failure import Failure
from livebatch.tasks import Done, Failed, Lost, Outcome, Task
from livebatch.transport import Hub, Peer
from livebatch.wire import (
    AnyMessage,
    Hello,
)

LOOK = 0.1
"""Seconds between looks at workers that have something to do."""

SPARES = 1
"""So many workers more than can be busy: one that dies has a successor at once."""


@dataclass(eq=False)
class _Worker:
    """A worker process.

    Attributes:
        unwanted: the outcome of its task is of no interest.
        doomed: why it was killed; empty: it was not.
        limit: until when it has to give up its task, or to end.
    """

    child: Child
    peer: Peer | None = None
    task: str | None = None
    unwanted: bool = False
    doomed: str = ""
    limit: Deadline = field(default_factory=lambda: deadline(None))

    @property
    def idle(self) -> bool:
        return self.task is None and not self.doomed


class LocalExecutor:
    """A number of worker processes, and one to spare: the first that is idle takes the next task.
    One that dies is replaced.

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
        self.slots, self.spares = workers, SPARES
        self.timesheet = Timesheet()
        self._hub = hub
        self._args = (address, msgspec.json.encode(place).decode(), str(memory or 0))
        self._look = Timer(LOOK)
        self._queue: deque[Task] = deque()
        self._outcomes: list[Outcome] = []
        self._workers: list[_Worker] = []
        self._starts = Starts()
        self._oom_kills = oom_kills()
        hub.serve("worker", self._heard)
        self._start_missing()

    def submit(self, task: Task) -> None:
        self._queue.append(task)
        self._assign()

    def kill(self, task: str) -> None:
        self._queue = deque(item for item in self._queue if item.id != task)
        for worker in [worker for worker in self._workers if worker.task == task]:
            if not worker.unwanted:
                worker.unwanted, worker.limit = True, deadline(GRACE / 4)
                worker.child.interrupt()
                self._workers.remove(worker)  # until it is free, it counts as the spare one
                self._workers.append(worker)

    def poll(self, timeout: float) -> list[Outcome]:
        if any(not worker.idle for worker in self._workers) or self._queue:
            timeout = min(timeout, self._look.left())
        self._hub.poll(timeout)
        if self._look.due():
            self._look_at_all()
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def resize(self, slots: int) -> None:
        self.slots = slots
        self._start_missing()
        self._retire()

    def drop_code(self, digests: set[str]) -> None:
        self._hub.keep_code("worker", codes.digests() - digests)

    def pids(self) -> tuple[int, ...]:
        return tuple(worker.child.pid for worker in self._workers[: self.slots])

    @property
    def ready(self) -> bool:
        """Whether as many workers as there are slots have called in.

        Raises:
            EngineError: they do not, however often they are started.
        """
        self._starts.check()
        return sum(worker.peer is not None for worker in self._workers) >= self.slots

    @property
    def trouble(self) -> str:
        return self._starts.trouble

    def close(self) -> None:
        for worker in self._workers:
            self._hub.unwatch(worker.child.end)
            worker.child.kill()
        for worker in self._workers:
            worker.child.close()
        self._workers.clear()

    # -- the processes -----------------------------------------------------------------------

    def _start_missing(self) -> None:
        """Start workers; the spare one when the others are there, so that it delays none."""
        there = sum(worker.peer is not None for worker in self._workers)
        wanted = self.slots + (self.spares if there >= self.slots else 0)
        while len(self._workers) < wanted and self._starts.may:
            worker = _Worker(Child("livebatch.engine.worker", *self._args))
            self._workers.append(worker)
            self._watch(worker)

    def _watch(self, worker: _Worker) -> None:
        self._hub.watch(worker.child.end, lambda: self._ended(worker))

    def _retire(self) -> None:
        """End idle workers that are too many."""
        for worker in [worker for worker in reversed(self._workers) if worker.idle]:
            if len(self._workers) > self.slots + self.spares:
                self._hub.unwatch(worker.child.end)
                self._forget(worker)
                worker.child.kill()
                worker.child.close()

    def _look_at_all(self) -> None:
        for worker in list(self._workers):
            state = worker.child.state()
            # What it has forked may hold the pipe open by which its end is known.
            if state is State.ENDED or (worker.doomed and worker.limit.passed()):
                self._hub.unwatch(worker.child.end)
                self._ended(worker)
            elif state is State.STOPPED and not worker.doomed:
                self._end(worker, "was stopped by a signal")
            elif worker.unwanted and worker.limit.passed():
                self._end(worker, "did not give up its task")
        self._start_missing()
        self._give_up_waiting()

    def _end(self, worker: _Worker, reason: str) -> None:
        """Kill a worker. Its task is lost when it has ended; or after a while, when the system
        lets it end no sooner: it comes to do nothing more in any case."""
        worker.doomed, worker.limit = reason, deadline(GRACE)
        worker.child.kill()

    def _ended(self, worker: _Worker) -> None:
        """A worker has ended, or closed the pipe by which that is known: what there may be left
        of it is killed, its task is lost, and another takes its place."""
        worker.child.kill()
        worker.child.close(patience=0)
        self._forget(worker)
        reason, kills = worker.doomed or worker.child.end_of(), oom_kills()
        memory = kills > self._oom_kills and "SIGKILL" in reason
        if memory:
            reason = "was killed by the system, which had run out of memory"
        self._oom_kills = kills
        if worker.task is not None:
            self.store.delete(worker.task)
            if not worker.unwanted:
                self._outcomes.append(Lost(worker.task, reason, memory))
        if worker.peer is None and not worker.doomed:
            self._starts.failed(reason)
        self._start_missing()

    def _forget(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        self.timesheet.forget(worker.child.pid)
        self.store.forget_writer(worker.child.pid)
        if worker.peer is not None:
            self._hub.forget(worker.peer)

    # -- what workers say --------------------------------------------------------------------

    def _heard(self, peer: Peer, tag: bytes, message: AnyMessage) -> None:
        if isinstance(message, Hello):
            for worker in self._workers:
                if worker.child.pid == message.pid:
                    worker.peer = peer
                    self._starts.succeeded()
            self._start_missing()
        elif isinstance(message, (Done, Failed)):
            for worker in [worker for worker in self._workers if worker.peer == peer]:
                self._finished(worker, message)
        self._assign()

    def _finished(self, worker: _Worker, outcome: Done | Failed) -> None:
        if not worker.unwanted:
            self._outcomes.append(outcome)
        elif isinstance(outcome, Done) and outcome.block is not None:
            self._delete(outcome.block)
        self.timesheet.end(worker.child.pid)
        worker.task, worker.unwanted = None, False
        if isinstance(outcome, Failed) and outcome.memory:
            self._end(worker, "had no memory left")  # what is in it now, nobody knows
        self._retire()

    def _delete(self, block: BlockRef) -> None:
        if block.inline is None:
            self.store.delete(block.id)

    def _assign(self) -> None:
        for worker in self._workers:
            if not self._queue:
                return
            if worker.peer is not None and worker.idle:
                task = self._queue.popleft()
                worker.task = task.id
                self.timesheet.begin(worker.child.pid, task.id)
                self._hub.send(worker.peer, task)

    def _give_up_waiting(self) -> None:
        """Fail the tasks that wait, if no worker comes to run them."""
        if self._starts.hopeless and not any(worker.peer for worker in self._workers):
            failure = Failure("WorkerDied", self._starts.trouble)
            self._outcomes += [Failed(task.id, failure) for task in self._queue]
            self._queue.clear()
