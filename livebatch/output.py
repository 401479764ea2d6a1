"""What streams have written to folders of files, read back: whole batches only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from livebatch.clock import SystemClock
from livebatch.closures import Builtin, builtin
from livebatch.columns import conform, unified
from livebatch.errors import SinkError
from livebatch.interval import Duration, from_datetime, to_datetime, to_millis
from livebatch.reading import bounds
from livebatch.sinks import Key, manifest, sink
from livebatch.sinks.files import FileSink, about_files
from livebatch.sinks.folder import Folder, shown
from livebatch.sinks.manifest import PLACE, Manifest

if TYPE_CHECKING:
    import pandas as pd

_AT_ONCE = 16
"""So many files are read at the same time: from an object store each takes its time."""

_WRITTEN = re.compile(r"\.?(\d+)-([A-Za-z0-9_.-]+?)(-\d{5}-[0-9a-f]{8}\..*|\.batch\.[0-9a-f]{4})")
"""Files of data, and manifests that were only begun."""


class CommittedBatch(NamedTuple):
    """A batch that is complete.

    Attributes:
        time: of the batch, local and aware.
        writer: which output wrote it.
        rows: how many.
        nbytes: size of its files.
        files: their paths or URIs.
    """

    time: datetime
    writer: str
    rows: int
    nbytes: int
    files: tuple[str, ...]


class CommittedOutput:
    """The batches of a folder that were complete when it was read; see `read_output`.

    Attributes:
        batches: which they are, in order of time.
        schema: the columns of all of them.
    """

    def __init__(self, made: FileSink, found: Sequence[Manifest]) -> None:
        self._sink = made
        folder = Folder(made.path)
        self.batches = tuple(
            CommittedBatch(
                to_datetime(one.time),
                one.writer,
                sum(file.rows for file in one.files),
                sum(file.nbytes for file in one.files),
                tuple(folder.path_of(file.name) for file in one.files),
            )
            for one in found
        )
        self._columns = [columns for one in found for columns in one.columns]
        self.schema: pa.Schema = unified(self._columns)

    @property
    def files(self) -> list[str]:
        """The paths or URIs of all files, for other readers: ``duckdb.read_parquet(out.files)``."""
        return [file for batch in self.batches for file in batch.files]

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        return sum(batch.rows for batch in self.batches)

    def to_arrow(self) -> pa.Table:
        """Return all rows as an Arrow table.

        Raises:
            SinkError: a file is not there any more.
        """
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            tables = pool.map(partial(_load, self._sink), self.files, self._columns)
            return pa.concat_tables(
                [self.schema.empty_table(), *(conform(table, self.schema) for table in tables)]
            )

    def to_pandas(self) -> pd.DataFrame:
        """Return all rows as a DataFrame."""
        frame: pd.DataFrame = self.to_arrow().to_pandas()
        return frame

    def readers(self) -> list[Builtin]:
        """Return readers of all rows, as tables, each of some of the files."""
        sizes = [nbytes for batch in self.batches for nbytes in _sizes(batch)]
        wanted = self.schema.serialize().to_pybytes()
        return [
            builtin(
                load_files,
                self._sink.path,
                self._sink.about(),
                self.files[first:last],
                [columns.serialize().to_pybytes() for columns in self._columns[first:last]],
                wanted,
            )
            for first, last in pairwise(bounds(sizes))
            if first < last
        ]

    def __repr__(self) -> str:
        said = f"{len(self.batches)} batches, {self.num_rows} rows"
        return f"<CommittedOutput {shown(self._sink.path)}: {said}>"


def read_output(
    path: str | Path, begin: datetime | None = None, end: datetime | None = None
) -> CommittedOutput:
    """Return what streams have written to a folder: of every batch that is complete all rows,
    and nothing of the others. It takes no engine.

    Args:
        path: as it was given to ``to_parquet``, ``to_json``, ``to_csv`` or ``to_text``.
        begin: only batches after that time, if told (naive times are local).
        end: only batches up to that time, if told.

    Raises:
        SinkError: no stream was written there.

    Example:
        ``lb.read_output("clicks", begin=datetime(2026, 11, 22)).to_pandas()``
    """
    folder = Folder(path)
    about = about_files(folder)
    if about is None:
        raise SinkError(f"no stream was written to {folder}: is the path right?")
    after = -inf if begin is None else from_datetime(begin)
    until = inf if end is None else from_datetime(end)
    keys = [key for key in _keys(folder) if after < key.time <= until]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(partial(manifest.read, folder), keys)
        return CommittedOutput(_sink(folder.path, about), [one for one in found if one])


def vacuum_output(path: str | Path, older_than: Duration = "1h") -> list[str]:
    """Remove files that do not count, left by attempts at batches that died; return their names.

    Streams may go on writing meanwhile: only files of batches that are complete without them go.

    Args:
        path: as for `read_output`.
        older_than: files that were written later stay, as their attempt might still be under way.

    Raises:
        DefinitionError: the duration is none.
        SinkError: a file cannot be removed.

    Example:
        ``lb.vacuum_output("clicks")``
    """
    folder, before = Folder(path), SystemClock().now() - to_millis(older_than, "older_than")
    old = [entry.name for entry in folder.entries() if entry.modified < before]
    written = [(name, key) for name in old if (key := _key_of(name)) is not None]
    complete = {key: manifest.read(folder, key) for key in {key for _, key in written}}
    counting = {file.name for found in complete.values() if found for file in found.files}
    removed = [name for name, key in written if complete[key] and name not in counting]
    for name in removed:
        folder.remove(name)
    return removed


def _keys(folder: Folder) -> list[Key]:
    found = [manifest.key_of(entry.name) for entry in folder.entries(PLACE)]
    return sorted((key for key in found if key), key=lambda key: (key.time, key.writer))


def _key_of(name: str) -> Key | None:
    found = _WRITTEN.fullmatch(name.rpartition("/")[2])
    return Key(found[2], int(found[1])) if found else None


def _sink(path: str, about: dict[str, str]) -> FileSink:
    options = {name: value for name, value in about.items() if name != "kind"}
    made = sink(about["kind"], {"path": path, **options})
    assert isinstance(made, FileSink)
    return made


def _sizes(batch: CommittedBatch) -> list[int]:
    """Return about how large a batch's files are."""
    return [batch.nbytes // len(batch.files)] * len(batch.files)


def _load(made: FileSink, path: str, schema: pa.Schema) -> pa.Table:
    try:
        return conform(made.load(path, schema), schema)
    except (OSError, pa.ArrowException) as error:
        raise SinkError(f"cannot read {shown(path)} ({error}): read the output again") from error


def load_files(
    path: str,
    about: dict[str, str],
    files: Sequence[str],
    columns: Sequence[bytes],
    wanted: bytes,
) -> pa.Table:
    """Return the rows of some files as one table; runs inside a task."""
    made = _sink(path, about)
    schemas = [pa.ipc.read_schema(pa.py_buffer(schema)) for schema in columns]
    schema = pa.ipc.read_schema(pa.py_buffer(wanted))
    loaded = (_load(made, *one) for one in zip(files, schemas, strict=True))
    return pa.concat_tables(conform(table, schema) for table in loaded)
