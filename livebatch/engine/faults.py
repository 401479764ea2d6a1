"""From the records that functions raised on to the streams of errors that tell of them."""

from __future__ import annotations

from collections import deque
from typing import Any

from livebatch.block import BlockStore, encode_table
from livebatch.engine.allocation import Allocator
from livebatch.engine.commands import JobDone
from livebatch.engine.stagerun import StageFaults
from livebatch.graph import Graph
from livebatch.interval import Millis
from livebatch.operators.errors import Errors, as_errors
from livebatch.stream import DStream

MOST = 100
"""So many bad records of a batch are told of."""

REMEMBERED = 1000
"""So many stages are remembered, since one that several jobs need is reported by each."""


class Faults:
    """Feeds the streams of errors of a graph.

    Args:
        graph: the graph.
        allocator: is given the errors as if a source had emitted them.
        store: where they are put.
    """

    def __init__(self, graph: Graph, allocator: Allocator, store: BlockStore) -> None:
        self._graph, self._allocator, self._store = graph, allocator, store
        self.told: deque[str] = deque(maxlen=REMEMBERED)

    def feed(self, done: JobDone, time: Millis) -> None:
        """Tell of the records that the batch of a time lacks."""
        for node in self._graph.nodes.values() if done.faults else ():
            if isinstance(node, Errors):
                ways = _ways_to(node.parents[0])
                for stage in done.faults:
                    if not ways.isdisjoint(stage.streams):
                        self._tell(node, stage, time)

    def _tell(self, node: Errors, stage: StageFaults, time: Millis) -> None:
        """Tell a stream of errors of a stage, unless that has been done: several jobs may need it,
        also one that runs again after a restart."""
        id = f"{node.id}-{time}.{stage.id.replace('@', '.')}"
        samples = [failure for bad in stage.bad for failure in bad.samples]
        if samples and id not in self.told:
            self.told.append(id)
            block = encode_table(as_errors(samples[:MOST], time))
            self._allocator.received(node.id, self._store.put(block, id))


def _ways_to(stream: DStream[Any]) -> set[str]:
    """Return the ids of a stream and of those that are computed only on the way to it: up to ones
    that are kept, whose errors are their own."""
    found, stack = {stream.id}, [stream]
    while stack:
        fresh = [p for p in stack.pop().parents if not p.persisted and p.id not in found]
        found.update(parent.id for parent in fresh)
        stack.extend(fresh)
    return found
