"""Recorded rows, each with the time at which it happened."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from livebatch.errors import DefinitionError, SourceError
from livebatch.filesystems import reading
from livebatch.schema import Columns, arrow_schema, written
from livebatch.sources.formats import format_of
from livebatch.sources.inline import from_uri, is_inline
from livebatch.sources.tables import infer, read_table

_NS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1000, "ns": 1}
_DAY = 86_400 * _NS["s"]


class Recording(NamedTuple):
    """Where rows are recorded, and what was found when this was looked at.

    Times are in microseconds since 1970 UTC, or since whatever 0 is in a column of numbers.

    Attributes:
        data: a file's path or URI, or a URI that holds the rows.
        time_column: which column is the time.
        version: changes when the file does.
        columns: the names and types of the columns.
        rows: how many there are.
        first, last: their times.
    """

    data: str
    time_column: str
    version: str
    columns: Columns
    rows: int
    first: int
    last: int

    @property
    def schema(self) -> pa.Schema:
        return arrow_schema(self.columns)

    @property
    def period(self) -> int:
        """How long a round takes, if it is played again and again, microseconds: after the last
        row there is a pause as long as those between rows are on average."""
        span = self.last - self.first
        pause = span / (self.rows - 1) if span else 1_000_000
        kind = self.schema.field(self.time_column).type
        unit = 1 if pa.types.is_floating(kind) else max(1, _tick(kind) // _NS["us"])
        return math.ceil((span + max(pause, 1)) / unit) * unit


def look_at(data: str, time_column: str) -> Recording:
    """Return what is recorded where.

    Raises:
        DefinitionError: there is no such column, there are no rows, or some have no time.
        SourceError: the file cannot be read.
    """
    inline = is_inline(data)
    columns = written(from_uri(data).schema) if inline else infer(data, format_of(data))
    kinds = dict(columns or ())
    if not columns or time_column not in kinds:
        known = ", ".join(kinds) or "none"
        raise DefinitionError(f'there is no column "{time_column}" in the data; there are {known}')
    version = "" if inline else _version(data)
    times = times_of(_table(data, ((time_column, kinds[time_column]),)), time_column)
    if not len(times):
        raise DefinitionError("there are no rows to play")
    first, last = int(times.min()), int(times.max())
    return Recording(data, time_column, version, columns, len(times), first, last)


@lru_cache(maxsize=2)
def load(recording: Recording) -> tuple[pa.Table, npt.NDArray[np.int64]]:
    """Return recorded rows in the order of time, and their times.

    Raises:
        SourceError: the file cannot be read, or has changed.
    """
    if not is_inline(recording.data) and _version(recording.data) != recording.version:
        raise SourceError(
            f"{recording.data} is not what it was when the stream was defined: define it again"
        )
    table = _table(recording.data, recording.columns)
    times = times_of(table, recording.time_column)
    if (times[1:] < times[:-1]).any():
        order = np.argsort(times, kind="stable")
        table, times = table.take(pa.array(order)), times[order]
    return table, times


def later(table: pa.Table, time_column: str, by: int) -> pa.Table:
    """Return rows with their times moved by some microseconds, such as a period."""
    i = table.schema.get_field_index(time_column)
    field = table.schema.field(i)
    stored = field.type
    if pa.types.is_timestamp(stored):
        stored = pa.int64()
    elif pa.types.is_date(stored):
        stored = pa.int32()
    ticks, rest = divmod(by * _NS["us"], _tick(field.type))  # the rest is 0, but for floats
    moved_by = pa.scalar(ticks + rest / _tick(field.type) if rest else ticks).cast(stored)
    moved = pc.add_checked(table.column(i).cast(stored), moved_by).cast(field.type)
    return table.set_column(i, field, moved)


def _version(path: str) -> str:
    with reading(path) as (filesystem, place):
        found = filesystem.get_file_info(place)
        return f"{found.size}-{found.mtime_ns}"


def _table(data: str, columns: Columns) -> pa.Table:
    if is_inline(data):
        return from_uri(data).select([name for name, _ in columns])
    return read_table(data, format_of(data), columns)


def times_of(table: pa.Table, name: str) -> npt.NDArray[np.int64]:
    """Return a column of times in microseconds.

    Raises:
        DefinitionError: it is no such column.
    """
    column = table.column(name)
    kind = column.type
    if column.null_count:
        raise DefinitionError(f'{column.null_count} rows have no "{name}": leave them out')
    try:
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            column = column.cast(pa.timestamp("us", getattr(kind, "tz", None)), safe=False)
            return np.asarray(column.cast(pa.int64()))
        if pa.types.is_integer(kind):
            return np.asarray(pc.multiply_checked(column.cast(pa.int64()), 1_000_000))
        if pa.types.is_floating(kind):
            return np.asarray(pc.round(pc.multiply(column, 1e6)).cast(pa.int64()))
    except pa.ArrowInvalid as error:
        raise DefinitionError(f'"{name}" holds what is no time ({error})') from error
    raise DefinitionError(
        f'"{name}" must be of times, dates, or numbers of seconds, but is of type {kind}'
    )


def _tick(kind: pa.DataType) -> int:
    """Return what 1 means in a type of times, nanoseconds."""
    if pa.types.is_timestamp(kind):
        return _NS[kind.unit]
    return _DAY if pa.types.is_date(kind) else _NS["s"]
