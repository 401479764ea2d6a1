"""From an RDD and what is wanted of it to results: expands transforms in the driver, plans
stages, runs them, and plans again without a block that was lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from livebatch.accumulator import Piece, merged
from livebatch.block import BlockRef
from livebatch.calls import Call, CallOutcome, Raised
from livebatch.clock import Timer
from livebatch.closures import Function, builtin
from livebatch.engine.accumulators import Accumulators
from livebatch.engine.commands import (
    Elapsed,
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
from livebatch.engine.commands import Event as SchedulerEvent
from livebatch.engine.dag import Stage, deferred, plan_answer, plan_keep
from livebatch.engine.driver import Driver
from livebatch.engine.executors.base import Executor
from livebatch.engine.scheduler import Scheduler
from livebatch.failure import Failure, describe
from livebatch.interval import Millis
from livebatch.rdd import RDD, ancestors, blocks_of, from_lineage, to_lineage
from livebatch.rdd.operation import Deferred, Stored, Unioned
from livebatch.tasks import Task

MAX_REPLANS = 3

LOOK = 0.1
"""Seconds between looks at how long tasks have been running (``spark.speculation.interval``)."""


@dataclass(eq=False)
class Job:
    """What is wanted of an RDD, and who wants it.

    Attributes:
        action: applied to each partition; None: the RDD is to be kept as blocks.
        splits: which partitions; None: all.
        done, failed: called once, one of them; ``failed`` with what was printed, too.
        begun: called when work on it begins; again if it has to be planned again.
        time: of the batch that asks for it, if one does.
        said: by the transforms that it waited for.
        stages: those it was planned to have, in all plans.
    """

    id: str
    rdd: RDD[Any]
    action: Function | None
    done: Callable[[JobDone], None]
    failed: Callable[[Failure, str], None]
    splits: Sequence[int] | None = None
    urgency: tuple[int, ...] = ()
    strict: bool = False
    begun: Callable[[], object] = lambda: None
    time: Millis | None = None
    replans: int = 0
    said: str = ""
    stages: set[str] = field(default_factory=set)


@dataclass
class _Call:
    message: Call
    done: Callable[[Any], None]
    failed: Callable[[Failure], None]
    known: dict[str, RDD[Any]]


class Jobs:
    """The jobs under way.

    Args:
        cut: says of an RDD that is now stored whether to forget how it was computed.

    Attributes:
        persisted: RDDs that clients have persisted, by id.
    """

    def __init__(
        self,
        executor: Executor,
        driver: Driver,
        cut: Callable[[RDD[Any]], bool],
    ) -> None:
        self._executor, self.driver, self._cut = executor, driver, cut
        self._scheduler = Scheduler()
        self.persisted: dict[str, RDD[Any]] = {}
        self._jobs: dict[str, Job] = {}
        self._calls: dict[str, _Call] = {}
        self._tasks: dict[str, Task] = {}
        self._waiting: dict[str, list[Job]] = {}
        self._merges = count(1)
        self._look = Timer(LOOK)
        self.deleted: Callable[[Sequence[str]], None] = lambda ids: None
        self.accumulators = Accumulators(self._merge)
        self.slots_changed()

    def slots_changed(self) -> None:
        """Take note that the executor runs another number of tasks at once."""
        self._handle(SlotsChanged(self._executor.slots, self._executor.spares))

    @property
    def pending(self) -> int:
        """How many jobs and calls are under way."""
        return len(self._jobs) + len(self._calls)

    def progress(self, job: str) -> tuple[int, int]:
        """Return how many tasks of a job are done, and how many are known of."""
        return self._scheduler.progress(job)

    def rdds(self) -> list[RDD[Any]]:
        """Return the RDDs that jobs and calls under way are about."""
        called = [rdd for call in self._calls.values() for rdd in call.known.values()]
        return [*(job.rdd for job in self._jobs.values()), *called]

    def under_way(self) -> list[Any]:
        """Return all that functions of the user's are needed for: actions, tasks and calls."""
        actions = [job.action for job in self._jobs.values() if job.action is not None]
        calls = [call.message for call in self._calls.values()]
        return [*actions, *calls, *self._tasks.values(), *self.accumulators.params()]

    def run(self, job: Job) -> None:
        """Start a job."""
        self._jobs[job.id] = job
        transforms = deferred(job.rdd)
        for rdd in transforms:
            self._waiting.setdefault(rdd.id, []).append(job)
            if rdd.id not in self._calls:
                self._expand(rdd)
        if transforms:
            job.begun()
        else:
            self._submit(job)

    def call(
        self,
        id: str,
        function: Function,
        time: int,
        rdds: Sequence[RDD[Any]],
        done: Callable[[Any], None],
        failed: Callable[[Failure], None],
        wants_rdd: bool = False,
        wants_value: bool = False,
    ) -> None:
        """Have a function on RDDs called in the driver."""
        known = {node.id: node for node in ancestors(*rdds)}
        message = Call(id, function, time, tuple(map(to_lineage, rdds)), wants_rdd, wants_value)
        self._calls[id] = _Call(message, done, failed, known)
        self.driver.submit(message)

    def _merge(
        self, param: Function, pieces: Sequence[Piece], done: Callable[[Piece | None], None]
    ) -> None:
        function = builtin(merged, param, list(pieces))
        id = f"sum{next(self._merges)}"
        self.call(id, function, 0, [], done, lambda _: done(None), wants_value=True)

    def cancel(self, id: str) -> None:
        """Forget a job or a call; neither of its callbacks is called."""
        if id in self._jobs:
            self._ended(id)
            self._handle(JobCancelled(id))
            self._cancel_transforms()
        if self._calls.pop(id, None) is not None:
            self.driver.cancel(id)

    def _cancel_transforms(self) -> None:
        """Cancel the transforms that nobody waits for any more."""
        for rdd, jobs in list(self._waiting.items()):
            if not any(job.id in self._jobs for job in jobs):
                del self._waiting[rdd]
                self.cancel(rdd)

    def poll(self, timeout: float) -> bool:
        """Wait so many seconds for something to happen; return whether anything did."""
        returned = self._take_calls()
        results = self._executor.poll(0 if returned else timeout)
        if self._look.due():
            self._handle(Elapsed(self._executor.timesheet.running()))
        for result in results:
            self._tasks.pop(result.task, None)
            self._handle(result)
        return bool(self._take_calls() or returned or results)

    def _take_calls(self) -> int:
        outcomes = self.driver.poll()
        for outcome in outcomes:
            self._called(outcome)
        return len(outcomes)

    # -- transforms --------------------------------------------------------------------------

    def _expand(self, rdd: RDD[Any]) -> None:
        operation = rdd.operation
        assert isinstance(operation, Deferred)

        def done(result: RDD[Any]) -> None:
            if isinstance(result.operation, Stored) and result not in rdd.parents:
                rdd.become(result.operation)
            else:
                rdd.become(Unioned(), [result])
            self._resume(rdd.id, None)

        def failed(failure: Failure) -> None:
            self._resume(rdd.id, failure)

        self.call(rdd.id, operation.function, operation.time, rdd.parents, done, failed, True)

    def _resume(self, id: str, failure: Failure | None) -> None:
        for job in self._waiting.pop(id, []):
            if job.id not in self._jobs:
                continue
            if failure is not None:
                self._jobs.pop(job.id)
                job.failed(failure, "")
            elif not any(job in jobs for jobs in self._waiting.values()):
                self.run(job)

    def _called(self, outcome: CallOutcome) -> None:
        call = self._calls.pop(outcome.call, None)
        if call is None:
            return
        if isinstance(outcome, Raised):
            call.failed(outcome.failure)
        elif outcome.rdd is None:
            call.done(outcome.value)
        else:
            for job in self._waiting.get(outcome.call, ()):
                job.said += outcome.said
            runner = next((rdd.runner for rdd in call.known.values() if rdd.runner), None)
            call.done(from_lineage(outcome.rdd, runner, {**self.persisted, **call.known}))

    # -- stages ------------------------------------------------------------------------------

    def _submit(self, job: Job) -> None:
        try:
            stages = self._plan(job)
        except Exception as error:
            del self._jobs[job.id]
            job.failed(describe(error), "")
            return
        job.stages.update(stage.id for stage in stages)
        if stages:
            self._handle(JobSubmitted(job.id, stages, job.urgency, job.strict))
        else:
            del self._jobs[job.id]
            job.done(JobDone(job.id, (), 0.0, (), job.said))

    def _plan(self, job: Job) -> list[Stage]:
        if job.action is None:
            return plan_keep(job.rdd)
        return plan_answer(job.id, job.rdd, job.action, job.splits, job.time)

    def _handle(self, event: SchedulerEvent) -> None:
        for command in self._scheduler.handle(event):
            match command:
                case Launch():
                    self._tasks[command.task.id] = command.task
                    self._executor.submit(command.task)
                case Kill():
                    self._tasks.pop(command.task, None)
                    self._executor.kill(command.task)
                case StageKept():
                    rdd = command.stage.rdd
                    rdd.store(command.blocks, self._cut(rdd))
                case StageAdded():
                    self.accumulators.stage_done(command.stage, command.added)
                case Release():
                    self.delete(command.blocks)
                case JobBegun():
                    self._jobs[command.job].begun()
                case JobDone():
                    job = self._ended(command.job)
                    job.done(replace(command, printed=job.said + command.printed))
                case JobGivenUp():
                    self._given_up(command)

    def _given_up(self, command: JobGivenUp) -> None:
        job = self._jobs[command.job]
        if command.lost is not None and job.replans < MAX_REPLANS:
            job.replans += 1
            if _without(job.rdd, command.lost, every=job.replans > 1):
                self._submit(job)
                return
        self._ended(command.job).failed(command.failure, command.printed)

    def _ended(self, id: str) -> Job:
        job = self._jobs.pop(id)
        self.accumulators.job_ended(job.stages)
        return job

    def delete(self, blocks: Sequence[BlockRef]) -> None:
        """Delete blocks."""
        for block in blocks:
            if block.inline is None:
                self._executor.store.delete(block.id)
        self.deleted([block.id for block in blocks])


def _without(rdd: RDD[Any], lost: str, every: bool) -> bool:
    """Have what was stored in a lost block computed anew; False if that cannot be done.

    A block that no RDD is stored in is a shuffle's, which is written again in any case. Where
    one block after the other turns out to be lost, all that can be is computed anew (``every``).
    """
    holders = [node for node in ancestors(rdd) if lost in {block.id for block in blocks_of(node)}]
    possible = [node.restore() for node in holders]
    while every and sum(node.restore() for node in ancestors(rdd)):
        pass
    return all(possible)
