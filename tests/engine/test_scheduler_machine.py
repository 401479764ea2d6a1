"""The scheduler against a model, over random jobs and random outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from statistics import median

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)
from msgspec.structs import replace

from livebatch.engine.commands import (
    Elapsed,
    Event,
    JobCancelled,
    JobDone,
    JobGivenUp,
    JobSubmitted,
    Kill,
    Launch,
    Release,
    SlotsChanged,
    StageKept,
)
from livebatch.engine.dag import Stage
from livebatch.engine.scheduler import MAX_LOST, PIECES, Scheduler
from livebatch.engine.speculation import LEAST, MULTIPLIER, QUANTILE
from livebatch.failure import Failure
from livebatch.rdd import RDD
from livebatch.tasks import Answer, Done, Failed, Lost, Task
from tests.engine.lineages import answer, done, keep, kept, place, source

Place = tuple[str, int]
LONG = 20.0
ERROR = Failure("ValueError", "no")


class Cluster(RuleBasedStateMachine):
    """Does what the scheduler says, and knows independently what it may say."""

    rdds: Bundle[RDD[int]] = Bundle("rdds")

    def __init__(self) -> None:
        super().__init__()
        self.scheduler = Scheduler(2, 1)
        self.slots, self.spares = 2, 1
        self.jobs: dict[str, JobSubmitted] = {}
        self.stages: dict[str, Stage] = {}
        self.done: dict[Place, str] = {}
        self.took: dict[Place, float] = {}
        self.late: set[Place] = set()
        self.losses: Counter[Place] = Counter()
        self.short: Counter[Place] = Counter()
        self.running: dict[str, Task] = {}
        self.gone: list[str] = []
        self.killed: list[Task] = []
        self.seen: set[str] = set()
        self.ended: list[str] = []
        self.written: set[str] = set()
        self.kept: list[str] = []
        self.stored: set[str] = set()
        self.released: list[str] = []

    # -- lineages and jobs -------------------------------------------------------------------

    @initialize(target=rdds)
    def begin(self) -> MultipleResults[RDD[int]]:
        return multiple(source([1]), source([1, 2], [3], [], []), source([1], [2]))

    @rule(target=rdds, partitions=st.integers(0, 3))
    def read(self, partitions: int) -> RDD[int]:
        return source(*[[1, 2]] * partitions)

    @rule(target=rdds, parent=rdds)
    def shuffled(self, parent: RDD[int]) -> RDD[int]:
        return parent.repartition(2)

    @rule(target=rdds, parent=rdds)
    def mapped_and_kept(self, parent: RDD[int]) -> RDD[int]:
        return kept(parent.map(abs))

    @rule(target=rdds, one=rdds, other=rdds)
    def joined(self, one: RDD[int], other: RDD[int]) -> RDD[int]:
        return one.union(other)

    @rule(rdd=rdds, urgency=st.integers(0, 2), as_blocks=st.booleans())
    def submit(self, rdd: RDD[int], urgency: int, as_blocks: bool) -> None:
        name = f"job{len(self.seen)}-{len(self.ended)}-{len(self.jobs)}"
        job = (keep if as_blocks else answer)(name, rdd, urgency)
        if job.stages:
            self.jobs[name] = job
            for stage in job.stages:
                self.stages.setdefault(stage.id, stage)
            self.handle(job)

    # -- what happens to them ----------------------------------------------------------------

    @precondition(lambda self: self.running)
    @rule(data=st.data(), seconds=st.sampled_from([0.01, 0.2, 3.0]))
    def a_task_is_done(self, data: st.DataObject, seconds: float) -> None:
        self.finish(self.stopped(data), seconds)

    @precondition(lambda self: any(self.is_late(place(id), LONG) for id in self.running))
    @rule(data=st.data())
    def time_passes(self, data: st.DataObject) -> None:
        seconds = {id: data.draw(st.sampled_from([LONG, 0.3])) for id in self.running}
        self.late = {place(id) for id in self.running if self.is_late(place(id), seconds[id])}
        self.handle(Elapsed(seconds))
        alone = {where for where in self.late if len(self.at(where)) == 1}
        assert not alone or not self.slots or len(self.running) >= self.slots + self.spares
        self.late = set()

    @precondition(lambda self: self.running)
    @rule(data=st.data(), missed=st.none() | st.just("a block"))
    def a_task_fails(self, data: st.DataObject, missed: str | None) -> None:
        stage, _ = place(task := self.stopped(data).id)
        needing = self.needing(stage)
        assert self.handle(Failed(task, ERROR, missed)) == {
            JobGivenUp(job, ERROR, missed) for job in needing
        }

    @precondition(lambda self: self.running)
    @rule(data=st.data(), times=st.integers(1, MAX_LOST))
    def a_task_is_lost(self, data: st.DataObject, times: int) -> None:
        where = place(task := self.stopped(data).id)
        self.lose(where, Lost(task))
        for _ in range(times - 1):
            if again := self.at(where):
                self.gone.append(self.running.pop(again[0]).id)
                self.lose(where, Lost(again[0]))

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def a_task_lacks_memory(self, data: st.DataObject) -> None:
        task = self.stopped(data)
        self.short[where := place(task.id)] += 1
        self.lose(where, Failed(task.id, ERROR, memory=True))

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def a_job_is_cancelled(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(sorted(self.jobs)))
        self.forget(job)
        assert self.handle(JobCancelled(job)) == set()

    @precondition(lambda self: self.gone)
    @rule(data=st.data(), kind=st.sampled_from([Done, Lost, partial(Failed, failure=ERROR)]))
    def an_outcome_comes_too_late(self, data: st.DataObject, kind: Callable[[str], Event]) -> None:
        before = set(self.running)
        assert self.handle(kind(data.draw(st.sampled_from(self.gone)))) == set()
        assert set(self.running) == before

    @precondition(lambda self: self.killed)
    @rule(data=st.data())
    def a_task_is_done_before_it_is_killed(self, data: st.DataObject) -> None:
        task = data.draw(st.sampled_from(self.killed))
        self.killed.remove(task)
        before = set(self.running)
        if not isinstance(task.purpose, Answer):
            self.written.add(task.id)
        assert self.handle(done(task)) == set()
        assert set(self.running) == before

    @rule(slots=st.integers(0, 3), spares=st.integers(0, 1))
    def slots_change(self, slots: int, spares: int) -> None:
        self.slots, self.spares = slots, spares
        self.handle(SlotsChanged(slots, spares))

    # -- the model ---------------------------------------------------------------------------

    def stopped(self, data: st.DataObject) -> Task:
        """A running task, which runs no more."""
        task = self.running.pop(data.draw(st.sampled_from(sorted(self.running))))
        self.gone.append(task.id)
        return task

    def at(self, where: Place) -> list[str]:
        """The attempts at a task that run."""
        return [task for task in self.running if place(task) == where]

    def is_late(self, where: Place, seconds: float) -> bool:
        splits = self.stages[where[0]].splits
        took = [self.took[where[0], s] for s in splits if (where[0], s) in self.done]
        told = len(took) >= max(1, int(QUANTILE * len(splits)))
        return told and seconds > max(LEAST, MULTIPLIER * median(took))

    def finish(self, task: Task, seconds: float = 0.0) -> None:
        self.done[place(task.id)] = task.id
        self.took[place(task.id)] = seconds
        if not isinstance(task.purpose, Answer):
            self.written.add(task.id)
        self.handle(replace(done(task), seconds=seconds))
        assert not self.at(place(task.id)), "what is done is not computed any longer"

    def lose(self, where: Place, event: Failed | Lost) -> None:
        self.losses[where] += 1
        over = self.losses[where] >= MAX_LOST and not self.at(where)
        needing = self.needing(where[0]) if over else set()
        given_up = self.handle(event)
        assert {end.job for end in given_up} == needing
        assert all(isinstance(end, JobGivenUp) and end.lost is None for end in given_up)

    def handle(self, event: Event) -> set[JobDone | JobGivenUp]:
        """Give an event to the scheduler, do as it says, and return which jobs it ended."""
        ends: set[JobDone | JobGivenUp] = set()
        for command in self.scheduler.handle(event):
            match command:
                case Launch():
                    self.launch(command.task)
                case Kill():
                    self.killed.append(self.running.pop(command.task))
                    self.gone.append(command.task)
                case StageKept():
                    assert self.complete(command.stage.id)
                    self.kept += [block.id for block in command.blocks]
                    self.stored.add(command.stage.id)
                    command.stage.rdd.store(command.blocks)
                case Release():
                    self.released += [block.id for block in command.blocks]
                case JobDone():
                    self.check_result(command)
                    self.forget(command.job)
                case JobGivenUp():
                    ends.add(command)
                    self.forget(command.job)
        assert len(self.running) >= self.slots or not self.ready(), "a slot is idle"
        return ends

    def launch(self, task: Task) -> None:
        assert task.id not in self.seen
        assert task.pieces == PIECES ** self.short[place(task.id)]
        if earlier := self.at(where := place(task.id)):
            assert len(earlier) == 1, "one copy of a task is enough"
            assert where in self.late
            assert len(self.running) < self.slots + self.spares
            assert task.steps == self.running[earlier[0]].steps
        else:
            assert len(self.running) < self.slots
            assert where in self.ready(), "not the most urgent, or not ready"
        assert not {block.id for step in task.steps for block in step.blocks} & {*self.released}
        self.seen.add(task.id)
        self.running[task.id] = task

    def ready(self) -> set[Place]:
        """What may start next: the tasks of the most urgent job that has any that can."""
        busy = {place(task) for task in self.running}
        order = list(self.jobs)
        for job in sorted(self.jobs.values(), key=lambda j: (j.urgency, order.index(j.job))):
            found = {
                (id, split)
                for id in (stage.id for stage in job.stages)
                if all(self.complete(p) or p in self.stored for p in self.stages[id].parents)
                for split in self.stages[id].splits
                if (id, split) not in self.done and (id, split) not in busy
            }
            if found:
                return found
        return set()

    def complete(self, stage: str) -> bool:
        return stage in self.stages and all(
            (stage, split) in self.done for split in self.stages[stage].splits
        )

    def needing(self, stage: str) -> set[str]:
        return {name for name, job in self.jobs.items() if stage in [s.id for s in job.stages]}

    def check_result(self, command: JobDone) -> None:
        result = self.jobs[command.job].stages[-1]
        tasks = tuple(outcome.task for outcome in command.outcomes)
        assert tasks == tuple(self.done[result.id, split] for split in result.splits)

    def forget(self, job: str) -> None:
        assert job not in self.ended
        self.ended.append(job)
        del self.jobs[job]
        for id in [id for id in self.stages if not self.needing(id)]:
            stage = self.stages.pop(id)
            for split in stage.splits:
                self.done.pop((id, split), None)
                self.took.pop((id, split), None)
                del self.losses[id, split], self.short[id, split]

    @invariant()
    def the_tables_agree(self) -> None:
        assert set(self.scheduler.jobs) == set(self.jobs)
        assert self.scheduler.running == len(self.running)

    def teardown(self) -> None:
        """Whatever is left to do can be done, and nothing stays behind."""
        self.slots = 3
        self.handle(SlotsChanged(3))
        while self.running:
            self.finish(self.running.popitem()[1])
        assert not self.jobs
        assert not any((self.scheduler._stages, self.scheduler._jobs, self.scheduler._running))
        assert sorted(self.written) == sorted(self.kept + self.released), "kept or deleted, once"


TestScheduler = Cluster.TestCase
TestScheduler.settings = settings(stateful_step_count=50)
