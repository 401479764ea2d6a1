"""A table as lines: for each key, x in milliseconds and y."""

from __future__ import annotations

from typing import Any, TypeAlias

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
        lines = _by_key(table.column(keys[0]), x, y, tracked, most)
    else:
        columns = ((i, floats(table.column(i))) for i in amounts[:most])
        lines = {_title(schema, i, name): _drawable(x, y) for i, y in columns}
    share = max(POINTS // max(len(lines), 1), 4)
    return {key: thin(x, y, share) for key, (x, y) in lines.items()}, end


def _by_key(
    column: pa.ChunkedArray, x: Floats, y: Floats, tracked: set[str], most: int
) -> dict[str, tuple[Floats, Floats]]:
    """The points of each key that is tracked or among the largest."""
    code, labels = codes(column)
    x, y, code = _drawable(x, y, code)
    by_code = np.argsort(code, kind="stable")
    x, y, code = x[by_code], y[by_code], code[by_code]
    bounds = np.searchsorted(code, np.arange(len(labels) + 1)).tolist()
    sizes = np.bincount(code, weights=np.abs(y), minlength=len(labels))
    largest = set(np.argsort(-sizes, kind="stable")[:most].tolist())
    return {
        label: (x[bounds[i] : bounds[i + 1]], y[bounds[i] : bounds[i + 1]])
        for i, label in enumerate(labels)
        if i in largest or label in tracked
    }


def _title(schema: pa.Schema, i: int, name: str) -> str:
    column = str(schema.field(i).name)
    return name if column == "value" else column


def _drawable(x: Floats, y: Floats, *more: npt.NDArray[Any]) -> Any:
    """The points whose x and y are known, in order of x, and what goes with them."""
    known = np.isfinite(x) & np.isfinite(y)
    columns = [x, y, *more] if known.all() else [column[known] for column in (x, y, *more)]
    x = columns[0]
    if np.any(x[1:] < x[:-1]):
        order = np.argsort(x, kind="stable")
        columns = [column[order] for column in columns]
    return tuple(columns)
