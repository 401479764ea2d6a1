"""Files some of whose rows do not have the columns of their stream: what fits of them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from livebatch.failure import Failure
from livebatch.frames.drift import fitting
from livebatch.leftout import LeftOut
from livebatch.rdd.lines import TEXT
from livebatch.schema import Columns, arrow_schema
from livebatch.sources.files import read_lines
from livebatch.sources.formats import arrow_file, csv_parsing, opened, parquet_file

_NULLS = csv.ConvertOptions().null_values


def fitting_rows(
    path: str, format: str, columns: Columns, note: LeftOut, groups: Sequence[int] | None = None
) -> pa.Table:
    """Return the rows of a file that fit, with NULL where it lacks a column.

    Args:
        path: the file's path or URI.
        format: one of `livebatch.sources.formats.FORMATS`.
        columns: names and types, as `livebatch.schema.written` gives them.
        note: gets the rows that do not fit.
        groups: which row groups of a Parquet file; all if not told.

    Raises:
        pa.ArrowException: it cannot be read at all, or has none of the columns.
    """
    found, schema = LeftOut(), arrow_schema(columns)
    if format == "json":
        lines = filter(str.strip, read_lines(path, TEXT))
        fit = fitting("json", list(lines), columns, found)
    else:
        fit = fitting("rows", _with_columns(path, format, schema, found, groups), columns, found)
    samples = [
        msgspec.structs.replace(failure, message=f"{failure.message} (in {path})")
        for failure in found.samples
    ]
    note.add(found.count, found.seen, samples)
    return pa.concat_tables([schema.empty_table(), *fit])


def _with_columns(
    path: str, format: str, schema: pa.Schema, note: LeftOut, groups: Sequence[int] | None
) -> pa.Table:
    """Return those of the columns that a file has."""
    if format == "csv":
        table = _csv(path, schema, note)
    elif format == "parquet":
        table = _parquet(path, schema, groups)
    else:
        with arrow_file(path) as reader:
            table = _known(reader.read_all(), schema)
    if not table.column_names:
        raise pa.ArrowInvalid("it has none of the columns")
    return table


def _csv(path: str, schema: pa.Schema, note: LeftOut) -> pa.Table:
    """Return values as they are written, without rows that have too many or too few."""

    def leave_out(row: csv.InvalidRow) -> str:
        wrong = f"{row.actual_columns} values, where there are {row.expected_columns} columns"
        note.add(1, 1, [Failure("ValueError", wrong, record=repr(row.text))])
        return "skip"

    parsing = csv_parsing(path)
    parsing.invalid_row_handler = leave_out
    reading = csv.ReadOptions(use_threads=False)
    converting = csv.ConvertOptions(column_types=dict.fromkeys(schema.names, pa.string()))
    with opened(path) as file:
        table = _known(csv.read_csv(file, reading, parsing, converting), schema)
    for i, name in enumerate(table.column_names):
        if not pa.types.is_string(schema.field(name).type):
            table = table.set_column(i, name, _value(table.column(i)))
    return table


def _value(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return text as what it says of a number or a time."""
    nothing = pc.is_in(column, pa.array(_NULLS))
    return pc.utf8_trim_whitespace(pc.if_else(nothing, None, column))


def _parquet(path: str, schema: pa.Schema, groups: Sequence[int] | None) -> pa.Table:
    with parquet_file(path) as file:
        names = [name for name in schema.names if name in file.schema_arrow.names]
        return file.read_row_groups(
            list(range(file.num_row_groups) if groups is None else groups), columns=names
        )


def _known(table: pa.Table, schema: pa.Schema) -> pa.Table:
    return table.select([name for name in schema.names if name in table.column_names])
