"""How streams and workers are doing, as clients are told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from livebatch.block import BlockRef
from livebatch.engine.intake import Intake
from livebatch.engine.progress import Progress
from livebatch.engine.timesheet import Ran
from livebatch.events import Batch, StreamStatus, TaskRun
from livebatch.explain import label_of
from livebatch.graph import Graph
from livebatch.interval import Millis
from livebatch.rdd import blocks_of
from livebatch.stream import DStream, Input
from livebatch.upstream import states_of, unnamed_upstream

if TYPE_CHECKING:
    from livebatch.engine.core import Engine

RATED: Millis = 10_000
"""Rows a second are those of so many milliseconds of batches."""


def streams_of(engine: Engine) -> tuple[StreamStatus, ...]:
    """Return how the named streams are doing."""
    known = engine.executor.store.ids()

    def in_memory(block: BlockRef) -> bool:
        return block.inline is not None or block.id in known

    return tuple(
        stream_status(p, engine.graph, engine.intake, in_memory)
        for p in engine.progress.values()
        if p.output.name
    )


def stream_status(
    progress: Progress, graph: Graph, intake: Intake, in_memory: Callable[[BlockRef], bool]
) -> StreamStatus:
    """Return how a named stream is doing.

    Args:
        progress: of the output that names it.
        graph: the stream's.
        intake: tells how its sources are doing.
        in_memory: whether a block lies in memory.
    """
    output, node = progress.output, graph.stream_of(progress.output)
    kept = [batch for batch, _ in progress.settled]
    last = kept[-1] if kept else None
    blocks = [block for batch in kept for block in batch.blocks]
    keys, state = _state(node)
    return StreamStatus(
        name=output.name or output.id,
        slide=progress.slide,
        batches=progress.batches,
        rows=last.rows if last else 0,
        rate=_rate(kept, progress.slide),
        last=last.time if last else None,
        delay=last.delay if last else 0,
        began=last.began if last else 0,
        queued=len(progress.unfinished()),
        bad=progress.bad,
        failed=progress.failures,
        error=progress.error,
        input=intake.status(n.id for n in unnamed_upstream(node) if isinstance(n, Input)),
        retained=len(kept),
        retain=output.retain,
        first=kept[0].time if kept else None,
        nbytes=sum(block.nbytes for block in blocks),
        spilled=sum(block.nbytes for block in blocks if not in_memory(block)),
        keys=keys,
        state=state,
        paused=graph.held_up_by(node),
        notes=output.notes,
    )


def _rate(kept: list[Batch], slide: Millis) -> float:
    """Return the rows a second of the newest batches."""
    rows, covered = 0, 0
    for batch in reversed(kept):
        rows, covered = rows + batch.rows, covered + slide
        if covered >= RATED or batch.time <= kept[-1].time - RATED + slide:
            break
    return rows * 1000 / covered if covered else 0.0


def _state(node: DStream[Any]) -> tuple[int | None, int | None]:
    """Return the keys and bytes of the newest states that a stream is computed by, up to other
    named streams; None for each if there are no states."""
    sizes = [_size(state) for state in states_of(node)]
    if not sizes:
        return None, None
    return sum(keys for keys, _ in sizes), sum(nbytes for _, nbytes in sizes)


def _size(state: DStream[Any]) -> tuple[int, int]:
    stored = (t for t, rdd in reversed(state.generated.items()) if blocks_of(rdd))
    newest = next(stored, None)
    if newest is None:
        return 0, 0
    layers = [blocks_of(rdd) for rdd in state.state_at(newest)]
    keys = sum(block.keys if block.format == "layer" else block.rows for block in layers[0])
    return keys, sum(block.nbytes for blocks in layers for block in blocks)


def task_runs(ran: Iterable[Ran], graph: Graph, now: Millis) -> tuple[TaskRun, ...]:
    """Return what tasks were there for, and when they ran by the engine's clock."""
    owners = _owners(graph)
    return tuple(
        TaskRun(worker, *_purpose(task, graph, owners), now - 1000 * ago, seconds)
        for worker, task, ago, seconds in ran
    )


def _purpose(task: str, graph: Graph, owners: dict[str, str]) -> tuple[str, str]:
    """Return which named stream a task works for, and what it computes."""
    id, _, rest = task.partition("@")
    node = graph.nodes.get(id)
    if node is None:  # of a job, or of a stream that is gone
        return "", ""
    return owners.get(id, ""), label_of(node) + (", shuffle write" if ".map." in rest else "")


def _owners(graph: Graph) -> dict[str, str]:
    """Return which named stream each stream is a part of; of several, the first."""
    found: dict[str, str] = {}
    for output in graph.outputs.values():
        stack = [graph.stream_of(output)]
        while stack:
            node = stack.pop()
            if node.id not in found:
                found[node.id] = node.name or output.name or output.owner
                stack.extend(parent for parent in node.parents if parent.name is None)
    return found
