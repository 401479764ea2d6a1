"""Files as Arrow tables whose columns are known, whatever is in the files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import pyarrow as pa

from livebatch.errors import DefinitionError, SourceError
from livebatch.filesystems import reading
from livebatch.frames.drift import FAIL, SKIP
from livebatch.leftout import left_out
from livebatch.schema import Columns, arrow_schema, written
from livebatch.sources.drifted import fitting_rows
from livebatch.sources.formats import FORMATS, arrow_rows, is_blank, parquet_file, row_groups
from livebatch.sources.parts import Size, lines_in


def infer(path: str, format: str) -> Columns | None:
    """Return the columns of a file in the form that travels, or None if it has no rows to tell.

    Args:
        path: the file's path or URI.
        format: one of `livebatch.sources.formats.FORMATS`.

    Raises:
        SourceError: it cannot be read as a table.
    """
    with readable(path, format):
        if is_blank(path):
            return None
        sample = FORMATS[format].sample(path)
        # The header of a file of text says nothing of types.
        return written(sample.schema) if sample.num_rows or FORMATS[format].typed else None


@contextmanager
def readable(path: str, format: str) -> Iterator[None]:
    """Explain why a file cannot be read as a table of a format.

    Raises:
        SourceError: instead of what Arrow raises.
    """
    with reading(path):
        try:
            yield
        except (pa.ArrowException, DefinitionError) as error:
            raise SourceError(
                f"cannot tell the columns of {path} ({_text(error)}): is it "
                f'{FORMATS[format].title}? If so, say what it holds: schema={{"name": "VARCHAR"}}'
            ) from error


def read_table(path: str, format: str, columns: Columns, on_drift: str = FAIL) -> pa.Table:
    """Return what a file holds, with just these columns, of these types.

    Args:
        path: the file's path or URI.
        format: one of `livebatch.sources.formats.FORMATS`.
        columns: names and types, as `livebatch.schema.written` gives them.
        on_drift: ``"skip"``: rows that do not fit are left out, where a task may leave out any.

    Raises:
        SourceError: it cannot be read, or does not have these columns; the message says which.
    """
    return _fitting(path, format, columns, partial(_all_of, path, format), on_drift)


def read_row_groups(
    path: str, columns: Columns, first: int, last: int, on_drift: str = FAIL
) -> pa.Table:
    """Return the row groups ``[first, last)`` of a Parquet file, with just these columns.

    Raises:
        SourceError: it cannot be read, or does not have these columns; the message says which.
    """
    read = partial(_some_of, path, range(first, last))
    return _fitting(path, "parquet", columns, read, on_drift)


def rows_in(path: str, format: str) -> Size:
    """Return the size of a file: in row groups of a Parquet file, others cannot be divided.

    Raises:
        SourceError: it cannot be read as a table.
    """
    if not FORMATS[format].typed:
        return lines_in(path, divisible=False)
    with readable(path, format):
        if format == "arrow":
            return Size(1, arrow_rows(path))
        with parquet_file(path) as file:
            return Size(file.num_row_groups, file.metadata.num_rows)


def _all_of(path: str, format: str, schema: pa.Schema) -> pa.Table:
    return schema.empty_table() if is_blank(path) else FORMATS[format].read(path, schema)


def _some_of(path: str, groups: range, schema: pa.Schema) -> pa.Table:
    with parquet_file(path) as file:
        return row_groups(file, schema, groups)


def _fitting(
    path: str,
    format: str,
    columns: Columns,
    read: Callable[[pa.Schema], pa.Table],
    on_drift: str,
) -> pa.Table:
    schema = arrow_schema(columns)

    def fit(columns: pa.Schema) -> pa.Table:
        return read(columns).select(columns.names).cast(columns)

    with reading(path):
        try:
            return fit(schema)
        except pa.ArrowException as error:
            if on_drift == SKIP and (note := left_out()) is not None:
                with suppress(pa.ArrowException):
                    return fitting_rows(path, format, columns, read, note)
            raise SourceError(_misfit(path, format, schema, fit) or _text(error)) from error


def _misfit(
    path: str, format: str, schema: pa.Schema, fit: Callable[[pa.Schema], pa.Table]
) -> str | None:
    """Return what is wrong with a file: all of it, or the first column that does not fit."""
    try:
        fit(pa.schema([]))
    except pa.ArrowException as error:
        title = FORMATS[format].title
        return f"cannot read {path} ({_text(error)}): is it {title}, and is all of it there?"
    for field in schema:
        try:
            fit(pa.schema([field]))
        except pa.ArrowException as error:
            return (
                f'{path} does not fit: its column "{field.name}" cannot be read as {field.type} '
                f"({_text(error)}); leave such files out, or say another schema"
            )
    return None


def _text(error: Exception) -> str:
    return str(error.args[0]).strip().rstrip(".")
