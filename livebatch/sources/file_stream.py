"""Rows of the CSV, JSON, Parquet and Arrow files that are put into a folder."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal, TypedDict

import msgspec
import pyarrow as pa

from livebatch.closures import Builtin, builtin
from livebatch.errors import SourceError
from livebatch.filesystems import within
from livebatch.frames.drift import check_policy
from livebatch.interval import Millis
from livebatch.schema import Columns, arrow_schema, written
from livebatch.sources import folder
from livebatch.sources.folder import check_directory, modified, new_files
from livebatch.sources.formats import format_named
from livebatch.sources.tables import infer, read_row_groups, read_table, rows_in


class Offsets(TypedDict):
    """What is remembered from one batch to the next.

    Attributes:
        files: which have been seen.
        schema: the columns, once there was a file to tell them.
    """

    files: folder.Offsets
    schema: Columns | None


class Options(msgspec.Struct, frozen=True):
    """What travels of a source."""

    directory: str
    format: Literal["csv", "json", "parquet", "arrow"] = "csv"
    schema: Any = None
    on_drift: Literal["skip", "fail"] = "skip"


# Who asks a source for its schema gets Arrow's; this is the field that travels.
_SCHEMA: Any = Options.__dict__["schema"]


class Source(Options, frozen=True):
    """Return a stream of the rows of each new file in a folder, as tables.

    Which files are new, and how they are to be put there, is as for `text_file_stream`: each is
    read once, as one partition of the first batch that finds it, and must be complete when it
    appears. While batches fall behind, Parquet files are read by row groups in several batches.

    - CSV: the first line has the names of the columns. They are separated by commas,
      semicolons, tabs or bars, whichever there are most of in that line.
    - JSON: an object on each line; what one does not have is null.
    - Parquet, and Arrow IPC.

    CSV and JSON files may be compressed, if their names say so (``.gz``, ``.bz2``, ``.lz4``,
    ``.zst``).

    All rows have the same columns, of the same types. A file may have others besides, which are
    left out; in one that lacks a column, it is null. A row with a value that is not of its column's
    type is left out, counted and kept with the stream's ``errors``. A file that cannot be read at
    all, or has none of the columns, fails its batch with an error that names it.

    Args:
        directory: the folder, which every worker must be able to read, or a URI of it
            (``s3://``, ``gs://``, ``hdfs://``, ``file://``); it may be made later.
        format: ``"csv"``, ``"json"``, ``"parquet"`` or ``"arrow"``.
        schema: the columns' names and types, those of SQL (``"DECIMAL(10,2)"``) or of Arrow
            (``"int64"``). If not given, they are those of the newest file in the folder when the
            stream is defined, or else of the first that comes.
        on_drift: ``"skip"``: go on without rows that do not fit; ``"fail"``: a file with such a
            row, or without one of the columns (JSON may be), fails its batch with an error that
            names the column.

    Raises:
        DefinitionError: the folder is a file, there is no such format or policy, or a type is no
            type.
        SourceError: the newest file cannot be read as a table.

    Example:
        ::

            trades = ssc.file_stream("incoming", "csv", {"symbol": "VARCHAR", "price": "DOUBLE"})
            trades.map(lambda row: (row["symbol"], row["price"])).reduce_by_key(max).pprint()
    """

    def __post_init__(self) -> None:
        format_named(self.format)
        check_policy(self.on_drift)
        # The engine and the workers may run elsewhere than where the path was written.
        msgspec.structs.force_setattr(self, "directory", check_directory(self.directory))
        given = _SCHEMA.__get__(self)
        _SCHEMA.__set__(self, self._newest() if given is None else written(given))

    @property  # type: ignore[misc]
    def schema(self) -> pa.Schema | None:
        """The Arrow schema of the rows; None as long as it is not known."""
        columns = _SCHEMA.__get__(self)
        return None if columns is None else arrow_schema(columns)

    def plan(
        self, offsets: Offsets | None, time: Millis, limit: int | None = None
    ) -> tuple[list[Builtin], Offsets]:
        """Return a reader for each new file, oldest first, and what to remember.

        The first call takes note of what is there and reads nothing.

        Args:
            offsets: what the last call returned; None at first.
            time: the batch time, milliseconds since 1970 UTC.
            limit: at most about so many rows; but files other than Parquet are read whole, and
                of Parquet files row groups are.

        Raises:
            SourceError: the folder cannot be listed.
        """
        size = partial(rows_in, format=self.format)
        parts, files = new_files(self.directory, offsets and offsets["files"], time, limit, size)
        known = offsets["schema"] if offsets else _SCHEMA.__get__(self)
        columns = None if known is None else written(known)
        readers = []
        for path, start, end in parts:
            columns = columns or _told(path, self.format)
            if end is None or columns is None:
                readers.append(builtin(read_new, path, self.format, columns, self.on_drift))
            else:
                readers.append(builtin(read_row_groups, path, columns, start, end, self.on_drift))
        return readers, {"files": files, "schema": columns}

    def _newest(self) -> Columns | None:
        """Return the columns of the newest file that has any."""
        files = modified(self.directory, missing_ok=True)
        for name in sorted(files, key=lambda name: (files[name], name), reverse=True):
            if columns := infer(within(self.directory, name), self.format):
                return columns
        return None


def _told(path: str, format: str) -> Columns | None:
    """Return the columns of a file; the batch that reads it says why, if it cannot be read."""
    try:
        return infer(path, format)
    except SourceError:
        return None


def read_new(
    path: str, format: str, columns: Columns | None, on_drift: str
) -> pa.Table | list[Any]:
    """Return the rows of a file; none, if there was not even one to tell its columns.

    Raises:
        SourceError: it cannot be read, or does not have these columns.
    """
    columns = columns or infer(path, format)
    return read_table(path, format, columns, on_drift) if columns else []
