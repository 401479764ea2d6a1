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
from livebatch.closures import digests
from livebatch.engine.allocation import Allocator, ids_of
from livebatch.engine.batches import Batches, inputs_at
from livebatch.engine.broadcasts import Broadcasts
from livebatch.engine.config import Config, PlanOnly, Receivers
from livebatch.engine.driver import Driver
from livebatch.engine.executors.base import Executor
from livebatch.engine.faults import Faults
from livebatch.engine.intake import Intake
from livebatch.engine.jobs import Job, Jobs
from livebatch.engine.log import BatchLog
from livebatch.engine.progress import Progress, blocks_of, own_blocks, settled_batch
from livebatch.engine.relief import relieve
from livebatch.engine.report import stream_status
from livebatch.engine.scheduler import JobDone
from livebatch.engine.states import States
from livebatch.errors import NotRunning
from livebatch.events import (
    BatchSettled,
    Event,
    Explained,
    SourceState,
    StageCost,
    StreamingStarted,
    StreamPaused,
    StreamRemoved,
    StreamStatus,
)
from livebatch.explain import explained
from livebatch.failure import Failure
from livebatch.graph import Graph, Output
from livebatch.graph import Job as OutputJob
from livebatch.interval import Millis
from livebatch.rdd import RDD, ancestors, operations
from livebatch.rdd.operation import Stored
from livebatch.stream import Input

AD_HOC = 1


class Engine:
    """Runs a graph of streams, batch by batch.

    Args:
        publish: told of every event.
        receivers: where push sources run; None: nowhere.
        jobs: those under way, where it shares the executor with another engine.
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
        self._publish, self._receivers = self.intake.relay, receivers
        self.broadcasts = Broadcasts(self.graph, self.jobs, executor, self._publish)
        self.states = States(self.graph, self.jobs)
        self.allocator = Allocator(self.runner, self.intake)
        self._faults = Faults(self.graph, self.allocator, executor.store)
        self.tick: Millis | None = None
        self._halted = False
        self._progress: dict[str, Progress] = {}
        self._batches = Batches(clock, log, self._publish)
        self._condemned: list[RDD[Any]] = []
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
        self._graph_changed()

    def remove(self, name: str) -> None:
        """Stop a named stream.

        Raises:
            DefinitionError: other streams are computed from it.
            NotRunning: there is no such stream.
        """
        self.graph.remove(name)
        self._graph_changed()
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
        self._graph_changed()

    def clear(self) -> None:
        """Remove everything, with all that is kept of it."""
        for output in list(self.graph.outputs):
            self.discard(output)
        self._forget()

    def _graph_changed(self) -> None:
        for node in self.graph.nodes.values():
            node.runner = self.runner
        for id, output in self.graph.outputs.items():
            slide = self.graph.stream_of(output).slide
            self._progress.setdefault(id, Progress(output, slide))
        for id in [id for id in self._progress if id not in self.graph.outputs]:
            self._drop_output(id)
        self._costs = {id: c for id, c in self._costs.items() if id in self.graph.nodes}
        self.states.graph_changed()
        inputs = list(self.graph.inputs)
        self.jobs.delete(self.allocator.keep_only(inputs, self.clock.now()))
        if self._receivers is not None and self.tick is not None:
            self._receivers.keep_only(inputs)

    def _drop_output(self, id: str) -> None:
        progress = self._progress.pop(id)
        for job in progress.queue:
            self._batches.close(job.time)
        if progress.current is not None:
            self.jobs.cancel(_job_id(progress.current))
            self._batches.close(progress.current.time)

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
        self.graph.start(zero)
        self.tick = zero + self.config.batch
        self._graph_changed()
        self._publish(StreamingStarted(self.clock.now()))

    def halt(self) -> None:
        """Begin no more batches; what has begun is finished."""
        self.tick, self._halted = None, True
        if self._receivers is not None:
            self._receivers.keep_only([])

    def wait(self) -> float:
        """Return how many seconds there are until the next tick."""
        return 1.0 if self.tick is None else min(1.0, self.clock.wait(self.tick))

    def advance(self) -> None:
        """Begin the batches whose time has come."""
        while self.tick is not None and self.clock.now() >= self.tick:
            time, self.tick = self.tick, self.tick + self.config.batch
            self._begin(time)

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

    def _begin(self, time: Millis) -> None:
        inputs = [n for n in self.graph.inputs if (time - n.zero) % n.slide == 0]
        for node in inputs:
            rdd = self._allocate(node, time)
            if time in node.pauses:
                self.jobs.delete(blocks_of(rdd))
            else:
                node.allocated[time] = rdd
        made = inputs_at(inputs, time)
        self._batches.allocated(time, self.graph.version, {id: ids_of(r) for id, r in made.items()})
        for node in inputs:
            node.rdd_at(time)
        jobs = self.graph.jobs_at(time)
        self._batches.begin(time, len(jobs), made)
        for job in jobs:
            progress = self._progress[job.output.id]
            progress.queue.append(job)
            self._next(progress)
        self._batches.close(time)
        self._forget()
        self.broadcasts.begin(time)
        self.states.keep_up()

    def _allocate(self, node: Input[Any], time: Millis) -> RDD[Any]:
        try:
            return self.allocator.allocate(node, time)
        except Exception as error:
            self.intake.changed(SourceState(node.id, "stopped", str(error)))
            return RDD(Stored(()), runner=self.runner)

    def _next(self, progress: Progress) -> None:
        job = progress.next()
        if job is None:
            return
        settled = partial(self._settled, progress, job)
        failed = partial(self._not_settled, progress, job)
        id, function = _job_id(job), job.output.function
        if function is None:
            strict, urgency = self.config.strict, (self.config.urgency, job.time)
            begun = partial(self._batches.work_begins, progress, job)
            self.jobs.run(Job(id, job.rdd, None, settled, failed, None, urgency, strict, begun))
            return
        self._batches.work_begins(progress, job)
        self.jobs.call(
            id,
            function,
            job.time,
            [job.rdd],
            lambda _: settled(JobDone(id, (), 0.0, ())),
            lambda failure: failed(failure, ""),
        )

    def _settled(self, progress: Progress, job: OutputJob, done: JobDone) -> None:
        self._costs.update(done.costs)
        self.graph.took(job.time, {id: c.seconds for id, c in done.costs.items()}, done.stages)
        self._batches.made(job, done.costs)
        begun = self._batches.work_begins(progress, job)
        batch = settled_batch(job, done, begun, self.clock.now())
        progress.finished(batch, job.rdd)
        self._faults.feed(done, job.time)
        self._publish(BatchSettled(batch))
        self._batches.close(job.time)
        self._next(progress)

    def _not_settled(
        self, progress: Progress, job: OutputJob, failure: Failure, printed: str
    ) -> None:
        progress.failed(f"{failure.kind}: {failure.message}")
        same = [later.rdd for later in self._unfinished() if later.time == job.time]
        self.states.give_up(self.graph.stream_of(progress.output), job.time, same)
        self._batches.failed(job, failure, printed)
        self._batches.close(job.time)
        self._next(progress)

    def _unfinished(self) -> Iterator[OutputJob]:
        return (job for p in self._progress.values() for job in p.unfinished())

    def _forget(self) -> None:
        """Drop what is no longer remembered; blocks go when no job needs them any more."""
        now = self.now
        self._condemned += self.graph.forget_before(now)
        for progress in self._progress.values():
            progress.forget_before(now, self.graph.least)
        needed = self._needed() if self._condemned else set()
        for rdd in self._condemned:
            if rdd.id not in needed:
                self.jobs.delete(own_blocks(rdd))
        self._condemned = [rdd for rdd in self._condemned if rdd.id in needed]
        kept = [item for p in self._progress.values() for item in list(p.settled)[:-1]]
        relieve(self.executor.store, [batch for batch, _ in kept])

        unfinished = [job.time for p in self._progress.values() for job in p.unfinished()]
        longest = max((node.remember for node in self.graph.nodes.values()), default=0)
        self.jobs.accumulators.forget_before(min([now, *unfinished]) - longest)

    def _needed(self) -> set[str]:
        """Return the ids of all RDDs that the jobs to be done come from, and of the newest batches,
        which stay however old they are."""
        waiting = [job.rdd for job in self._unfinished()]
        waiting += [p.settled[-1][1] for p in self._progress.values() if p.settled]
        return {node.id for rdd in (*waiting, *self.jobs.rdds()) for node in ancestors(rdd)}

    # -- sources -----------------------------------------------------------------------------

    def received(self, stream: str, block: BlockRef) -> None:
        """Take in a block of a push source."""
        known = stream in self.graph.nodes
        self.jobs.delete(self.allocator.received(stream, block) if known else [block])

    @property
    def drained(self) -> bool:
        """Whether all that was received has been processed."""
        return self.idle and not self.allocator.pending

    def code_in_use(self) -> set[str]:
        """Return the digests of the code that streams, their batches and jobs need."""
        nodes = list(self.graph.nodes.values())
        known = [rdd for node in nodes for rdd in node.held()]
        known += [*self.jobs.rdds(), *self.allocator.waiting()]
        code = [*(node.params for node in nodes), *self.graph.outputs.values()]
        code += [*self.jobs.under_way(), *self.broadcasts.code()]
        for job in self._unfinished():
            known.append(job.rdd)
            code.append(job.output)
        return set(digests([*operations(known), *code]))

    # -- questions ---------------------------------------------------------------------------

    def progress_of(self, output: str) -> Progress:
        """Return how an output, by its id or by the name it gives, gets on.

        Raises:
            NotRunning: there is none.
        """
        for progress in self._progress.values():
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

    def streams(self) -> tuple[StreamStatus, ...]:
        """Return how the named streams are doing."""
        known = self.executor.store.ids()

        def in_memory(block: BlockRef) -> bool:
            return block.inline is not None or block.id in known

        named = [p for p in self._progress.values() if p.output.name]
        return tuple(stream_status(p, self.graph, self.intake, in_memory) for p in named)

    def explain(self, name: str) -> Explained:
        """Return how a named stream is computed, and what its newest batch cost.

        Raises:
            NotRunning: there is no such stream.
        """
        return explained(self.graph.named(name), self._costs)


def _job_id(job: OutputJob) -> str:
    return f"{job.output.id}@{job.time}"
