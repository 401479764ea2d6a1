"""The engine proper: at each tick it allocates input to a batch, has the graph make jobs of it,
runs them, and keeps what has settled. It knows no socket, no process and no wall clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import livebatch.frames
import livebatch.operators  # noqa: F401
from livebatch.block import BlockRef
from livebatch.clock import Clock
from livebatch.closures import digests
from livebatch.engine.allocation import Allocator, ids_of
from livebatch.engine.config import Config, PlanOnly
from livebatch.engine.driver import Driver
from livebatch.engine.executors.base import Executor
from livebatch.engine.jobs import Job, Jobs
from livebatch.engine.log import Allocated, BatchLog, NotSettled, Settled
from livebatch.engine.progress import Progress, blocks_of, settled_batch
from livebatch.engine.relief import relieve
from livebatch.engine.report import stream_status
from livebatch.engine.scheduler import JobDone
from livebatch.errors import NotRunning
from livebatch.events import (
    BatchFailed,
    BatchSettled,
    Event,
    Explained,
    SourceChanged,
    SourceState,
    StageCost,
    StreamPaused,
    StreamRemoved,
    StreamStatus,
)
from livebatch.explain import explained
from livebatch.failure import Failure
from livebatch.graph import Graph, Output, upstream
from livebatch.graph import Job as OutputJob
from livebatch.interval import Millis
from livebatch.rdd import RDD, ancestors, operations
from livebatch.rdd.operation import Stored
from livebatch.stream import Input

BATCH, AD_HOC = 0, 1


class Receivers(Protocol):
    """Where push sources run."""

    def keep_only(self, inputs: Sequence[Input[Any]]) -> None:
        """Run the sources of these inputs, and no others."""


class Engine:
    """Runs a graph of streams, batch by batch.

    Args:
        publish: told of every event.
        receivers: where push sources run; None: nowhere.
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
    ) -> None:
        self.config, self.clock, self.executor, self.log = config, clock, executor, log
        self.graph = Graph(config.batch)
        # Fixed when the engine starts: states and windows stay divided as they are.
        self.runner = PlanOnly(executor.slots)
        self.jobs = Jobs(executor, driver, self._cuts_lineage)
        self.allocator = Allocator(self.runner)
        self.tick: Millis | None = None
        self._publish, self._receivers = publish, receivers
        self._progress: dict[str, Progress] = {}
        self._open: dict[Millis, int] = {}
        self._failed: set[Millis] = set()
        self._condemned: list[RDD[Any]] = []
        self._costs: dict[str, StageCost] = {}
        self._source_states: dict[str, SourceState] = {}

    # -- the graph ---------------------------------------------------------------------------

    def define(self, nodes: Sequence[Any], outputs: Sequence[Output]) -> None:
        """Add streams and outputs from the next batch on.

        Raises:
            DefinitionError: they do not fit what is there, or a source cannot be made.
        """
        for node in nodes:
            if node.kind == Input.__name__:
                self.allocator.check(*node.params)
        self.graph.add(nodes, outputs, self._now())
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
        if self.graph.pause(name, paused, self._now()):
            self._publish(StreamPaused(name, paused))

    def discard(self, output: str) -> None:
        """Remove an output."""
        self.graph.discard(output)
        self._graph_changed()

    def _graph_changed(self) -> None:
        for node in self.graph.nodes.values():
            node.runner = self.runner
        for id, output in self.graph.outputs.items():
            slide = self.graph.stream_of(output).slide
            self._progress.setdefault(id, Progress(output, slide))
        for id in [id for id in self._progress if id not in self.graph.outputs]:
            self._drop_output(id)
        self._costs = {id: c for id, c in self._costs.items() if id in self.graph.nodes}
        inputs = list(self.graph.inputs)
        self.jobs.delete(self.allocator.keep_only(inputs, self.clock.now()))
        if self._receivers is not None and self.tick is not None:
            self._receivers.keep_only(inputs)

    def _drop_output(self, id: str) -> None:
        progress = self._progress.pop(id)
        for job in progress.queue:
            self._close(job.time)
        if progress.current is not None:
            self.jobs.cancel(_job_id(progress.current))
            self._close(progress.current.time)

    # -- time --------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin: the first batch is at the next multiple of the interval."""
        if self.tick is not None:
            return
        zero = self.clock.now() // self.config.batch * self.config.batch
        self.graph.start(zero)
        self.tick = zero + self.config.batch
        self._graph_changed()

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

    def _now(self) -> Millis:
        """Return the time of the last batch that has begun."""
        return self.clock.now() if self.tick is None else self.tick - self.config.batch

    # -- batches -----------------------------------------------------------------------------

    def _begin(self, time: Millis) -> None:
        inputs = list(self.graph.inputs)
        for node in inputs:
            rdd = self._allocate(node, time)
            if time in node.pauses:
                self.jobs.delete(blocks_of(rdd))
            else:
                node.allocated[time] = rdd
        made = {n.id: ids_of(n.allocated[time]) for n in inputs if time in n.allocated}
        self.log.append(Allocated(time, self.graph.version, made))
        for node in inputs:
            node.rdd_at(time)
        jobs = self.graph.jobs_at(time)
        self._open[time] = len(jobs) + 1
        for job in jobs:
            progress = self._progress[job.output.id]
            progress.queue.append(job)
            self._next(progress)
        self._close(time)
        self._forget()

    def _allocate(self, node: Input[Any], time: Millis) -> RDD[Any]:
        try:
            return self.allocator.allocate(node, time)
        except Exception as error:
            self.source_changed(SourceState(node.id, "stopped", str(error)))
            return RDD(Stored(()), runner=self.runner)

    def _next(self, progress: Progress) -> None:
        job = progress.next()
        if job is None:
            return
        settled = partial(self._settled, progress, job)
        failed = partial(self._not_settled, progress, job)
        id, function = _job_id(job), job.output.function
        if function is None:
            strict, urgency = self.config.strict, (BATCH, job.time)
            begun = partial(progress.begin, self.clock)
            self.jobs.run(Job(id, job.rdd, None, settled, failed, None, urgency, strict, begun))
            return
        progress.begin(self.clock)
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
        batch = settled_batch(job, done, progress.begin(self.clock), self.clock.now())
        progress.finished(batch, job.rdd)
        self._publish(BatchSettled(batch))
        self._close(job.time)
        self._next(progress)

    def _not_settled(
        self, progress: Progress, job: OutputJob, failure: Failure, printed: str
    ) -> None:
        progress.failed(f"{failure.kind}: {failure.message}")
        self._failed.add(job.time)
        self.log.append(NotSettled(job.time, job.output.id, progress.error or ""))
        self._give_up_states(progress, job.time)
        name = job.output.name or job.output.owner or None
        self._publish(BatchFailed(job.output.id, name, job.time, failure, printed))
        self._close(job.time)
        self._next(progress)

    def _give_up_states(self, progress: Progress, time: Millis) -> None:
        """Have states that a failed batch did not reach go on from the batch before, unless
        another output may still get there."""
        same = [job.rdd for p in self._progress.values() for job in p.unfinished()
                if job.time == time]  # fmt: skip
        needed = {node.id for rdd in same for node in ancestors(rdd)}
        for node in upstream(self.graph.stream_of(progress.output)):
            rdd = node.generated.get(time) if node.cuts_lineage else None
            if rdd is None or rdd.id in needed or isinstance(rdd.operation, Stored):
                continue
            del node.generated[time]

    def _close(self, time: Millis) -> None:
        """One thing less to do for a batch; after the last it has settled."""
        self._open[time] -= 1
        if not self._open[time]:
            del self._open[time]
            if time in self._failed:
                self._failed.discard(time)
            else:
                self.log.append(Settled(time))

    def _forget(self) -> None:
        """Drop what is no longer remembered; blocks go when no job needs them any more."""
        now = self._now()
        self._condemned += self.graph.forget_before(now)
        for progress in self._progress.values():
            progress.forget_before(now)
        needed = self._needed() if self._condemned else set()
        for rdd in self._condemned:
            if rdd.id not in needed:
                self.jobs.delete(_own_blocks(rdd))
        self._condemned = [rdd for rdd in self._condemned if rdd.id in needed]
        kept = [item for p in self._progress.values() for item in list(p.settled)[:-1]]
        relieve(self.executor.store, [batch for batch, _ in kept])

    def _needed(self) -> set[str]:
        """Return the ids of all RDDs that the jobs to be done come from, and of the newest batches,
        which stay however old they are."""
        waiting = [job.rdd for p in self._progress.values() for job in p.unfinished()]
        waiting += [p.settled[-1][1] for p in self._progress.values() if p.settled]
        return {node.id for rdd in (*waiting, *self.jobs.rdds()) for node in ancestors(rdd)}

    def _cuts_lineage(self, rdd: RDD[Any]) -> bool:
        id, _, time = rdd.id.partition("@")
        node = self.graph.nodes.get(id)
        if node is None or not node.cuts_lineage:
            return False
        return (int(time) - node.start) % node.checkpoint_interval == 0

    # -- sources -----------------------------------------------------------------------------

    def received(self, stream: str, block: BlockRef) -> None:
        """Take in a block of a push source."""
        if stream in self.graph.nodes:
            self.allocator.received(stream, block)
        else:
            self.jobs.delete([block])

    @property
    def drained(self) -> bool:
        """Whether all that was received has been processed."""
        return self.idle and not self.allocator.pending

    def source_changed(self, state: SourceState) -> None:
        """Take note of how a source is doing."""
        self._source_states[state.stream] = state
        self._publish(SourceChanged(state))

    def code_in_use(self) -> set[str]:
        """Return the digests of the code that streams, their batches and jobs need."""
        nodes = list(self.graph.nodes.values())
        known = [rdd for node in nodes for rdd in node.generated.values()]
        known += [*self.jobs.rdds(), *self.allocator.waiting()]
        known += [job.rdd for p in self._progress.values() for job in p.unfinished()]
        params = [node.params for node in nodes]
        outputs = self.graph.outputs.values()
        return set(digests([*operations(known), *params, *outputs, *self.jobs.under_way()]))

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
        node, _, time = id.partition("@")
        if node not in self.graph.nodes or not time.isdigit():
            return None
        return self.graph.nodes[node].generated.get(int(time))

    def streams(self) -> tuple[StreamStatus, ...]:
        """Return how the named streams are doing."""
        known = self.executor.store.ids()

        def in_memory(block: BlockRef) -> bool:
            return block.inline is not None or block.id in known

        named = [p for p in self._progress.values() if p.output.name]
        return tuple(
            stream_status(p, self.graph, self._source_of(p.output), in_memory) for p in named
        )

    def explain(self, name: str) -> Explained:
        """Return how a named stream is computed, and what its newest batch cost.

        Raises:
            NotRunning: there is no such stream.
        """
        return explained(self.graph.named(name), self._costs)

    def _source_of(self, output: Output) -> str:
        state = self._source_states.get(self.graph.stream_of(output).id)
        return f"{state.state} {state.detail}".strip() if state else ""


def _job_id(job: OutputJob) -> str:
    return f"{job.output.id}@{job.time}"


def _own_blocks(rdd: RDD[Any]) -> list[BlockRef]:
    """Return the blocks that were written for a stream's batch (not those of other streams that
    it passes on)."""
    owner = rdd.id.partition("@")[0]
    prefixes = (f"{owner}@", f"{owner}-")
    return [block for block in blocks_of(rdd) if block.id.startswith(prefixes)]
