"""From the records that functions raised on to the streams of errors that tell of them."""

from __future__ import annotations

from collections import deque
from typing import Any

from livebatch.block import BlockStore, encode_table
from livebatch.engine.allocation import Allocator
from livebatch.engine.commands import JobDone
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
        self._told: deque[str] = deque(maxlen=REMEMBERED)

    def feed(self, done: JobDone, time: Millis) -> None:
        """Tell of the records that the batch of a time lacks."""
        fresh = [stage for stage in done.faults if stage.id not in self._told]
        self._told.extend(stage.id for stage in fresh)
        for node in self._graph.nodes.values() if fresh else ():
            if isinstance(node, Errors):
                ways = _ways_to(node.parents[0])
                found = [stage for stage in fresh if not ways.isdisjoint(stage.streams)]
                samples = [
                    failure for stage in found for bad in stage.bad for failure in bad.samples
                ]
                if samples:
                    block = encode_table(as_errors(samples[:MOST], time))
                    number = len(self._told)
                    id = f"{node.id}-{time}.{found[0].id.replace('@', '.')}.{number}"
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
