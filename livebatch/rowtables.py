"""Rows as tables that can be turned back, and tables as rows."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, Sequence
from itertools import chain, repeat
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa

PART = 64 * 1024
"""So many rows of a table become Python objects at once."""

_ROWS = b"livebatch.rows"
_TYPES = {str, bytes, int, float, bool}
_TIMES = np.array(["0001-01-01", "9999-12-31T23:59:59.999999"], "datetime64[us]")

SCALARS = {_ROWS: b"scalar"}
"""What the schema of a table says whose rows are the values of its one column."""


def as_table(rows: Sequence[Any]) -> pa.Table:
    """Return rows as a table for looking at: what has no Arrow form is shown by its ``repr``."""
    if not rows:
        return pa.table({"value": pa.array([], pa.null())})
    table = to_table(rows)
    if table is None:
        names, columns = _columns(rows)
        table = pa.table([_lenient(column) for column in columns], names=names)
    return table.replace_schema_metadata(None)


def _columns(rows: Sequence[Any]) -> tuple[list[str], list[list[Any]]]:
    # An empty tuple or dict has no columns, but is a row.
    if all(isinstance(row, tuple) and row for row in rows) and len(set(map(len, rows))) == 1:
        columns = [list(column) for column in zip(*rows, strict=True)]
        names = getattr(rows[0], "_fields", None) or [f"_{i + 1}" for i in range(len(columns))]
        return list(names), columns
    if all(isinstance(row, dict) for row in rows) and any(rows):
        keys = dict.fromkeys(key for row in rows for key in row)
        names = [str(key).encode("utf-8", "replace").decode() for key in keys]
        return names, [[row.get(key) for row in rows] for key in keys]
    return ["value"], [list(rows)]


def _lenient(column: list[Any]) -> pa.Array:
    try:
        return pa.array(column)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return pa.array([None if value is None else _shown(value) for value in column])


def _shown(value: Any) -> str:
    try:
        return repr(value).encode("utf-8", "replace").decode()
    except Exception as error:
        return f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"


def to_table(rows: Sequence[Any]) -> pa.Table | None:
    """Return rows as an Arrow table that `table_rows` turns back, or None if they have none."""
    kinds = set(map(type, rows))
    if not rows or len(kinds) != 1:
        return _scalars(rows, kinds) if rows and kinds <= _TYPES | {type(None)} else None
    kind = kinds.pop()
    if kind is tuple:
        if len(set(map(len, rows))) != 1 or not rows[0]:
            return None
        columns = [list(map(itemgetter(i), rows)) for i in range(len(rows[0]))]
        return _table([f"_{i + 1}" for i in range(len(columns))], columns, b"tuple")
    if kind is dict:
        names = list(rows[0])
        if not names or any(list(row) != names for row in rows):
            return None
        if {type(name) for row in rows for name in row} != {str}:
            return None
        return _table(names, [list(map(itemgetter(name), rows)) for name in names], b"dict")
    return _scalars(rows, {kind})


def _scalars(rows: Sequence[Any], kinds: set[type]) -> pa.Table | None:
    return _table(["value"], [rows], b"scalar") if kinds <= _TYPES | {type(None)} else None


def _table(names: list[str], columns: Sequence[Sequence[Any]], shape: bytes) -> pa.Table | None:
    arrays = []
    for column in columns:
        kinds = set(map(type, column)) - {type(None)}
        if len(kinds) > 1 or not kinds <= _TYPES:
            return None
        try:
            arrays.append(pa.array(column))
        except (pa.ArrowException, UnicodeError, OverflowError):
            return None
    try:
        return pa.table(arrays, names=names).replace_schema_metadata({_ROWS: shape})
    except UnicodeError:
        return None


def pairs_table(pairs: ItemsView[Any, Any]) -> pa.Table | None:
    """Return the items of a dict as `to_table` does, without making a tuple of each."""
    mapping = pairs.mapping  # type: ignore[attr-defined]
    return _table(["_1", "_2"], [list(mapping), list(mapping.values())], b"tuple")


def each_row(table: pa.Table) -> Iterator[Any]:
    """Yield the rows of a table, each made as it is taken; see `table_rows`."""
    return chain.from_iterable(map(_rows, _parts(table)))


def table_parts(table: pa.Table) -> Iterator[list[Any]]:
    """Yield the rows of a table, some at a time; see `table_rows`."""
    return map(table_rows, _parts(table))


def table_rows(table: pa.Table) -> list[Any]:
    """Return the rows of a table: a dict each, unless it was made from tuples or scalars."""
    return list(_rows(table))


def _parts(table: pa.Table) -> Iterator[pa.Table]:
    return (table.slice(start, PART) for start in range(0, table.num_rows, PART))


def _rows(table: pa.Table) -> Iterable[Any]:
    shape = (table.schema.metadata or {}).get(_ROWS, b"dict")
    columns = list(map(_values, table.columns))
    if shape == b"scalar":
        return columns[0] if columns else []
    rows = zip(*columns, strict=True)
    return rows if shape == b"tuple" else map(dict, map(zip, repeat(table.column_names), rows))


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Return the values of a column as Python objects; times by way of numpy, which takes a
    twentieth of the time that Arrow does."""
    kind = column.type
    if not pa.types.is_timestamp(kind) or kind.unit != "us" or kind.tz not in (None, "UTC"):
        return column.to_pylist()  # type: ignore[no-any-return]
    times = column.to_numpy()
    if not (np.isnat(times) | ((times >= _TIMES[0]) & (times <= _TIMES[1]))).all():
        return column.to_pylist()  # type: ignore[no-any-return]
    found: list[Any] = times.tolist()
    if kind.tz is None:
        return found
    zone = pa.scalar(0, kind).as_py().tzinfo
    return [time and time.replace(tzinfo=zone) for time in found]
