"""Rows that a function of Python takes one by one, and SQL as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain

import numpy as np
import pyarrow as pa

from livebatch.columns import VALUE
from livebatch.rdd.data import Flow
from livebatch.rowtables import SCALARS

TEXT = "utf-8"
"""The encoding of Arrow's text."""

_SCHEMA = pa.schema([(VALUE, pa.string())], SCALARS)


class Lines(Flow):
    """The lines of a text: one by one or in tables; and how many of them were taken.

    Args:
        parts: gives the lines, some at a time.
        pieces: gives the same as bytes of UTF-8, cut at ends of lines, none of them empty.

    Example:
        >>> lines = Lines(lambda: iter([["a", "b"]]), lambda: iter([b"a\\nb\\n"]))
        >>> lines.tables[0].column("value").to_pylist(), lines.taken()
        (['a', 'b'], 2)
    """

    def __init__(
        self, parts: Callable[[], Iterator[list[str]]], pieces: Callable[[], Iterator[bytes]]
    ) -> None:
        super().__init__(_SCHEMA, self._columns)
        self._parts, self._pieces = parts, pieces
        self._taken = 0

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self._counted())

    def taken(self) -> int:
        """Return how many lines were taken; some more may have been made than were looked at."""
        return self._taken

    def _counted(self) -> Iterator[list[str]]:
        self._taken = 0
        # That a part stays until there is the next spares the system to give its memory again.
        for part in self._parts():
            self._taken += len(part)
            yield part

    def with_ends(self) -> Flow:
        """Return tables of the lines with their ends, which costs less."""
        return Flow(_SCHEMA, partial(self._columns, True))

    def _columns(self, ends: bool = False) -> Iterator[pa.Table]:
        taken = 0
        for piece in self._pieces():
            column = _column(piece, ends)
            taken += len(column)
            yield pa.Table.from_arrays([column], schema=self.schema)
        self._taken = taken


def _column(data: bytes, with_ends: bool) -> pa.Array:
    """Return the lines of a piece of text; bytes that are no UTF-8 become U+FFFD."""
    if b"\r" in data and not with_ends:
        data = data.replace(b"\r\n", b"\n")
    if not data.endswith(b"\n"):
        data = data.removesuffix(b"\r") + b"\n"
    if not data.isascii():  # which is found much faster
        data = data.decode(errors="replace").encode()
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
    offsets = np.zeros(len(ends) + 1, np.int32)
    offsets[1:] = ends + 1 if with_ends else ends - np.arange(len(ends))
    text = data if with_ends else data.replace(b"\n", b"")
    return pa.Array.from_buffers(
        pa.string(), len(ends), [None, pa.py_buffer(offsets), pa.py_buffer(text)]
    )
