"""From a snapshot and the log to an engine that goes on as if nothing had happened: the log is
followed entry by entry, and what it leaves unfinished is done."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from livebatch.block import BlockRef
from livebatch.engine.broadcasts import Loader
from livebatch.engine.changes import carry_out
from livebatch.engine.config import PlanOnly
from livebatch.engine.core import Engine
from livebatch.engine.lineages import revived
from livebatch.engine.log import (
    Allocated,
    Began,
    Changed,
    Entry,
    NoLog,
    NotSettled,
    Settled,
    Skipped,
    Started,
)
from livebatch.engine.progress import Progress
from livebatch.engine.snapshot import Snapshot, unpacked
from livebatch.errors import LivebatchError
from livebatch.events import Batch
from livebatch.graph import Job
from livebatch.interval import Millis
from livebatch.rdd import RDD, Lineage, blocks_of, from_lineage


def recover(
    engine: Engine,
    snapshot: Snapshot,
    blocks: Mapping[str, BlockRef],
    entries: Sequence[Entry],
    lost: Collection[str] = (),
) -> None:
    """Have a new engine go on from a snapshot and what was logged after it.

    Batches that the log says have settled are computed again where they are kept to be asked for,
    but what outputs with functions did is not done again.

    Args:
        blocks: those of the snapshot that are there.
        lost: blocks of input, by id, that are not.
    """
    log, engine.log = engine.log, NoLog()
    receivers, engine.receivers = engine.receivers, None
    engine.allocator.recovering = True
    try:
        _restore(engine, snapshot, blocks)
        for entry in entries:
            _follow(engine, entry, lost)
    finally:
        engine.log, engine.receivers = log, receivers
    engine.allocator.recovered(engine.graph.inputs, engine.clock.now())
    if receivers is not None:
        receivers.take_up(list(engine.graph.inputs), engine.allocator.newest)


def missed(engine: Engine) -> int:
    """Return how many batches there are whose time has passed."""
    late = -1 if engine.tick is None else engine.clock.now() - engine.tick
    return 0 if late < 0 else late // engine.config.batch + 1


def skip_missed(engine: Engine) -> None:
    """Leave out the batches whose time has passed."""
    if engine.tick is not None and (number := missed(engine)):
        engine.tick += number * engine.config.batch
        engine.note(Skipped(engine.tick))


def _restore(engine: Engine, snapshot: Snapshot, blocks: Mapping[str, BlockRef]) -> None:
    engine.runner = engine.allocator.runner = PlanOnly(snapshot.slots)
    rdds = revived(snapshot.rdds, blocks, engine.runner)
    allocator, graph, sums = engine.allocator, engine.graph, engine.jobs.accumulators
    graph.restore([(kept.record, kept.name) for kept in snapshot.nodes], snapshot.zero)
    graph.version, graph.least = snapshot.version, snapshot.least
    for kept in snapshot.nodes:
        graph.nodes[kept.record.id].recall(unpacked(kept.memory, rdds))
    graph.outputs = {kept.output.id: kept.output for kept in snapshot.outputs}
    graph.settle_memory()
    allocator.offsets = dict(snapshot.offsets)
    allocator.received_blocks = {
        id: [blocks[block.id] for block in given if block.id in blocks]
        for id, given in snapshot.received.items()
    }
    allocator.newest = dict(snapshot.newest)
    allocator.queues = {
        id: deque(rdds[rdd] for rdd in queue if rdd in rdds)
        for id, queue in snapshot.queues.items()
    }
    engine.broadcasts.newest = dict(snapshot.broadcasts)
    engine.broadcasts.loaders = {id: Loader(*kept) for id, kept in snapshot.loaders.items()}
    engine.broadcasts.bind()
    sums.recall(snapshot.sums)
    sums.counted = dict(snapshot.counted)
    engine.faults.told.extend(snapshot.told)
    engine.tick = snapshot.tick
    engine.graph_changed()
    _restore_outputs(engine, snapshot, rdds)


def _restore_outputs(engine: Engine, snapshot: Snapshot, rdds: Mapping[str, RDD[Any]]) -> None:
    engine.batches.failed_in = set(snapshot.failed)
    waiting: dict[Millis, int] = {}
    for kept in snapshot.outputs:
        progress = engine.progress[kept.output.id]
        progress.batches, progress.bad = kept.batches, kept.bad
        progress.failures, progress.error = kept.failures, kept.error
        for batch, id in kept.settled:
            if id in rdds and (found := tuple(blocks_of(rdds[id]))):
                progress.settled.append((_with_blocks(batch, found), rdds[id]))
        for time, id in kept.waiting:
            if id in rdds:
                progress.queue.append(Job(kept.output, time, rdds[id]))
                waiting[time] = waiting.get(time, 0) + 1
    for time, jobs in sorted(waiting.items()):
        engine.batches.begin(time, jobs, {})
        engine.batches.close(time)


def _with_blocks(batch: Batch, blocks: tuple[BlockRef, ...]) -> Batch:
    return msgspec.structs.replace(batch, blocks=blocks)


def _follow(engine: Engine, entry: Entry, lost: Collection[str]) -> None:
    """Do what an entry of the log says was done."""
    match entry:
        case Changed():
            _change_again(engine, entry)
        case Began():
            engine.allocator.offsets.update(entry.offsets)
        case Started():
            engine.begin_after(entry.zero)
        case Skipped():
            engine.tick = entry.tick
        case Allocated():
            _allot_again(engine, entry, lost)
        case Settled():
            for progress, job in _jobs_at(engine, entry.time):
                if job.output.function is not None:
                    progress.queue.remove(job)
                    engine.batches.close(entry.time)
        case NotSettled():
            for progress, job in _jobs_at(engine, entry.time):
                if job.output.id == entry.output:
                    progress.queue.remove(job)
                    engine.give_up(progress, job, entry.reason)
                    engine.batches.failed_in.add(entry.time)
                    engine.batches.close(entry.time)


def _change_again(engine: Engine, entry: Changed) -> None:
    def rdd_of(lineage: Lineage) -> RDD[Any]:
        known = {item.id: rdd for item in lineage if (rdd := engine.known_rdd(item.id)) is not None}
        return from_lineage(lineage, engine.runner, known)

    with suppress(LivebatchError):  # it was refused then, too
        carry_out(engine, entry.request, rdd_of)


def _allot_again(engine: Engine, entry: Allocated, lost: Collection[str]) -> None:
    inputs = [node for node in engine.graph.inputs_at(entry.time) if node.id in entry.inputs]
    made = {node.id: engine.allocator.allocate_again(node, entry, lost) for node in inputs}
    engine.faults.told.extend(block.id for rdd in made.values() for block in blocks_of(rdd))
    engine.allot(entry.time, made)
    engine.batches.close(entry.time)
    engine.keeping.forget()
    engine.broadcasts.begin(entry.time, again=True)


def _jobs_at(engine: Engine, time: Millis) -> list[tuple[Progress, Job]]:
    return [
        (progress, job)
        for progress in engine.progress.values()
        for job in progress.queue
        if job.time == time
    ]
