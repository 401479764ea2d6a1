"""What a receiver has sent, what of it the engine has, and how much of it waits there."""

from __future__ import annotations

from collections import deque

from livebatch.block import BlockRef
from livebatch.wire import Room


class Tally:
    """Counts blocks on their way.

    Args:
        limit: bytes that may wait.

    Attributes:
        blocks: how many have been sent.
        dropping: whether the engine has dropped records when it was last heard of.

    Example:
        >>> tally = Tally(limit=100)
        >>> tally.add(BlockRef("s-1.1", 1, 70, "arrow"))
        >>> tally.add(BlockRef("s-1.2", 1, 70, "arrow"))
        >>> tally.cut(emitted=2), tally.full
        (0, True)
        >>> tally.heard(Room(waiting=20, blocks=1, dropped=0)), tally.full  # one is on its way
        (0, False)
        >>> tally.heard(Room(waiting=90, blocks=2, dropped=0)), tally.full
        (2, False)
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting = 0
        self._dropped: int | None = None
        self._on_their_way: deque[int] = deque()
        self._cuts: deque[tuple[int, int]] = deque()
        self._received = 0
        self.blocks = 0
        self.dropping = False

    def add(self, block: BlockRef) -> None:
        """Take note of a block that is sent."""
        self.blocks += 1
        self._on_their_way.append(block.nbytes)

    def cut(self, emitted: int) -> int:
        """Take note that so many records in all are in the blocks up to now; return how many of
        all the engine has."""
        self._cuts.append((self.blocks, emitted))
        return self._settled()

    def heard(self, room: Room) -> int:
        """Take note of what the engine says; return how many of all records it has."""
        self.dropping = self._dropped is not None and room.dropped > self._dropped
        self._waiting, self._dropped = room.waiting, room.dropped
        while self.blocks - len(self._on_their_way) < room.blocks:
            self._on_their_way.popleft()
        return self._settled()

    def _settled(self) -> int:
        has = self.blocks - len(self._on_their_way)
        while self._cuts and self._cuts[0][0] <= has:
            self._received = self._cuts.popleft()[1]
        return self._received

    @property
    def full(self) -> bool:
        """Whether as much waits as may."""
        return self._waiting + sum(self._on_their_way) >= self._limit

    @property
    def said(self) -> str:
        """That it is full, in words."""
        return f"its buffer of {self._limit / 1e6:,.1f} MB is full"
