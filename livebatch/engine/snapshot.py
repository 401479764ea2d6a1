"""What an engine must know to go on, as records: its streams and outputs, what they remember as
lineage, and what no batch has got yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from livebatch.block import BlockRef
from livebatch.closures import Code, Function
from livebatch.engine.core import Engine
from livebatch.engine.lineages import KeptRDD, Lineages
from livebatch.engine.progress import Progress
from livebatch.engine.versions import Versions
from livebatch.events import Batch
from livebatch.graph import Graph, Job, NodeRecord, Output
from livebatch.interval import Millis
from livebatch.rdd import RDD
from livebatch.rdd.operation import Stored
from livebatch.stream import DStream

_RDD = "@rdd"


class KeptNode(msgspec.Struct, frozen=True):
    """A stream, and what it remembers; RDDs in that are ``{"@rdd": id}``."""

    record: NodeRecord
    name: str | None
    memory: dict[str, Any]


class KeptOutput(msgspec.Struct, frozen=True):
    """An output and how far it is: settled batches that it keeps, and (time, RDD) of those that
    are still to be made."""

    output: Output
    settled: tuple[tuple[Batch, str], ...]
    waiting: tuple[tuple[Millis, str], ...]
    batches: int
    bad: int
    failures: int
    error: str | None


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """An engine between two batches.

    Attributes:
        entry: the number of the last entry of the log that it knows of.
        slots: how many partitions shuffles make when not told.
        place: the directory of its blocks in shared memory.
        zero: the time before the first batch; None: it has not begun.
        tick: the time of the next batch.
        version, least: of the graph, see `Graph`.
        failed: batches that are still being made and of which an output has failed.
        offsets, received, queues: what inputs have that no batch has got yet.
        newest: the last block received of each push source, by id.
        broadcasts, loaders: values of broadcast variables; how and when they are made anew.
        sums, counted: of accumulators.
        told: blocks of bad records that streams of errors have been given.
    """

    versions: Versions
    entry: int
    batch: Millis
    slots: int
    place: str
    zero: Millis | None
    tick: Millis | None
    version: int
    least: Millis
    nodes: tuple[KeptNode, ...]
    outputs: tuple[KeptOutput, ...]
    rdds: tuple[KeptRDD, ...]
    failed: tuple[Millis, ...]
    offsets: dict[str, Any]
    received: dict[str, tuple[BlockRef, ...]]
    queues: dict[str, tuple[str, ...]]
    newest: dict[str, str]
    broadcasts: dict[str, Code]
    loaders: dict[str, tuple[Function, Millis, Millis]]
    sums: dict[str, Any]
    counted: dict[str, Millis | None]
    told: tuple[str, ...]


def blocks_in(snapshot: Snapshot) -> dict[str, BlockRef]:
    """Return all blocks that a snapshot refers to, by id."""
    stored = [kept.operation for kept in snapshot.rdds if isinstance(kept.operation, Stored)]
    found = {block.id: block for one in stored for split in one.blocks for block in split}
    found.update((block.id, block) for blocks in snapshot.received.values() for block in blocks)
    return found


def code_of(snapshot: Snapshot) -> tuple[Any, ...]:
    """Return the parts of a snapshot that refer to code, without all the batches that are kept."""
    computed = [k for k in snapshot.rdds if k.origin or not isinstance(k.operation, Stored)]
    records = [kept.record for kept in snapshot.nodes]
    outputs = [kept.output for kept in snapshot.outputs]
    return computed, records, outputs, snapshot.broadcasts, snapshot.loaders, snapshot.sums


# -- taking one ------------------------------------------------------------------------------


def snapshot_of(engine: Engine, lineages: Lineages, entry: int) -> Snapshot:
    """Return what an engine must know to go on; it is between two batches.

    Args:
        lineages: collects the records of RDDs and the blocks that are needed.
        entry: the number of the last entry of the log.
    """
    graph, allocator, sums = engine.graph, engine.allocator, engine.jobs.accumulators
    nodes = list(_in_order(graph))
    looked_back_to = horizons(graph)
    queued = {id: list(queue) for id, queue in allocator.queues.items()}
    waiting = [job.rdd for progress in engine.progress.values() for job in progress.unfinished()]
    lineages.add_needed(
        [
            *(rdd for n in nodes for rdd in n.needed_after(engine.now - looked_back_to[n.id])),
            *waiting,
            *(rdd for queue in queued.values() for rdd in queue),
        ]
    )
    lineages.add_kept(rdd for node in nodes for rdd in node.held())
    for progress in engine.progress.values():
        lineages.add_kept(rdd for _, rdd in progress.settled)
    return Snapshot(
        versions=Versions.current(),
        entry=entry,
        batch=engine.config.batch,
        slots=engine.runner.default_parallelism,
        place=engine.config.place,
        zero=graph.zero,
        tick=engine.tick,
        version=graph.version,
        least=graph.least,
        nodes=tuple(
            KeptNode(_record(node), node.name, packed(node.memory(), lineages.refer))
            for node in nodes
        ),
        outputs=tuple(_kept(progress, lineages) for progress in engine.progress.values()),
        rdds=tuple(lineages.records.values()),
        failed=tuple(engine.batches.failed_in),
        offsets=dict(allocator.offsets),
        received={
            id: tuple(map(lineages.received, blocks))
            for id, blocks in allocator.received_blocks.items()
        },
        queues={id: tuple(rdd.id for rdd in queue) for id, queue in queued.items()},
        newest=dict(allocator.newest),
        broadcasts=dict(engine.broadcasts.newest),
        loaders={
            id: (loader.function, loader.every, loader.due)
            for id, loader in engine.broadcasts.loaders.items()
        },
        sums=sums.memory(),
        counted=dict(sums.counted),
        told=tuple(engine.faults.told),
    )


def horizons(graph: Graph) -> dict[str, Millis]:
    """Return how far back from the newest batch those to come need batches of each stream, by id.

    How long batches are kept to be asked for does not count.
    """
    found = {node.id: 2 * node.slide for node in graph.nodes.values()}
    for node in reversed(list(_in_order(graph))):
        for parent in node.parents:
            needed = found[node.id] + node.lookback
            found[parent.id] = max(found[parent.id], needed)
    return found


def _in_order(graph: Graph) -> Iterator[DStream[Any]]:
    """Yield all streams, parents first."""
    seen: set[str] = set()
    stack = [(node, False) for node in graph.nodes.values()]
    while stack:
        node, done = stack.pop()
        if done:
            yield node
        elif node.id not in seen:
            seen.add(node.id)
            stack.append((node, True))
            stack.extend((parent, False) for parent in node.parents)


def _record(node: DStream[Any]) -> NodeRecord:
    parents = tuple(parent.id for parent in node.parents)
    return NodeRecord(
        node.id, type(node).__name__, parents, node.slide, node.params, node.persisted,
        node.checkpoint_every,
    )  # fmt: skip


def _kept(progress: Progress, lineages: Lineages) -> KeptOutput:
    settled = [
        (msgspec.structs.replace(batch, blocks=()), rdd.id)
        for batch, rdd in progress.settled
        if id(rdd) in lineages.refer
    ]
    return KeptOutput(
        progress.output,
        tuple(settled),
        tuple((job.time, job.rdd.id) for job in sorted(progress.unfinished(), key=_time)),
        progress.batches,
        progress.bad,
        progress.failures,
        progress.error,
    )


def _time(job: Job) -> Millis:
    return job.time


# -- what streams remember -------------------------------------------------------------------


def packed(value: Any, refer: Mapping[int, str]) -> Any:
    """Return plain values with the RDDs in them by their ids; what is not known is left out."""
    if isinstance(value, RDD):
        return {_RDD: refer[id(value)]}
    if isinstance(value, Mapping):
        return {k: packed(v, refer) for k, v in value.items() if _known(v, refer)}
    if isinstance(value, (list, tuple)):
        return [packed(item, refer) for item in value]
    return value


def _known(value: Any, refer: Mapping[int, str]) -> bool:
    return not isinstance(value, RDD) or id(value) in refer


def unpacked(value: Any, rdds: Mapping[str, RDD[Any]]) -> Any:
    """Return what was packed; RDDs that there are no more are left out of mappings."""
    if isinstance(value, dict):
        if _RDD in value:
            return rdds[value[_RDD]]
        return {k: unpacked(v, rdds) for k, v in value.items() if not _gone(v, rdds)}
    if isinstance(value, list):
        return [unpacked(item, rdds) for item in value]
    return value


def _gone(value: Any, rdds: Mapping[str, RDD[Any]]) -> bool:
    return isinstance(value, dict) and _RDD in value and value[_RDD] not in rdds
