"""The engine proper: at each tick it allocates input to a batch, has the graph make jobs of it,
runs them, and keeps what has settled. It knows no socket, no process and no wall clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import livebatch.frames
import livebatch.operators  # noqa: F401
from livebatch.block import BlockRef
from livebatch.clock import Clock
from livebatch.engine.allocation import Allocator
from livebatch.engine.batches import Batches
from livebatch.engine.broadcasts import Broadcasts
from livebatch.engine.commands import JobDone
from livebatch.engine.config import Config, PlanOnly, Receivers
from livebatch.engine.driver import Driver
from livebatch.engine.executors.base import Executor
from livebatch.engine.faults import Faults
from livebatch.engine.intake import Intake
from livebatch.engine.jobs import Job, Jobs
from livebatch.engine.keeping import Keeping
from livebatch.engine.log import BatchLog, Entry, Started
from livebatch.engine.progress import Progress, settled_batch
from livebatch.engine.states import States
from livebatch.errors import NotRunning
from livebatch.events import (
    BatchSettled,
    CheckpointStatus,
    Event,
    Explained,
    SourceState,
    StageCost,
    StreamingStarted,
    StreamPaused,
    StreamRemoved,
)
from livebatch.explain import explained
from livebatch.failure import Failure
from livebatch.filesystems import reason
from livebatch.graph import Graph, Output
from livebatch.graph import Job as OutputJob
from livebatch.interval import Millis
from livebatch.rdd import RDD, blocks_of
from livebatch.rdd.operation import Stored
from livebatch.stream import Input

AD_HOC = 1

RETRY = 0.1
"""Seconds after which it is tried again to log what could not be logged."""


class Engine:
    """Runs a graph of streams, batch by batch.

    Args:
        publish: told of every event.
        receivers: where push sources run; None: nowhere.
        jobs: those under way, where it shares the executor with another engine.

    Attributes:
        tick: the time of the next batch; None: it has not begun, or has been halted.
        trouble: what keeps batches from beginning, in words; else empty.
        checkpoints: tells how they are doing, if it keeps any.
    """

    def __init__(
        self,
        config: Config,
        clock: Clock,
        executor: Executor,
        driver: Driver,
        log: BatchLog,
        publish: Callable[[Event], None],
        receivers: Receivers | None = None,
        jobs: Jobs | None = None,
    ) -> None:
        self.config, self.clock, self.executor, self.log = config, clock, executor, log
        self.graph = Graph(config.batch)
        # Fixed when the engine starts: states and windows stay divided as they are.
        self.runner = PlanOnly(executor.slots)
        self.jobs = jobs or Jobs(executor, driver, lambda rdd: rdd.cuts_lineage)
        self.intake = Intake(config, publish, receivers)
        self._publish, self.receivers = self.intake.relay, receivers
        self.broadcasts = Broadcasts(self.graph, self.jobs, executor, self._publish, self.note)
        self.states = States(self.graph, self.jobs)
        self.allocator = Allocator(self.runner, self.intake)
        self.faults = Faults(self.graph, self.allocator, executor.store)
        self.tick: Millis | None = None
        self.trouble = ""
        self.checkpoints: Callable[[], CheckpointStatus] | None = None
        self._halted = False
        self.progress: dict[str, Progress] = {}
        self.batches = Batches(clock, self.note, self._publish)
        self._allotted: dict[str, RDD[Any]] | None = None
        self.keeping = Keeping(self)
        self._costs: dict[str, StageCost] = {}

    # -- the graph ---------------------------------------------------------------------------

    def define(self, nodes: Sequence[Any], outputs: Sequence[Output]) -> None:
        """Add streams and outputs from the next batch on.

        Raises:
            DefinitionError: they do not fit what is there, or a source cannot be made.
        """
        for node in nodes:
            if node.kind == Input.__name__:
                self.allocator.check(*node.params)
        self.graph.add(nodes, outputs, self.now)
        self.broadcasts.bind()
        self.graph_changed()

    def remove(self, name: str) -> None:
        """Stop a named stream.

        Raises:
            DefinitionError: other streams are computed from it.
            NotRunning: there is no such stream.
        """
        self.graph.remove(name)
        self.graph_changed()
        self._publish(StreamRemoved(name))

    def pause(self, name: str, paused: bool) -> None:
        """Pause a named stream from the next batch on, or have it go on.

        Raises:
            NotRunning: there is no such stream.
        """
        if self.graph.pause(name, paused, self.now):
            self._publish(StreamPaused(name, paused))

    def discard(self, output: str) -> None:
        """Remove an output."""
        self.graph.discard(output)
        self.graph_changed()

    def clear(self) -> None:
        """Remove everything, with all that is kept of it."""
        for output in list(self.graph.outputs):
            self.discard(output)
        self.keeping.forget()

    def graph_changed(self) -> None:
        """Take on what is new in the graph, and drop what is gone."""
        for node in self.graph.nodes.values():
            node.runner = self.runner
        for id, output in self.graph.outputs.items():
            slide = self.graph.stream_of(output).slide
            self.progress.setdefault(id, Progress(output, slide))
        for id in [id for id in self.progress if id not in self.graph.outputs]:
            self._drop_output(id)
        self._costs = {id: c for id, c in self._costs.items() if id in self.graph.nodes}
        self.states.graph_changed()
        inputs = list(self.graph.inputs)
        self.jobs.delete(self.allocator.keep_only(inputs, self.clock.now()))
        if self.receivers is not None and self.tick is not None:
            self.receivers.keep_only(inputs)

    def _drop_output(self, id: str) -> None:
        progress = self.progress.pop(id)
        for job in progress.queue:
            self.batches.close(job.time)
        if progress.current is not None:
            self.jobs.cancel(_job_id(progress.current))
            self.batches.close(progress.current.time)

    # -- time --------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin: the first batch is at the next multiple of the interval.

        Raises:
            NotRunning: it has been halted.
        """
        if self.tick is not None:
            return
        if self._halted:
            raise NotRunning("streams that have been stopped do not start again")
        zero = self.clock.now() // self.config.batch * self.config.batch
        self.log.append(Started(zero))
        self.begin_after(zero)
        self._publish(StreamingStarted(self.clock.now()))

    def begin_after(self, zero: Millis) -> None:
        """Begin: the first batch is an interval after a time."""
        self.graph.start(zero)
        self.tick = zero + self.config.batch
        self.graph_changed()

    def halt(self) -> None:
        """Begin no more batches; what has begun is finished."""
        self.tick, self._halted = None, True
        if self.receivers is not None:
            self.receivers.keep_only([])

    def resume(self) -> None:
        """Go on with what there is to do, after a restart."""
        self.graph_changed()
        for progress in list(self.progress.values()):
            self.go_on(progress)

    def wait(self) -> float:
        """Return how many seconds there are until the next tick."""
        if self.trouble:
            return RETRY
        return 1.0 if self.tick is None else min(1.0, self.clock.wait(self.tick))

    def advance(self) -> bool:
        """Begin the next batch, if its time has come and what it is made of can be logged; return
        whether one has begun. Work is to get on before the next one, however late that is."""
        if self.tick is None or self.clock.now() < self.tick or not self._log(self.tick):
            return False
        time = self.tick
        self.allot(time, self._allotted or {})
        self._allotted = None
        for progress in self.progress.values():
            self.go_on(progress)
        self.batches.close(time)
        self.keeping.forget()
        self.broadcasts.begin(time)
        self.states.keep_up()
        return True

    def poll(self, timeout: float) -> bool:
        """Wait so many seconds for work to get on; return whether it did."""
        return self.jobs.poll(timeout)

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return not self.jobs.pending

    def resize(self, workers: int) -> None:
        """Change the number of workers."""
        self.executor.resize(workers)
        self.jobs.slots_changed()

    @property
    def now(self) -> Millis:
        """Return the time of the last batch that has begun."""
        return self.clock.now() if self.tick is None else self.tick - self.config.batch

    # -- batches -----------------------------------------------------------------------------

    def _log(self, time: Millis) -> bool:
        """Allocate a batch its input, and log that; return whether it could be."""
        inputs = self.graph.inputs_at(time)
        if self._allotted is None:
            self._allotted = {node.id: self._allocate(node, time) for node in inputs}
        return self.note(self.allocator.entry(time, self.graph.version, inputs, self._allotted))

    def note(self, entry: Entry) -> bool:
        """Log an entry; return whether that could be done."""
        try:
            self.log.append(entry)
        except OSError as error:
            self.trouble = f"the log cannot be written: {reason(error)}"
            return False
        self.trouble = ""
        return True

    def allot(self, time: Millis, made: dict[str, RDD[Any]]) -> None:
        """Give a batch its input, and queue what is to be done with it."""
        self.tick = time + self.config.batch
        inputs = [node for node in self.graph.inputs_at(time) if node.id in made]
        for node in inputs:
            if time in node.pauses:
                self.jobs.delete(blocks_of(made[node.id]))
            else:
                node.allocated[time] = made[node.id]
        given = {node.id: made[node.id] for node in inputs if time not in node.pauses}
        for node in inputs:
            node.rdd_at(time)
        jobs = self.graph.jobs_at(time)
        self.batches.begin(time, len(jobs), given)
        for job in jobs:
            self.progress[job.output.id].queue.append(job)

    def _allocate(self, node: Input[Any], time: Millis) -> RDD[Any]:
        try:
            return self.allocator.allocate(node, time)
        except Exception as error:
            self.intake.changed(SourceState(node.id, "stopped", str(error)))
            return RDD(Stored(()), runner=self.runner)

    def go_on(self, progress: Progress) -> None:
        """Work on an output's next batch, unless it is working on one."""
        job = progress.next()
        if job is None:
            return
        settled = partial(self._settled, progress, job)
        failed = partial(self._not_settled, progress, job)
        id, function = _job_id(job), job.output.function
        if function is None:
            strict, urgency = self.config.strict, self.urgency_at(job.time)
            begun = partial(self.batches.work_begins, progress, job)
            self.jobs.run(Job(id, job.rdd, None, settled, failed, None, urgency, strict, begun))
            return
        self.batches.work_begins(progress, job)
        self.jobs.call(
            id,
            function,
            job.time,
            [job.rdd],
            lambda _: settled(JobDone(id, (), 0.0, ())),
            lambda failure: failed(failure, ""),
        )

    def urgency_at(self, time: Millis | None) -> tuple[int, ...]:
        """Return how urgent jobs are that belong to a batch, if that is being made, or to none:
        what a function asks for that a batch waits for must not wait for later batches."""
        if time is None or time not in self.batches:
            return (AD_HOC,)
        return self.config.urgency, time

    def _settled(self, progress: Progress, job: OutputJob, done: JobDone) -> None:
        self._costs.update(done.costs)
        self.graph.took(job.time, {id: c.seconds for id, c in done.costs.items()}, done.stages)
        self.batches.made(job, done.costs)
        begun = self.batches.work_begins(progress, job)
        batch = settled_batch(job, done, begun, self.clock.now())
        progress.finished(batch, job.rdd)
        self.faults.feed(done, job.time)
        self._publish(BatchSettled(batch))
        self.batches.close(job.time)
        self.go_on(progress)

    def _not_settled(
        self, progress: Progress, job: OutputJob, failure: Failure, printed: str
    ) -> None:
        self.give_up(progress, job, f"{failure.kind}: {failure.message}")
        self.batches.failed(job, failure, printed)
        self.batches.close(job.time)
        self.go_on(progress)

    def give_up(self, progress: Progress, job: OutputJob, reason: str) -> None:
        """Go on without an output's batch."""
        progress.failed(reason)
        same = [later.rdd for later in self.unfinished() if later.time == job.time]
        self.states.give_up(self.graph.stream_of(progress.output), job.time, same)

    def unfinished(self) -> Iterator[OutputJob]:
        """Yield what is still to be done."""
        return (job for p in self.progress.values() for job in p.unfinished())

    # -- sources -----------------------------------------------------------------------------

    def received(self, stream: str, block: BlockRef) -> None:
        """Take in a block of a push source."""
        known = stream in self.graph.nodes
        self.jobs.delete(self.allocator.received(stream, block) if known else [block])

    @property
    def drained(self) -> bool:
        """Whether all that was received has been processed."""
        return self.idle and not self.allocator.pending

    # -- questions ---------------------------------------------------------------------------

    def progress_of(self, output: str) -> Progress:
        """Return how an output, by its id or by the name it gives, gets on.

        Raises:
            NotRunning: there is none.
        """
        for progress in self.progress.values():
            if output in (progress.output.id, progress.output.name):
                return progress
        raise NotRunning(f"there is no stream {output} on this engine; run its cell again")

    def known_rdd(self, id: str) -> RDD[Any] | None:
        """Return the RDD of a stream's batch, if it is remembered."""
        owner, _, time = id.partition("@")
        node = self.graph.nodes.get(owner)
        if node is None:
            return None
        if time.isdigit():
            return node.generated.get(int(time))
        return next((rdd for rdd in node.held() if rdd.id == id), None)

    def explain(self, name: str) -> Explained:
        """Return how a named stream is computed, and what its newest batch cost.

        Raises:
            NotRunning: there is no such stream.
        """
        return explained(self.graph.named(name), self._costs)


def _job_id(job: OutputJob) -> str:
    return f"{job.output.id}@{job.time}"
