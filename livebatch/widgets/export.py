"""Tables as CSV."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.csv


def csv(table: pa.Table) -> bytes:
    """A table as CSV; what CSV knows no form for becomes what Python prints.

    Example:
        >>> csv(pa.table({"word": ["a", None], "n": [1, 2], "tags": [["x"], []]})).decode()
        '"word","n","tags"\\n"a",1,"[\\'x\\']"\\n,2,"[]"\\n'
    """
    names = list(table.column_names)
    columns = [column if _plain(column) else _printed(column) for column in table.columns]
    sink = pa.BufferOutputStream()
    pa.csv.write_csv(pa.Table.from_arrays(columns, names), sink)
    return bytes(sink.getvalue())


def _plain(column: pa.ChunkedArray) -> bool:
    try:
        pa.csv.write_csv(pa.table({"": column.slice(0, 1)}), pa.BufferOutputStream())
    except pa.ArrowException:
        return False
    return True


def _printed(column: pa.ChunkedArray) -> pa.Array:
    return pa.array([None if value is None else str(value) for value in column.to_pylist()])
