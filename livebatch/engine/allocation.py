"""Which input belongs to which batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from livebatch.block import BlockRef
from livebatch.closures import revive
from livebatch.engine.intake import Intake
from livebatch.engine.log import Allocated
from livebatch.interval import Millis
from livebatch.rdd import RDD, JobRunner, blocks_of, from_lineage, stored, to_lineage
from livebatch.rdd.operation import Read, Stored, Unioned
from livebatch.sources import PullSource, PushSource, source
from livebatch.stream import Input

FED = ("queue", "errors")
"""Sources that do nothing by themselves: clients feed the one, the engine the other."""


class Allocator:
    """Collects what sources give, and hands each batch its share."""

    def __init__(self, runner: JobRunner, intake: Intake) -> None:
        self.runner, self._intake = runner, intake
        self._sources: dict[str, PullSource | PushSource] = {}
        self.received_blocks: dict[str, list[BlockRef]] = {}
        self.queues: dict[str, deque[RDD[Any]]] = {}
        self.offsets: dict[str, Any] = {}
        self.newest: dict[str, str] = {}
        self._inputs: set[str] = set()
        self._taken_on: set[str] = set()
        self.recovering = False

    def keep_only(self, inputs: Iterable[Input[Any]], time: Millis) -> list[BlockRef]:
        """Take on new inputs, forget all but these, return the blocks nobody will ask for."""
        wanted = {node.id: node for node in inputs}
        self._intake.keep_only(wanted.values())
        for id in wanted.keys() - self._inputs:
            self._begin(wanted[id], time)
        gone, self._inputs = self._inputs - wanted.keys(), set(wanted)
        for id in gone:
            self._sources.pop(id, None)
            self.queues.pop(id, None)
            self.newest.pop(id, None)
            self.offsets.pop(id, None)
        return [block for id in gone for block in self.received_blocks.pop(id, [])]

    def check(self, name: str, options: dict[str, Any]) -> None:
        """Check that there can be such a source.

        Raises:
            DefinitionError: there cannot.
        """
        if name != "queue":
            source(name, options)

    def _begin(self, node: Input[Any], time: Millis) -> None:
        if node.source not in FED:
            made = self._sources[node.id] = source(node.source, node.options)
            if isinstance(made, PullSource) and not self.recovering:
                _, self.offsets[node.id] = made.plan(None, time)
                self._taken_on.add(node.id)

    def taken_on(self) -> dict[str, Any]:
        """Return where the sources begin that are new since the last call."""
        fresh, self._taken_on = self._taken_on, set()
        return {id: self.offsets[id] for id in fresh if id in self.offsets}

    def recovered(self, inputs: Iterable[Input[Any]], time: Millis) -> None:
        """Go on by itself; have sources begin now of which it is not known where they began."""
        self.recovering = False
        for node in inputs:
            if node.id not in self.offsets:
                self._begin(node, time)

    def entry(
        self,
        time: Millis,
        version: int,
        inputs: Iterable[Input[Any]],
        made: Mapping[str, RDD[Any]],
    ) -> Allocated:
        """Return what is to be logged of a batch's input."""
        ids = [node.id for node in inputs if node.id in made]
        offsets = {id: self.offsets[id] for id in ids if id in self.offsets}
        return Allocated(time, version, {id: to_lineage(made[id]) for id in ids}, offsets)

    def allocate_again(
        self, node: Input[Any], entry: Allocated, lost: Collection[str] = ()
    ) -> RDD[Any]:
        """Return what an input's batch consists of, as it was logged, but for lost blocks."""
        if node.source == "queue":
            return self._from_queue(node)
        rdd = from_lineage(entry.inputs[node.id], self.runner)
        if found := blocks_of(rdd):
            taken = {block.id for block in found}
            waiting = self.received_blocks.get(node.id, ())
            if found[-1].id not in {block.id for block in waiting}:  # else newer ones are known
                self.newest[node.id] = found[-1].id
            self.received_blocks[node.id] = [b for b in waiting if b.id not in taken]
            rdd = stored([block for block in found if block.id not in lost], self.runner)
        if node.id in entry.offsets:
            self.offsets[node.id] = entry.offsets[node.id]
        return rdd

    def received(self, stream: str, block: BlockRef) -> list[BlockRef]:
        """Take in a block of a push source; return those that are dropped for it."""
        waiting = self.received_blocks.setdefault(stream, [])
        self.newest[stream] = block.id
        return self._intake.buffers.add(stream, block, waiting)

    def offered(self, stream: str, rdds: Iterable[RDD[Any]]) -> None:
        """Put RDDs into the queue of a queue stream."""
        self.queues.setdefault(stream, deque()).extend(rdds)

    @property
    def pending(self) -> bool:
        """Whether there is input that no batch has got yet."""
        return any(self.received_blocks.values()) or any(self.queues.values())

    def waiting(self) -> list[RDD[Any]]:
        """Return the RDDs that are still in queues."""
        return [rdd for queue in self.queues.values() for rdd in queue]

    def allocate(self, node: Input[Any], time: Millis) -> RDD[Any]:
        """Return what an input's batch consists of.

        Raises:
            SourceError: the source cannot be read.
        """
        if node.source == "queue":
            return self._from_queue(node)
        made = self._sources.get(node.id)
        if made is None or isinstance(made, PushSource):
            waiting = self.received_blocks.get(node.id, [])
            return stored(self._intake.buffers.take(node.id, time, waiting), self.runner)
        limit = self._intake.backpressure.limit(node.id)
        readers, self.offsets[node.id] = made.plan(self.offsets[node.id], time, limit)
        return RDD(Read(tuple(readers)), runner=self.runner)

    def _from_queue(self, node: Input[Any]) -> RDD[Any]:
        queue = self.queues.setdefault(node.id, deque())
        if not queue:
            default = revive(node.options["default"])
            return RDD(Read((default,)) if default else Stored(()), runner=self.runner)
        count = 1 if node.options["one_at_a_time"] else len(queue)
        return RDD(Unioned(), [queue.popleft() for _ in range(count)])
