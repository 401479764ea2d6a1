"""Rows of all kinds as a table with known columns; runs inside a task."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from livebatch.block import Tables
from livebatch.frames.drift import SKIP, Part, fitting, note_new_fields, read
from livebatch.leftout import LeftOut, left_out
from livebatch.rdd.data import Data, Flow
from livebatch.schema import Columns, arrow_schema


def framed(format: str, columns: Columns, on_drift: str, rows: Data) -> pa.Table | Flow:
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
    note = left_out() if on_drift == SKIP else None

    def fitted(parts: Iterable[Part]) -> Iterator[pa.Table]:
        nonlocal note
        told, note = note, note and LeftOut()  # once, however often these are made
        for part in parts:
            if told is None:
                yield read(format, part, columns)
            else:
                yield from fitting(format, part, columns, told)

    schema = arrow_schema(columns)
    if not isinstance(rows, Flow):
        tables = list(fitted(_parts(format, rows, columns)))
    elif format == "json":  # all in one query
        lines = Flow(rows.schema, lambda: _parts(format, rows, columns))
        tables = list(fitted([lines]))
    else:
        return Flow(schema, lambda: fitted(_parts(format, rows, columns)))
    return pa.concat_tables(tables) if tables else schema.empty_table()


def _parts(format: str, rows: Data, columns: Columns) -> Iterator[Any]:
    """Yield rows in as few parts as they come in, none of them empty."""
    if isinstance(rows, Flow):
        parts: Iterable[Any] = rows.make()
    else:
        parts = rows.tables if isinstance(rows, Tables) else [list(rows)]
    noted = False
    for part in parts:
        if len(part):
            if not noted:
                note_new_fields(format, part, columns)
            noted = isinstance(rows, Flow)  # its parts are small, the first tells enough
            yield part
