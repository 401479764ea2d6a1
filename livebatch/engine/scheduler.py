"""Which task runs when: a state machine, events in, commands out. It knows no process, no clock
and no store, so retries, lost workers and cancelled jobs are tested as plain values."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TypeAlias

from msgspec.structs import replace

from livebatch.engine.blame import worker_died
from livebatch.engine.commands import (
    Command,
    Elapsed,
    Event,
    JobBegun,
    JobCancelled,
    JobDone,
    JobGivenUp,
    JobSubmitted,
    Kill,
    Launch,
    Release,
    SlotsChanged,
    StageAdded,
    StageKept,
)
from livebatch.engine.costs import streams_in
from livebatch.engine.dag import Stage, copied, make_task
from livebatch.engine.speculation import Speculation
from livebatch.engine.stagerun import StageRun, Try
from livebatch.failure import Failure
from livebatch.taskcontext import Attempt
from livebatch.tasks import Done, Failed, Lost, Task

PIECES = 8
"""Each time that a task has lacked memory it is cut into so many times as many pieces."""

MAX_LOST = 4
"""A task that was running when so many workers died is given up."""

_Rank: TypeAlias = tuple[tuple[int, ...], int]


@dataclass
class _Job:
    event: JobSubmitted
    rank: _Rank
    stages: frozenset[str]
    begun: bool = False

    @property
    def result(self) -> str:
        return self.event.stages[-1].id


class Scheduler:
    """Runs jobs' stages over a number of slots; jobs that need the same stage share it."""

    def __init__(self, slots: int = 0, spares: int = 0) -> None:
        self._slots, self._spares = slots, spares
        self._speculation = Speculation()
        self._stages: dict[str, StageRun] = {}
        self._after: dict[str, list[str]] = {}  # the stages that wait for one
        self._ready: list[tuple[_Rank, str, str]] = []  # a heap; some are out of date
        self._jobs: dict[str, _Job] = {}
        self._running: dict[str, str] = {}
        self._submitted = self._planned = self._launched = 0
        self._commands: list[Command] = []

    @property
    def jobs(self) -> Iterable[str]:
        """The jobs under way."""
        return self._jobs.keys()

    @property
    def running(self) -> int:
        """How many tasks run."""
        return len(self._running)

    def progress(self, job: str) -> tuple[int, int]:
        """Return how many tasks of a job are done, and how many there are; none if it is over."""
        stages = self._jobs[job].event.stages if job in self._jobs else ()
        done = sum(len(self._stages[stage.id].done) for stage in stages)
        return done, sum(len(stage.splits) for stage in stages)

    def handle(self, event: Event) -> list[Command]:
        """Take note of what happened and return what is to be done."""
        match event:
            case JobSubmitted():
                self._submit(event)
            case JobCancelled():
                self._drop(event.job)
            case SlotsChanged():
                self._slots, self._spares = event.slots, event.spares
            case Elapsed():
                self._run_late_again(event.seconds)
            case Done():
                self._done(event)
            case Failed():
                self._failed(event)
            case Lost():
                self._lost(event)
        self._launch()
        commands, self._commands = self._commands, []
        return commands

    def _submit(self, event: JobSubmitted) -> None:
        self._submitted += 1
        needed = frozenset(stage.id for stage in event.stages)
        job = _Job(event, (event.urgency, self._submitted), needed)
        self._jobs[event.job] = job
        for stage in event.stages:
            if stage.id not in self._stages:
                self._add(stage)
            elif self._stages[stage.id].running or self._stages[stage.id].done:
                self._begin(stage.id)
            if self._stages[stage.id].ready:
                heappush(self._ready, (job.rank, stage.id, event.job))
        self._settle()

    def _add(self, stage: Stage) -> None:
        waits = {p for p in stage.parents if not self._is_complete(p)}
        for parent in waits:
            self._after.setdefault(parent, []).append(stage.id)
        pending = deque(range(len(stage.splits)))
        self._planned += 1
        self._stages[stage.id] = StageRun(
            stage, waits, pending, streams=streams_in(stage), number=self._planned
        )
        if not stage.splits:
            self._completed(stage.id)

    def _begin(self, stage: str) -> None:
        """Report the jobs of a stage that had not begun."""
        for name, job in self._jobs.items():
            if not job.begun and stage in job.stages:
                job.begun = True
                self._commands.append(JobBegun(name))

    def _is_complete(self, stage: str) -> bool:
        return stage in self._stages and self._stages[stage].complete

    def _done(self, event: Done) -> None:
        found = self._take(event.task)
        if found is None:
            if event.block is not None:  # of a task that nobody waits for any more
                self._commands.append(Release((event.block,)))
            return
        state, index = found[0], found[1].index
        for copy in state.at(index):
            self._take(copy)
            self._commands.append(Kill(copy))
        state.done[index] = event
        self._speculation.finished(state, index, event)
        if state.complete and (failure := state.too_many_bad()):
            self._release(state)
            self._give_up(state.stage.id, failure, None)
        elif state.complete:
            self._completed(state.stage.id)
            self._settle()

    def _completed(self, id: str) -> None:
        state = self._stages[id]
        if id.endswith(".keep"):
            blocks = tuple(b for i in range(len(state.done)) if (b := state.done[i].block))
            self._commands.append(StageKept(state.stage, blocks))
        if added := tuple(done.added for done in state.done.values() if done.added):
            self._commands.append(StageAdded(state.stage, added))
        for later in self._after.pop(id, ()):
            if later in self._stages:
                self._stages[later].waits.discard(id)
                self._offer(later)

    def _offer(self, id: str) -> None:
        """Have a stage's tasks run, for each job that needs them, if they can."""
        if self._stages[id].ready:
            for name, job in self._jobs.items():
                if id in job.stages:
                    heappush(self._ready, (job.rank, id, name))

    def _settle(self) -> None:
        """Report the jobs whose result is complete."""
        for name, job in list(self._jobs.items()):
            state = self._stages[job.result]
            if state.complete and not state.waits:
                needed = [self._stages[s.id] for s in job.event.stages]
                outcomes = [done for s in needed for done in s.done.values()]
                result = tuple(state.done[i] for i in range(len(state.done)))
                seconds = sum(done.seconds for done in outcomes)
                bad = tuple(done.bad for done in outcomes if done.bad)
                printed = "".join(done.output for done in outcomes)
                first = [done for s in needed if not s.stage.parents for done in s.done.values()]
                read = sum(done.rows for done in first)
                costs = {id: s.cost for s in needed for id in s.streams}
                faults = tuple(f for s in needed if (f := s.faults).bad) if bad else ()
                took = {s.cost.stage: s.cost.seconds for s in needed if s.done}
                self._commands.append(
                    JobDone(name, result, seconds, bad, printed, read, costs, faults, took)
                )
                self._drop(name)

    def _failed(self, event: Failed) -> None:
        found = self._take(event.task)
        if found is None:
            return
        state, attempt = found
        if not (event.memory and self._runs_again(state, attempt.index, event.memory)):
            self._give_up(state.stage.id, event.failure, event.lost, event.output)

    def _lost(self, event: Lost) -> None:
        found = self._take(event.task)
        if found is None:
            return
        state, attempt = found
        if not self._runs_again(state, attempt.index, event.memory):
            failure = worker_died(attempt.task, state.lost[attempt.index], event.reason)
            self._give_up(state.stage.id, failure, None)

    def _runs_again(self, state: StageRun, index: int, memory: bool) -> bool:
        """Have a task that was lost run again, unless a copy of it runs; return whether either
        does: a task that has been lost too often does not."""
        state.lost[index] += 1
        state.short[index] += memory
        if state.at(index):
            return True
        if state.lost[index] >= MAX_LOST:
            return False
        state.pending.appendleft(index)
        self._offer(state.stage.id)
        return True

    def _give_up(self, stage: str, failure: Failure, lost: str | None, printed: str = "") -> None:
        stale = {stage, *(id for id, state in self._stages.items() if state.wrote(lost))}
        for name, job in list(self._jobs.items()):
            if not stale.isdisjoint(job.stages):
                self._commands.append(JobGivenUp(name, failure, lost, printed))
                self._drop(name)

    def _take(self, task: str) -> tuple[StageRun, Try] | None:
        """Return the stage and the attempt of a running task, which runs no more."""
        stage = self._running.pop(task, None)
        if stage is None:
            return None
        state = self._stages[stage]
        return state, state.running.pop(task)

    def _drop(self, job: str) -> None:
        """Forget a job and the stages that only it needed."""
        if self._jobs.pop(job, None) is None:
            return
        needed = set[str]().union(*(other.stages for other in self._jobs.values()))
        for id in [id for id in self._stages if id not in needed]:
            state = self._stages.pop(id)
            self._after.pop(id, None)
            for task in state.running:
                del self._running[task]
                self._commands.append(Kill(task))
            if id.endswith(".map") or not state.complete:
                self._release(state)

    def _release(self, state: StageRun) -> None:
        """Have what a stage has written so far deleted."""
        blocks = tuple(done.block for done in state.done.values() if done.block)
        state.done.clear()
        if blocks:
            self._commands.append(Release(blocks))

    def _launch(self) -> None:
        while self._ready and self._free > 0:
            rank, id, name = self._ready[0]
            job, state = self._jobs.get(name), self._stages.get(id)
            if job is None or job.rank != rank or state is None or not state.ready:
                heappop(self._ready)
            else:
                self._start(state, state.pending.popleft(), job.event.strict)

    @property
    def _free(self) -> int:
        return self._slots - len(self._running)

    def _run_late_again(self, seconds: Mapping[str, float]) -> None:
        """Start copies of tasks that are late, the latest first, on free slots and spare ones."""
        self._launch()
        known = [id for id in self._running if id in seconds]
        for id in sorted(known, key=lambda id: -seconds[id]):
            state = self._stages[self._running[id]]
            late = state.running[id]
            if self._free + self._spares <= 0 or not self._slots:
                return
            alone = state.at(late.index) == [id]
            if alone and self._speculation.is_late(state, late, seconds[id]):
                self._run(state, late.index, copied(late.task, self._launched + 1))

    def _start(self, state: StageRun, index: int, strict: bool) -> None:
        outputs = {
            id: [block for i in range(len(s.done)) if (block := s.done[i].block) is not None]
            for id in state.stage.parents
            if (s := self._stages.get(id)) is not None
        }
        try:
            task = make_task(state.stage, index, self._launched + 1, outputs, strict)
        except KeyError as missing:  # another job has met a lost block, and changed the lineage
            failure = Failure("BlockLost", f"blocks of {missing} are computed again")
            self._give_up(state.stage.id, failure, "")
            return
        self._run(state, index, task)

    def _run(self, state: StageRun, index: int, task: Task) -> None:
        self._launched += 1
        before, split = state.lost[index] + len(state.at(index)), state.stage.splits[index]
        attempt = Attempt(state.number, split, self._launched, before, state.stage.time)
        task = replace(task, attempt=attempt, pieces=PIECES ** state.short[index])
        self._begin(state.stage.id)
        state.running[task.id] = Try(index, task)
        self._running[task.id] = state.stage.id
        self._commands.append(Launch(task))
