"""Rows of all kinds as a table with known columns; runs inside a task."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pyarrow as pa

from livebatch.block import Tables
from livebatch.columns import VALUE, from_rows
from livebatch.duck import quoted
from livebatch.frames.kernel import kernel
from livebatch.frames.run import THIS
from livebatch.rdd.lines import Lines
from livebatch.rdd.operation import Data
from livebatch.schema import Columns, arrow_schema


def framed(format: str, columns: Columns, rows: Data) -> pa.Table:
    """Rows as a table with these columns.

    A row that lacks a column has NULL there; what it has besides is left out.

    Args:
        format: ``"rows"``; or how rows that are text are to be read: ``"json"``, ``"csv"``.
        columns: names and SQL types.
        rows: dicts, dataclasses, named tuples; tuples and single values, whose columns are taken
            in order; or tables.

    Raises:
        ValueError: a row does not fit.

    >>> framed("json", (("n", "BIGINT"), ("s", "VARCHAR")), ['{"n": 1}', '{"s": "x"}']).to_pylist()
    [{'n': 1, 's': None}, {'n': None, 's': 'x'}]
    """
    tables = _tables(rows)
    read = READERS[format]
    fitting = [read(table, columns) for table in tables if table.num_rows]
    return pa.concat_tables(fitting) if fitting else arrow_schema(columns).empty_table()


def _tables(rows: Data) -> Sequence[pa.Table]:
    if isinstance(rows, Tables):
        return rows.tables
    return rows.tables() if isinstance(rows, Lines) else (from_rows(list(rows)),)


def _fitted(table: pa.Table, columns: Columns) -> pa.Table:
    schema, names = arrow_schema(columns), set(table.column_names)
    if not names & set(schema.names):
        if len(names) != len(schema) or not _is_unnamed(table.column_names):
            raise ValueError(f"rows with {_listed(table)} have none of {', '.join(schema.names)}")
        table, names = table.rename_columns(schema.names), set(schema.names)
    arrays = [_cast(table, field) if field.name in names
              else pa.nulls(table.num_rows, field.type) for field in schema]  # fmt: skip
    return pa.table(arrays, schema=schema)


def _cast(table: pa.Table, field: pa.Field) -> pa.ChunkedArray:
    try:
        return table.column(field.name).cast(field.type)
    except pa.ArrowException as error:
        raise ValueError(f'column "{field.name}" is to be {field.type}: {error}') from None


def _is_unnamed(names: list[str]) -> bool:
    return names == [VALUE] or names == [f"_{i + 1}" for i in range(len(names))]


def _listed(table: pa.Table) -> str:
    return ", ".join(table.column_names) or "no columns"


def _from_json(table: pa.Table, columns: Columns) -> pa.Table:
    structure = json.dumps(dict(columns)).replace("'", "''")
    fields = ", ".join(f"x[{_text(name)}] AS {quoted(name)}" for name, _ in columns)
    # A value that is there and yet is NULL did not have the type.
    misfit = " OR ".join(
        f"(x[{_text(name)}] IS NULL AND json_type(json, {_text(_path(name))}) <> 'NULL')"
        for name, _ in columns
    )
    parsed = f"(SELECT json_transform(json, '{structure}') AS x, json FROM lines)"
    sql = (
        f"WITH lines AS (SELECT {quoted(table.column_names[0])} AS json FROM {THIS}) "
        f"SELECT {fields}, coalesce({misfit}, json_type(json) <> 'OBJECT', false) AS bad "
        f"FROM {parsed}"
    )
    found = kernel().run(sql, {THIS: table})
    bad = found.column("bad").index(True).as_py()
    if bad >= 0:
        line = table.column(0)[bad].as_py()
        raise ValueError(f"not a JSON object with values of the columns' types: {line}")
    return found.select(range(len(columns))).cast(arrow_schema(columns))


def _from_csv(table: pa.Table, columns: Columns) -> pa.Table:
    from pyarrow import csv  # takes a moment

    schema = arrow_schema(columns)
    text = "\n".join(line or "" for line in table.column(0).to_pylist())
    options = csv.ReadOptions(column_names=schema.names, use_threads=False)
    types = csv.ConvertOptions(column_types=schema, strings_can_be_null=True)
    return csv.read_csv(pa.BufferReader(text.encode()), options, convert_options=types)


def _text(text: str) -> str:
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


def _path(name: str) -> str:
    """Return where a field is in a JSON object."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


READERS: dict[str, Callable[[pa.Table, Columns], pa.Table]] = {
    "rows": _fitted,
    "json": _from_json,
    "csv": _from_csv,
}
