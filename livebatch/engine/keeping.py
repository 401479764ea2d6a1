"""What is still needed: batches that are remembered or waited for, and code. The rest goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from livebatch.closures import digests
from livebatch.engine.progress import own_blocks
from livebatch.engine.relief import relieve
from livebatch.interval import Millis
from livebatch.rdd import RDD, ancestors, operations

if TYPE_CHECKING:
    from livebatch.engine.core import Engine


class Keeping:
    """Keeps what an engine needs, and no more.

    Attributes:
        pinned: RDDs, by id, whose blocks stay although no stream needs them any more.
        since: the blocks of input stay that belong to batches after this, for they may have to be
            made again; None: they do not.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._condemned: list[RDD[Any]] = []
        self._inputs: set[str] = set()
        self.pinned: frozenset[str] = frozenset()
        self.since: Millis | None = None

    def forget(self) -> None:
        """Drop what is no longer remembered; blocks go when no job needs them any more."""
        engine = self._engine
        now, progress = engine.now, list(engine.progress.values())
        self._condemned += engine.graph.forget_before(now)
        for each in progress:
            each.forget_before(now, engine.graph.least)
        self._inputs.update(node.id for node in engine.graph.inputs)
        needed = self._needed() if self._condemned else set()
        stay = {rdd.id for rdd in self._condemned if rdd.id in needed or self._comes_again(rdd)}
        for rdd in self._condemned:
            if rdd.id not in stay:
                engine.jobs.delete(own_blocks(rdd))
        self._condemned = [rdd for rdd in self._condemned if rdd.id in stay]
        kept = [item for each in progress for item in list(each.settled)[:-1]]
        relieve(engine.executor.store, [batch for batch, _ in kept])

        unfinished = [job.time for job in engine.unfinished()]
        longest = max((node.remember for node in engine.graph.nodes.values()), default=0)
        engine.jobs.accumulators.forget_before(min([now, *unfinished]) - longest)

    def _comes_again(self, rdd: RDD[Any]) -> bool:
        is_input = rdd.id.partition("@")[0] in self._inputs
        return self.since is not None and is_input and (rdd.batch_time or 0) > self.since

    def _needed(self) -> set[str]:
        """Return the ids of all RDDs that the jobs to be done come from, and of the newest batches,
        which stay however old they are."""
        engine = self._engine
        waiting = [job.rdd for job in engine.unfinished()]
        waiting += [p.settled[-1][1] for p in engine.progress.values() if p.settled]
        return {node.id for node in ancestors(*waiting, *engine.jobs.rdds())} | self.pinned

    def code_in_use(self) -> set[str]:
        """Return the digests of the code that streams, their batches and jobs need."""
        engine = self._engine
        nodes = list(engine.graph.nodes.values())
        known = [rdd for node in nodes for rdd in node.held()]
        known += [*engine.jobs.rdds(), *engine.allocator.waiting()]
        code = [*(node.params for node in nodes), *engine.graph.outputs.values()]
        code += [*engine.jobs.under_way(), *engine.broadcasts.code()]
        for job in engine.unfinished():
            known.append(job.rdd)
            code.append(job.output)
        return set(digests([*operations(known), *code]))
