"""Which input belongs to which batch."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable
from typing import Any

from livebatch.block import BlockRef
from livebatch.closures import revive
from livebatch.engine.intake import Intake
from livebatch.interval import Millis
from livebatch.rdd import RDD, JobRunner, stored
from livebatch.rdd.operation import Read, Stored, Unioned
from livebatch.sources import PullSource, PushSource, source
from livebatch.stream import Input

FED = ("queue", "errors")
"""Sources that do nothing by themselves: clients feed the one, the engine the other."""


class Allocator:
    """Collects what sources give, and hands each batch its share."""

    def __init__(self, runner: JobRunner, intake: Intake) -> None:
        self._runner, self._intake = runner, intake
        self._sources: dict[str, PullSource | PushSource] = {}
        self._received: dict[str, list[BlockRef]] = {}
        self._queues: dict[str, deque[RDD[Any]]] = {}
        self._offsets: dict[str, Any] = {}
        self._inputs: set[str] = set()

    def keep_only(self, inputs: Iterable[Input[Any]], time: Millis) -> list[BlockRef]:
        """Take on new inputs, forget all but these, return the blocks nobody will ask for."""
        wanted = {node.id: node for node in inputs}
        self._intake.keep_only(wanted.values())
        for id in wanted.keys() - self._inputs:
            self._begin(wanted[id], time)
        gone, self._inputs = self._inputs - wanted.keys(), set(wanted)
        for id in gone:
            self._sources.pop(id, None)
            self._queues.pop(id, None)
            self._offsets.pop(id, None)
        return [block for id in gone for block in self._received.pop(id, [])]

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
            if isinstance(made, PullSource):
                _, self._offsets[node.id] = made.plan(None, time)

    def received(self, stream: str, block: BlockRef) -> list[BlockRef]:
        """Take in a block of a push source; return those that are dropped for it."""
        waiting = self._received.setdefault(stream, [])
        return self._intake.buffers.add(stream, block, waiting)

    def offered(self, stream: str, rdds: Iterable[RDD[Any]]) -> None:
        """Put RDDs into the queue of a queue stream."""
        self._queues.setdefault(stream, deque()).extend(rdds)

    @property
    def pending(self) -> bool:
        """Whether there is input that no batch has got yet."""
        return any(self._received.values()) or any(self._queues.values())

    def waiting(self) -> list[RDD[Any]]:
        """Return the RDDs that are still in queues."""
        return [rdd for queue in self._queues.values() for rdd in queue]

    def allocate(self, node: Input[Any], time: Millis) -> RDD[Any]:
        """Return what an input's batch consists of.

        Raises:
            SourceError: the source cannot be read.
        """
        if node.source == "queue":
            return self._from_queue(node)
        made = self._sources.get(node.id)
        if made is None or isinstance(made, PushSource):
            waiting = self._received.get(node.id, [])
            return stored(self._intake.buffers.take(node.id, time, waiting), self._runner)
        limit = self._intake.backpressure.limit(node.id)
        readers, self._offsets[node.id] = made.plan(self._offsets[node.id], time, limit)
        return RDD(Read(tuple(readers)), runner=self._runner)

    def _from_queue(self, node: Input[Any]) -> RDD[Any]:
        queue = self._queues.setdefault(node.id, deque())
        if not queue:
            default = revive(node.options["default"])
            return RDD(Read((default,)) if default else Stored(()), runner=self._runner)
        count = 1 if node.options["one_at_a_time"] else len(queue)
        return RDD(Unioned(), [queue.popleft() for _ in range(count)])


def ids_of(rdd: RDD[Any]) -> list[str]:
    """Return what an allocated RDD is made of, for the log."""
    if isinstance(rdd.operation, Stored):
        return [block.id for blocks in rdd.operation.blocks for block in blocks]
    if isinstance(rdd.operation, Read):
        return [_short(str(reader)) for reader in rdd.operation.readers]
    return [parent.id for parent in rdd.parents]


def _short(text: str) -> str:
    """Return a text, or where it is long its beginning and a digest."""
    if len(text) <= 500:
        return text
    return f"{text[:400]}… {hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"
