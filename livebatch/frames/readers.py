"""How rows of each kind become a table with known columns; runs inside a task."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from livebatch.columns import VALUE
from livebatch.frames import jsonlines
from livebatch.schema import Columns, arrow_schema


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
    found, misfits = jsonlines.apart(table, columns)
    for line in misfits:
        raise ValueError(f"not a JSON object with values of the columns' types: {line}")
    return found


def _from_csv(table: pa.Table, columns: Columns) -> pa.Table:
    from pyarrow import csv  # takes a moment

    schema = arrow_schema(columns)
    text = "\n".join(line or "" for line in table.column(0).to_pylist())
    options = csv.ReadOptions(column_names=schema.names, use_threads=False)
    types = csv.ConvertOptions(column_types=schema, strings_can_be_null=True)
    return csv.read_csv(pa.BufferReader(text.encode()), options, convert_options=types)


READERS: dict[str, Callable[[pa.Table, Columns], pa.Table]] = {
    "rows": _fitted,
    "json": _from_json,
    "csv": _from_csv,
}
