"""Streams whose state is made of layers: each batch puts one on top, of the keys it touched.

Layers are merged in the background, neighbours of like size into one, so that a batch looks
through few of them however many batches there were. It never waits for that: it builds on what is
stored when its time comes, and what a state holds does not depend on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from secrets import token_hex
from typing import Any

from livebatch.block import BlockRef
from livebatch.closures import Function, builtin
from livebatch.errors import BlockLost
from livebatch.interval import Millis
from livebatch.rdd import RDD
from livebatch.rdd.layers import merge_layers
from livebatch.rdd.operation import Layered, Stored
from livebatch.stream import DStream

FEWEST = 8
"""Not fewer layers than this are merged."""

GROWTH = 2
"""Older layers are merged too as long as they are at most so many times what is newer."""

MOST = 64
"""A batch looks through no more layers than this; it merges first if nobody else has."""


@dataclass(eq=False)
class Placed:
    """A layer, and what it is good for.

    Attributes:
        end: the last batch that is in it.
        since: the first batch whose state it is part of.
        until: the first batch whose state it is no longer part of.
        sources: what it has been merged of.
    """

    rdd: RDD[Any]
    end: Millis
    since: Millis
    until: Millis | None = None
    sources: Sequence[Placed] = ()

    @property
    def blocks(self) -> list[BlockRef]:
        """The blocks that it lies in; none if it is not stored yet."""
        operation = self.rdd.operation
        stored = operation.blocks if isinstance(operation, Stored) else ()
        return [block for blocks in stored for block in blocks]

    def part_of(self, time: Millis) -> bool:
        """Return whether it is part of the state that a batch leaves."""
        return self.since <= time and self.part_of_any_after(time)

    def part_of_any_after(self, time: Millis) -> bool:
        """Return whether it is part of the state that any batch after a time leaves."""
        return self.until is None or time < self.until


@dataclass
class Stack:
    """The layers of a state.

    Attributes:
        live: what the next batch builds on, the oldest first.
        retired: what has been merged into others, but states of the past still need.
        gone: what nothing needs any more.
    """

    live: list[Placed] = field(default_factory=list)
    retired: list[Placed] = field(default_factory=list)
    gone: list[RDD[Any]] = field(default_factory=list)
    _failed: set[Millis] = field(default_factory=set)
    _merging: tuple[RDD[Any], list[Placed]] | None = None

    def push(self, rdd: RDD[Any], time: Millis) -> None:
        """Put a batch's layer on top."""
        self.live.append(Placed(rdd, time, time))

    def at(self, time: Millis) -> list[RDD[Any]]:
        """Return the layers of the state that a batch leaves, the newest first."""
        found = [placed for placed in (*self.live, *self.retired) if placed.part_of(time)]
        return [placed.rdd for placed in sorted(found, key=lambda p: p.end, reverse=True)]

    def adopt(self, time: Millis) -> None:
        """Have batches from this one on build on what has been merged."""
        if self._merging is None or not isinstance(self._merging[0].operation, Stored):
            return
        rdd, sources = self._merging
        self._merging = None
        if all(placed in self.live for placed in sources):
            self._replace(rdd, sources, time)
        else:
            self.gone.append(rdd)

    def _replace(self, rdd: RDD[Any], sources: list[Placed], time: Millis) -> None:
        first = self.live.index(sources[0])
        merged = Placed(rdd, sources[-1].end, time, sources=sources)
        self.live[first : first + len(sources)] = [merged]
        for placed in sources:
            placed.until = time
        self.retired += sources

    def merge_stored(self) -> RDD[Any] | None:
        """Return the layer that is worth making of some that are stored, if any is."""
        if self._merging is not None and isinstance(self._merging[0].operation, Stored):
            return None  # the next batch adopts that first
        stored = list(takewhile(lambda placed: placed.blocks, self.live))
        sizes = [sum(block.nbytes for block in placed.blocks) for placed in stored]
        number = worth_merging(sizes)
        if number < FEWEST:
            return None
        sources = stored[-number:]
        self._merging = self._merged(sources), sources
        return self._merging[0]

    def merge_surplus(self, time: Millis) -> None:
        """Have the newest layers merged as part of a batch, if too many have piled up."""
        if len(self.live) > MOST:
            sources = self.live[-MOST // 2 :]
            self._replace(self._merged(sources), sources, time)

    def _merged(self, sources: list[Placed]) -> RDD[Any]:
        whole = sources[0] is self.live[0]
        layers = [placed.rdd for placed in reversed(sources)]
        merged: RDD[Any] = RDD(Layered(builtin(merge_layers, whole)), layers).persist()
        merged.id = f"{layers[0].id.partition('@')[0]}@{sources[-1].end}-{token_hex(4)}"
        return merged

    def give_up(self, time: Millis) -> None:
        """Go on without the layer of a batch that failed, and of those that failed on top of it."""
        self._failed.add(time)
        while self.live and self.live[-1].end in self._failed and not self.live[-1].blocks:
            failed = self.live.pop()
            self.gone.append(failed.rdd)
            self.live += failed.sources
            for placed in failed.sources:
                placed.until = None
            self.retired = [placed for placed in self.retired if placed.until is not None]

    def forget(self, time: Millis) -> list[RDD[Any]]:
        """Return what only states of up to a time needed."""
        gone, self.gone = self.gone, []
        together = (*self.live, *self.retired)
        awaited = {id(s) for placed in together if not placed.blocks for s in placed.sources}
        before, self.retired = self.retired, []
        for placed in before:
            if placed.part_of_any_after(time) or id(placed) in awaited:
                self.retired.append(placed)
            else:
                gone.append(placed.rdd)
        self._failed = {failed for failed in self._failed if failed > time}
        return gone

    def cut(self, time: Millis) -> None:
        """Forget how layers up to a time were computed."""
        for placed in (*self.live, *self.retired):
            if placed.end <= time and placed.blocks:
                placed.rdd.cut()
                placed.sources = ()

    def memory(self) -> dict[str, Any]:
        """Return all layers as plain values, for `recall`."""
        together = [*self.live, *self.retired]
        places = {id(placed): i for i, placed in enumerate(together)}

        def kept(placed: Placed) -> dict[str, Any]:
            sources = () if placed.blocks else placed.sources
            known = [places[id(source)] for source in sources if id(source) in places]
            return {
                "rdd": placed.rdd,
                "end": placed.end,
                "since": placed.since,
                "until": placed.until,
                "sources": known if len(known) == len(sources) else [],
            }

        return {"layers": [kept(placed) for placed in together], "failed": sorted(self._failed)}

    def recall(self, memory: dict[str, Any]) -> None:
        """Have the layers that there were; one whose RDD is gone is left out if it is of the past.

        Raises:
            BlockLost: one that the next batch builds on is gone.
        """
        placed = [
            Placed(kept["rdd"], kept["end"], kept["since"], kept["until"])
            if "rdd" in kept
            else None
            for kept in memory["layers"]
        ]
        self.live, self.retired, self._failed = [], [], set(memory["failed"])
        for one, kept in zip(placed, memory["layers"], strict=True):
            if one is None and kept["until"] is None:
                raise BlockLost(f"the layer up to {kept['end']}")
            if one is not None:
                one.sources = [s for i in kept["sources"] if (s := placed[i]) is not None]
                (self.live if one.until is None else self.retired).append(one)

    def rdds(self) -> list[RDD[Any]]:
        """Return all layers."""
        merging = [] if self._merging is None else [self._merging[0]]
        return [placed.rdd for placed in (*self.live, *self.retired)] + merging + self.gone


def worth_merging(sizes: Sequence[int]) -> int:
    """Return how many of the newest layers make up one of about the next greater size.

    Args:
        sizes: of the layers, in bytes, the oldest first.

    >>> worth_merging([1000, 10, 10, 10]), worth_merging([60, 10, 10, 10])
    (3, 4)
    """
    number, total = 0, 0
    for size in reversed(sizes):
        if number and size > GROWTH * total:
            break
        number, total = number + 1, total + size
    return number


class LayeredState(DStream[Any]):
    """A stream that keeps a state by key; its batches are the layers of that.

    A kind of it says in `step` how a batch's values and the layers below make a layer. The layers'
    lineage is cut when what they were computed from is forgotten.
    """

    cuts_lineage = True
    holds_state = True

    def __init__(
        self,
        parents: Sequence[DStream[Any]],
        slide: Millis,
        num_partitions: int | None,
        *params: Any,
    ) -> None:
        super().__init__(parents, slide, num_partitions, *params)
        self.num_partitions = num_partitions
        self.stack = Stack()
        self.kept: Millis = 0

    def step(self, time: Millis, before: Millis | None) -> Function:
        """Return what writes the layer of a batch, given its values and the layers below, the
        newest first; ``before`` is the batch that wrote the newest of those."""
        raise TypeError(f"{type(self).__name__} does not say what a batch adds to its state")

    def first_layer(self, values: RDD[Any], time: Millis) -> RDD[Any] | None:
        """Return the layer that the first batch builds on, if there is one."""
        return None

    def compute(self, time: Millis) -> RDD[Any] | None:
        batch = self.parents[0].rdd_at(time)
        if batch is None or (self.stack.live and time <= self.stack.live[-1].end):
            return None
        values = batch.partition_by(self.num_partitions)
        if not self.stack.live and (first := self.first_layer(values, time)) is not None:
            first.id = f"{self.id}@{time}-first"
            self.stack.push(first.persist(), time - self.slide)
        self.stack.adopt(time)
        self.stack.merge_surplus(time)
        below = list(reversed(self.stack.live))
        step = self.step(time, below[0].end if below else None)
        layer: RDD[Any] = RDD(Layered(step), [values, *(placed.rdd for placed in below)])
        self.stack.push(layer, time)
        return layer

    def cuts_at(self, time: Millis) -> bool:
        return False

    def give_up(self, time: Millis) -> None:
        super().give_up(time)
        self.stack.give_up(time)

    def held(self) -> list[RDD[Any]]:
        return list({id(rdd): rdd for rdd in (*super().held(), *self.stack.rdds())}.values())

    def upkeep(self) -> RDD[Any] | None:
        return self.stack.merge_stored()

    def memory(self) -> dict[str, Any]:
        return {**super().memory(), "kept": self.kept, "stack": self.stack.memory()}

    def recall(self, memory: dict[str, Any]) -> None:
        super().recall(memory)
        self.kept = memory["kept"]
        self.stack.recall(memory["stack"])

    def needed_after(self, time: Millis) -> list[RDD[Any]]:
        return [*super().needed_after(time), *(placed.rdd for placed in self.stack.live)]

    def keep_states_for(self, duration: Millis) -> None:
        self.kept = max(self.kept, duration)

    def state_at(self, time: Millis) -> list[RDD[Any]]:
        return self.stack.at(time)

    def forget_before(self, time: Millis) -> list[RDD[Any]]:
        self.pauses.forget_before(time - self.remember)
        oldest = time - max(self.remember, self.kept)
        for old in list(takewhile(lambda t: t <= oldest, self.generated)):
            del self.generated[old]
        self.stack.cut(time - self.remember)
        return self.stack.forget(oldest)
