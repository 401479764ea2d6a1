"""Rows that a function of Python takes one by one, and SQL as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from livebatch.columns import VALUE

TEXT = "utf-8"
"""The encoding of Arrow's text."""


class Lines(Iterator[str]):
    """The lines of a text: one by one, or, where that is asked for first, as columns.

    Args:
        rows: gives the lines.
        pieces: gives the same as bytes of UTF-8, cut at ends of lines; None: there are no such.

    Example:
        >>> lines = Lines(lambda: iter(["a", "b"]), lambda: iter([b"a\\nb\\n"]))
        >>> lines.tables[0].column("value").to_pylist(), list(lines)
        (['a', 'b'], ['a', 'b'])
    """

    def __init__(
        self, rows: Callable[[], Iterator[str]], pieces: Callable[[], Iterator[bytes]] | None = None
    ) -> None:
        self._rows, self._pieces = rows, pieces
        self._begun: Iterator[str] | None = None

    def __next__(self) -> str:
        if self._begun is None:
            self._begun = self._rows()
        return next(self._begun)

    @property
    def tables(self) -> list[pa.Table]:
        """Return tables of all lines, in one column."""
        if self._pieces is not None:
            arrays = list(map(_column, self._pieces()))
            if None not in arrays:
                return [pa.table({VALUE: array}) for array in arrays]
        return [pa.table({VALUE: pa.array(list(self._rows()), pa.string())})]


def _column(data: bytes) -> Any:
    """Return the lines of a piece of text, or None if it is no UTF-8."""
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
    if not data.endswith(b"\n"):
        data = data.removesuffix(b"\r") + b"\n"
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
    offsets = np.zeros(len(ends) + 1, np.int32)
    offsets[1:] = ends - np.arange(len(ends))
    joined = data.replace(b"\n", b"")
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(joined)]
    column = pa.Array.from_buffers(pa.string(), len(ends), buffers)
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return None
    return column
