"""Rows under way that memory does not hold: when to put them aside, and where.

Sorting, grouping and dividing rows ask here whether memory runs short and then go on by way of
temporary files. How much memory there is, the process says that runs the tasks (`limit`);
without a word of it nothing is ever put aside.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from mmap import ACCESS_READ, mmap
from tempfile import SpooledTemporaryFile
from typing import Any

import cloudpickle

SHARE = 0.4
"""The part of the memory from which on an operation puts rows aside."""

LEAST = 0.1
"""The part of the memory that an operation may take whatever others hold already."""

FIRST, PORTION = 256, 8192
"""So many rows are taken before the first look at the memory, and at most between two."""

PIECE = 1 << 18
"""About so many bytes are written to a temporary file, and read from it, at once."""


@dataclass
class Memory:
    """The memory that rows may take in this process.

    Attributes:
        limit: bytes that the process may take; None if nobody cares.
        used: says how many bytes it takes.
        give_back: returns to the system what it has freed.
        directory: where temporary files lie; None for the system's own place.
    """

    limit: int | None = None
    used: Callable[[], int] = lambda: 0
    give_back: Callable[[], None] = lambda: None
    directory: str | None = None


memory = Memory()


def lacks_memory(error: BaseException) -> bool:
    """Return whether an error says that there is no memory left: it is no fault of the rows."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryException"


def is_short() -> bool:
    """Return whether rows take so much memory that operations put them aside."""
    return memory.limit is not None and memory.used() > SHARE * memory.limit


def give_back() -> None:
    """Return to the system the memory of rows that have been put aside."""
    memory.give_back()


class Gauge:
    """Says when one operation has filled the memory that it may take."""

    _most: float | None = None

    def emptied(self) -> None:
        """Take note that the operation has put all its rows aside."""
        give_back()
        self._most = None
        self.full()

    def full(self) -> bool:
        """Return whether rows should be put aside now; the first time, they never are."""
        if memory.limit is None:
            return False
        used = memory.used()
        if self._most is None:
            self._most = max(SHARE * memory.limit, used + LEAST * memory.limit)
        return used > self._most


def portions(rows: Iterator[Any]) -> Iterator[Iterable[Any]]:
    """Yield rows in portions, each to be used up before the next, between which memory can be
    looked at; where it has no limit, in one.

    >>> [list(portion) for portion in portions(iter("abc"))]
    [['a', 'b', 'c']]
    """
    if memory.limit is None:
        yield rows
        return
    size, before = FIRST, 0
    for first in rows:
        yield chain((first,), islice(rows, size - 1))
        now = memory.used()
        fast = before and now - before > memory.limit / 64
        size = max(size // 2, 1) if fast else min(size * 2, PORTION)
        before = now


def gathered(rows: Iterable[Any], aside: Callable[[list[Any]], None]) -> list[Any]:
    """Return rows as a list; whenever memory runs short, give those so far to ``aside``, which
    must not keep them, and begin anew.

    >>> gathered(range(3), aside=print)
    [0, 1, 2]
    """
    held: list[Any] = []
    gauge = Gauge()
    for portion in portions(iter(rows)):
        held.extend(portion)
        if gauge.full():
            aside(held)
            held.clear()
            gauge.emptied()
    return held


class Scratch:
    """Bytes put aside: in memory while they are few, then in a file that has no name.

    Args:
        most: so many bytes are few; a small part of the memory if not told.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = int((memory.limit or 0) * LEAST / 2) if most is None else most
        self._file = SpooledTemporaryFile(self._most, dir=memory.directory)  # noqa: SIM115
        self._view: memoryview | None = None

    def __del__(self) -> None:
        self._file.close()

    def write(self, data: bytes) -> slice:
        """Add bytes; return where they lie."""
        start = self._file.tell()
        self._file.write(data)
        return slice(start, start + len(data))

    def view(self) -> memoryview:
        """Return all the bytes, mapped if they are in a file; no more can be added."""
        if self._view is None:
            if self._most and self._file.tell() > self._most:
                self._file.flush()
                self._view = memoryview(mmap(self._file.fileno(), 0, access=ACCESS_READ))
            else:
                self._file.seek(0)
                self._view = memoryview(self._file.read())
            self._file.close()
        return self._view


class Rows:
    """Rows put aside, to be read in the order in which they came.

    Args:
        scratch: where; if not told, somewhere of its own.

    >>> aside = Rows()
    >>> aside.extend(["a", "b"])
    >>> aside.extend(["c"])
    >>> list(aside), len(aside)
    (['a', 'b', 'c'], 3)
    """

    def __init__(self, scratch: Scratch | None = None) -> None:
        self._scratch = scratch or Scratch(PIECE)
        self._pieces: list[slice] = []
        self._held: list[Any] = []
        self._size = FIRST
        self._count = 0

    def extend(self, rows: Iterable[Any]) -> None:
        """Add rows."""
        rows = iter(rows)
        while more := list(islice(rows, self._size - len(self._held))):
            self._held += more
            self._count += len(more)
            if len(self._held) >= self._size:
                self.flush()

    def pickles(self) -> list[memoryview]:
        """Return the rows that have been flushed, as pickles of lists of them; to their scratch no
        more can be added."""
        data = self._scratch.view()
        return [data[piece] for piece in self._pieces]

    def flush(self) -> None:
        """Have all rows lie in the scratch."""
        if not self._held:
            return
        piece = self._scratch.write(dumps(self._held))
        self._pieces.append(piece)
        fitting = len(self._held) * PIECE // (piece.stop - piece.start)
        self._size = min(max(fitting, 1), 4 * self._size)
        self._held = []

    def __iter__(self) -> Iterator[Any]:
        self.flush()
        return chain.from_iterable(map(pickle.loads, self.pickles()))

    def __len__(self) -> int:
        return self._count


def dumps(value: Any) -> bytes:
    """Pickle a value; with cloudpickle where it holds functions or classes of the user's."""
    try:
        return pickle.dumps(value, protocol=5)
    except (pickle.PicklingError, AttributeError, TypeError):
        return bytes(cloudpickle.dumps(value, protocol=5))
