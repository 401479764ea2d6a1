"""Files some of whose rows do not have the columns of their stream: what fits of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
from livebatch.sources.formats import FORMATS, csv_parsing, opened

_NULLS = csv.ConvertOptions().null_values


def fitting_rows(
    path: str,
    format: str,
    columns: Columns,
    read: Callable[[pa.Schema], pa.Table],
    note: LeftOut,
) -> pa.Table:
    """Return the rows of a file that fit, with NULL where it lacks a column.

    Args:
        path: the file's path or URI.
        format: one of `livebatch.sources.formats.FORMATS`.
        columns: names and types, as `livebatch.schema.written` gives them.
        read: gives columns of a file that says their types itself, or of a part of it.
        note: gets the rows that do not fit.

    Raises:
        pa.ArrowException: it cannot be read at all, or has none of the columns.
    """
    found, schema = LeftOut(), arrow_schema(columns)
    if format == "json":
        lines = filter(str.strip, read_lines(path, TEXT))
        fit = fitting("json", list(lines), columns, found)
    else:
        rows = _csv(path, schema, found) if format == "csv" else _typed(path, format, schema, read)
        fit = fitting("rows", rows, columns, found)
    samples = [
        msgspec.structs.replace(failure, message=f"{failure.message} (in {path})")
        for failure in found.samples
    ]
    note.add(found.count, found.seen, samples)
    return pa.concat_tables([schema.empty_table(), *fit])


def _typed(
    path: str, format: str, schema: pa.Schema, read: Callable[[pa.Schema], pa.Table]
) -> pa.Table:
    """Return the columns that a file has, of the types that it says."""
    there = FORMATS[format].sample(path).schema
    names = _known(there.names, schema)
    return read(pa.schema([there.field(name) for name in names])).select(names)


def _known(there: Sequence[str], schema: pa.Schema) -> list[str]:
    """Return which columns of a schema are there."""
    names = [name for name in schema.names if name in there]
    if not names:
        raise pa.ArrowInvalid("it has none of the columns")
    return names


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
        table = csv.read_csv(file, reading, parsing, converting)
    table = table.select(_known(table.column_names, schema))
    for i, name in enumerate(table.column_names):
        if not pa.types.is_string(schema.field(name).type):
            table = table.set_column(i, name, _value(table.column(i)))
    return table


def _value(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return text as what it says of a number or a time."""
    nothing = pc.is_in(column, pa.array(_NULLS))
    return pc.utf8_trim_whitespace(pc.if_else(nothing, None, column))
