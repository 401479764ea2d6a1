"""Lines of JSON as a table with known columns; runs inside a task."""

from __future__ import annotations

import json
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from livebatch.duck import quoted
from livebatch.frames.kernel import kernel
from livebatch.frames.run import THIS
from livebatch.schema import Columns, arrow_schema


def parsed(lines: pa.Table, columns: Columns) -> pa.Table:
    """Lines as rows, with NULL for what is not there or does not have its column's type.

    Raises:
        duckdb.Error: a line is no JSON.
    """
    fields = ", ".join(f"x[{_text(name)}] AS {quoted(name)}" for name, _ in columns)
    rows = _run(f"SELECT {fields}", lines, columns)
    return rows.cast(arrow_schema(columns))


def misfits(lines: pa.Table, rows: pa.Table, columns: Columns) -> pa.Array:
    """Which lines do not fit, given what they were parsed to; each is true or false.

    Only where something is NULL, lines are looked at again.
    """
    nulls = [column.combine_chunks().is_null() for column in rows.columns if column.null_count]
    if not nulls:
        return pa.repeat(False, len(rows))
    suspect = reduce(pc.or_, nulls)
    # A value that is there and yet is NULL did not have the type.
    misfit = " OR ".join(
        f"(x[{_text(name)}] IS NULL AND json_type(json, {_text(_path(name))}) <> 'NULL')"
        for name, _ in columns
    )
    sql = f"SELECT coalesce({misfit}, json_type(json) <> 'OBJECT', false) AS bad"
    bad = _run(sql, lines.filter(suspect), columns)
    return pc.replace_with_mask(suspect, suspect, bad.column("bad").combine_chunks())


def are_json(lines: pa.Table) -> pa.ChunkedArray:
    """Which lines are JSON at all; each is true or false."""
    sql = f"SELECT coalesce(json_valid({quoted(lines.column_names[0])}), true) AS ok FROM {THIS}"
    return kernel().run(sql, {THIS: lines}).column("ok")


def fields(lines: pa.Table) -> list[str]:
    """The names of the fields of lines."""
    some = lines.filter(are_json(lines))
    keys = f"SELECT unnest(json_keys({quoted(lines.column_names[0])})) AS key FROM {THIS}"
    found = kernel().run(f"SELECT DISTINCT key FROM ({keys}) ORDER BY key", {THIS: some})
    names: list[str] = found.column("key").to_pylist()
    return names


def _run(select: str, lines: pa.Table, columns: Columns) -> pa.Table:
    structure = _text(json.dumps(dict(columns)))
    named = f"(SELECT {quoted(lines.column_names[0])} AS json FROM {THIS})"
    sql = f"{select} FROM (SELECT json_transform(json, {structure}) AS x, json FROM {named})"
    return kernel().run(sql, {THIS: lines})


def _text(text: str) -> str:
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


def _path(name: str) -> str:
    """Return where a field is in a JSON object."""
    return "/" + name.replace("~", "~0").replace("/", "~1")
