"""Rows of all kinds as a table with known columns; runs inside a task."""

from __future__ import annotations

import pyarrow as pa

from livebatch.block import Tables
from livebatch.frames.drift import SKIP, Part, fitting, note_new_fields, read
from livebatch.leftout import left_out
from livebatch.rdd.lines import Lines
from livebatch.rdd.operation import Data
from livebatch.schema import Columns, arrow_schema


def framed(format: str, columns: Columns, on_drift: str, rows: Data) -> pa.Table:
    """Rows as a table with these columns.

    A row that lacks a column has NULL there; what it has besides is ignored, which is logged.

    Args:
        format: ``"rows"``; or how rows that are text are to be read: ``"json"``, ``"csv"``.
        columns: names and SQL types.
        on_drift: ``"skip"``: rows that do not fit are left out; ``"fail"``: they are errors.
        rows: dicts, dataclasses, named tuples; tuples and single values, whose columns are taken
            in order; or tables.

    Raises:
        ValueError: a row does not fit, and is not to be left out.

    >>> columns, lines = (("n", "BIGINT"), ("s", "VARCHAR")), ['{"n": 1}', '{"s": "x"}']
    >>> framed("json", columns, "fail", lines).to_pylist()
    [{'n': 1, 's': None}, {'n': None, 's': 'x'}]
    """
    note, found = left_out() if on_drift == SKIP else None, []
    for part in _parts(rows):
        note_new_fields(format, part, columns)
        if note is None:
            found.append(read(format, part, columns))
        else:
            found += fitting(format, part, columns, note)
    return pa.concat_tables(found) if found else arrow_schema(columns).empty_table()


def _parts(rows: Data) -> list[Part]:
    """Return rows in as few parts as they come in, none of them empty."""
    if isinstance(rows, (Tables, Lines)):
        return [table for table in rows.tables if table.num_rows]
    some = list(rows)
    return [some] if some else []
