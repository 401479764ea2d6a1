"""A table as lines: for each key, x in milliseconds and y."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from livebatch.widgets.buffer import thin
from livebatch.widgets.columns import (
    Floats,
    codes,
    epoch_ms,
    event_time,
    floats,
    listing,
    numbers,
    texts,
)

Series: TypeAlias = dict[str, tuple[Floats, Floats]]

POINTS = 128
"""Points that one batch may add, over all lines; more would not be seen."""


def series(
    table: pa.Table, now: float, name: str, *, tracked: set[str], most: int, kind: str = "a line"
) -> tuple[Series, float]:
    """Split a table into lines.

    With a column of text there is a line for each of its values and the first column of numbers
    is drawn, otherwise a line for each column of numbers.

    Args:
        table: one batch.
        now: the time of the batch, in milliseconds; x of rows that carry no time of their own.
        name: the key of a lone column called ``value``.
        tracked: keys that are wanted whatever their size.
        most: how many other keys are wanted, the largest.
        kind: what is to be drawn, for the message of an error.

    Returns:
        The lines, and the time up to which they are known (-inf if nothing is).

    Raises:
        ValueError: if there is no column of numbers.

    Example:
        >>> table = pa.table({"page": ["/a", "/b", "/a"], "ms": [1, 2, 3]})
        >>> lines, end = series(table, 1000.0, "latency", tracked=set(), most=10)
        >>> {key: y.tolist() for key, (x, y) in lines.items()}, end
        ({'/a': [1.0, 3.0], '/b': [2.0]}, 1000.0)
    """
    schema = table.schema
    if not (amounts := numbers(schema)):
        raise ValueError(f"{kind} view needs a column of numbers; the stream has {listing(schema)}")
    clock = event_time(schema)
    x = np.full(table.num_rows, now) if clock is None else epoch_ms(table.column(clock))
    end = now if clock is None else float(np.nanmax(x, initial=-np.inf))
    if keys := texts(schema):
        y = floats(table.column(amounts[0]))
        groups = [(key, rows, y) for key, rows in _by_key(table.column(keys[0]), y, tracked, most)]
    else:
        rows = np.arange(table.num_rows)
        groups = [(_title(schema, i, name), rows, floats(table.column(i))) for i in amounts[:most]]
    share = max(POINTS // max(len(groups), 1), 4)
    return {key: _points(x[rows], y[rows], share) for key, rows, y in groups}, end


def _by_key(
    column: pa.ChunkedArray, y: Floats, tracked: set[str], most: int
) -> Iterator[tuple[str, npt.NDArray[np.int64]]]:
    """The rows of each key that is tracked or among the largest."""
    code, labels = codes(column)
    sizes = np.bincount(code, weights=np.abs(np.nan_to_num(y)), minlength=len(labels))
    largest = set(np.argsort(-sizes, kind="stable")[:most].tolist())
    for i, label in enumerate(labels):
        if i in largest or label in tracked:
            yield label, np.flatnonzero(code == i)


def _title(schema: pa.Schema, i: int, name: str) -> str:
    column = str(schema.field(i).name)
    return name if column == "value" else column


def _points(x: Floats, y: Floats, limit: int) -> tuple[Floats, Floats]:
    usable = np.isfinite(x) & np.isfinite(y)
    x, y = x[usable], y[usable]
    if np.any(x[1:] < x[:-1]):
        order = np.argsort(x, kind="stable")
        x, y = x[order], y[order]
    return thin(x, y, limit)
