"""What push sources have given and no batch has worked off yet: how much it may be, and what gives
way when it is more."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from livebatch.block import BlockRef
from livebatch.interval import Millis
from livebatch.sources.receiving import KEY, Receiving, receiving_of
from livebatch.stream import Input


@dataclass
class Buffer:
    """What waits of one stream.

    Attributes:
        limit: bytes that may wait.
        received: bytes that wait for their batch.
        batches: bytes in each batch that is not done yet.
        dropped: how many records have been dropped so far.
    """

    receiving: Receiving
    limit: int
    received: int = 0
    batches: dict[Millis, int] = field(default_factory=dict)
    dropped: int = 0

    @property
    def nbytes(self) -> int:
        """How many bytes wait."""
        return self.received + sum(self.batches.values())

    def add(self, block: BlockRef, waiting: list[BlockRef]) -> list[BlockRef]:
        """Put a block to those that wait for their batch; return those that are dropped for it.

        The newest is never dropped, even where batches that are not done take all the room.
        """
        waiting.append(block)
        self.received += block.nbytes
        gone = []
        if self.receiving.on_overflow == "drop_oldest":
            while self.nbytes > self.limit and len(waiting) > 1:
                gone.append(waiting.pop(0))
                self.received -= gone[-1].nbytes
        self.dropped += sum(old.rows for old in gone)
        return gone

    def take(self, time: Millis, waiting: list[BlockRef]) -> list[BlockRef]:
        """Return the blocks for a batch, and take them off those that wait.

        Where earlier batches are not done yet, all batches together get half of what may wait:
        so there is room for what comes, and what is dropped is really the oldest.
        """
        busy = sum(self.batches.values())
        left = self.limit // 2 - busy if busy else self.limit
        taken: list[BlockRef] = []
        while waiting and (waiting[0].nbytes <= left or not (busy or taken)):
            taken.append(waiting.pop(0))
            left -= taken[-1].nbytes
        nbytes = sum(block.nbytes for block in taken)
        self.received -= nbytes
        if nbytes:
            self.batches[time] = nbytes
        return taken


class Buffers:
    """What waits of all push sources.

    Args:
        limit: bytes that may wait of a source that is not told.
        changed: told of a stream, how many bytes of it wait, and how many of its records have
            been dropped, whenever that changes.
    """

    def __init__(self, limit: int, changed: Callable[[str, int, int], None]) -> None:
        self._limit, self._changed = limit, changed
        self._buffers: dict[str, Buffer] = {}

    def keep_only(self, inputs: Iterable[Input[Any]]) -> None:
        """Have a buffer for each of these that is pushed, and for no other."""
        before, self._buffers = self._buffers, {}
        for node in inputs:
            if KEY not in node.options:
                continue
            said = receiving_of(node.options)
            made = Buffer(said, said.buffer or self._limit)
            self._buffers[node.id] = before.get(node.id, made)

    def get(self, stream: str) -> Buffer | None:
        """Return the buffer of a stream, if it has one."""
        return self._buffers.get(stream)

    def add(self, stream: str, block: BlockRef, waiting: list[BlockRef]) -> list[BlockRef]:
        """Put a block to those that wait; return those that are dropped for it."""
        buffer = self._buffers.get(stream)
        if buffer is None:  # it is fed by the engine itself
            waiting.append(block)
            return []
        gone = buffer.add(block, waiting)
        self._changed(stream, buffer.nbytes, buffer.dropped)
        return gone

    def take(self, stream: str, time: Millis, waiting: list[BlockRef]) -> list[BlockRef]:
        """Return the blocks for a batch, and take them off those that wait."""
        if buffer := self._buffers.get(stream):
            return buffer.take(time, waiting)
        taken = waiting.copy()
        waiting.clear()
        return taken

    def dropped(self, stream: str, rows: int) -> None:
        """Take note of records that never came this far."""
        if buffer := self._buffers.get(stream):
            buffer.dropped += rows

    def done(self, time: Millis) -> None:
        """Take note that a batch is done."""
        for stream, buffer in self._buffers.items():
            if buffer.batches.pop(time, 0):
                self._changed(stream, buffer.nbytes, buffer.dropped)
