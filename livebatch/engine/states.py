"""What the engine does for streams with a state: has layers merged when there is time, goes on
without what failed, and tells where states lie."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from livebatch.engine.jobs import Job, Jobs
from livebatch.errors import NotRunning
from livebatch.graph import Graph
from livebatch.interval import Millis
from livebatch.rdd import RDD, ancestors
from livebatch.rdd.operation import Stored
from livebatch.stream import DStream, StateLayers
from livebatch.upstream import upstream

UPKEEP = 2
"""The urgency of what no batch and nobody waits for."""


class States:
    """The states of a graph's streams."""

    def __init__(self, graph: Graph, jobs: Jobs) -> None:
        self._graph, self._jobs = graph, jobs
        self._kept_up: dict[str, str] = {}

    def keep_up(self) -> None:
        """Have streams' upkeep done, one job a stream at a time."""
        for node in self._graph.nodes.values():
            if node.id not in self._kept_up and (rdd := node.upkeep()) is not None:
                self._kept_up[node.id] = rdd.id
                done = partial(self._kept_up.pop, node.id)
                job = Job(rdd.id, rdd, None, lambda _, done=done: done(),  # type: ignore[misc]
                          lambda _, __, done=done: done(), urgency=(UPKEEP,))  # type: ignore[misc]  # fmt: skip
                self._jobs.run(job)

    def graph_changed(self) -> None:
        """Give up the upkeep of streams that are gone."""
        for node in [node for node in self._kept_up if node not in self._graph.nodes]:
            self._jobs.cancel(self._kept_up.pop(node))

    def give_up(self, stream: DStream[Any], time: Millis, same: Iterable[RDD[Any]]) -> None:
        """Have the states that a failed batch of a stream did not reach go on from the batch
        before, unless another output may still get there.

        Args:
            stream: whose batch failed.
            time: of the batch.
            same: what outputs are still to do with batches of that time.
        """
        needed = {node.id for node in ancestors(*same)}
        for node in upstream(stream):
            rdd = node.generated.get(time) if node.cuts_lineage else None
            if rdd is None or rdd.id in needed or isinstance(rdd.operation, Stored):
                continue
            node.give_up(time)

    def layers(self, name: str, until: Millis | None, limit: int | None) -> StateLayers:
        """Return where the states of a named stream lie that are still kept.

        Args:
            name: of the stream.
            until: up to this batch time.
            limit: at most so many, the newest of them.

        Raises:
            NotRunning: the stream has no state, or none from then is kept.
        """
        node = self._graph.state_of(name)
        times = [
            time
            for time, rdd in node.generated.items()
            if isinstance(rdd.operation, Stored) and (until is None or time <= until)
        ]
        if limit is not None:
            times = times[-limit:]
        if not times:
            raise NotRunning(f"no state of {name} from then is kept, or has settled yet")
        later = tuple(node.generated[time] for time in times[1:])
        return StateLayers(tuple(times), tuple(node.state_at(times[0])), later)
