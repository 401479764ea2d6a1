"""What all sinks do that write a folder of files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from secrets import token_hex
from typing import Any, ClassVar

import msgspec
import pyarrow as pa

from livebatch.columns import conform
from livebatch.errors import DefinitionError
from livebatch.rdd.data import Data
from livebatch.sinks import manifest
from livebatch.sinks.base import Key, Receipt, as_table
from livebatch.sinks.folder import Folder
from livebatch.sinks.manifest import PLACE, File, Manifest
from livebatch.taskcontext import TaskContext

PARTS = pa.schema(
    {"name": pa.string(), "rows": pa.int64(), "bytes": pa.int64(), "schema": pa.binary()}
)
"""What `FileSink.commit` needs of a partition: its one file."""

ABOUT = f"{PLACE}/about.json"
"""What kind of files there are in a folder."""

SUFFIXES = {None: "", "gzip": ".gz", "zstd": ".zst", "bz2": ".bz2", "lz4": ".lz4"}
"""How the names of compressed files of text end."""


class FileSink(msgspec.Struct, frozen=True):
    """A folder of files, whose manifests say which of them count.

    Args:
        path: of the folder, absolute or a URI.
        compression: of the files.
    """

    kind: ClassVar[str]
    path: str
    compression: str | None = None

    def suffix(self) -> str:
        """Return how the names of the files end."""
        raise NotImplementedError

    def about(self) -> dict[str, str]:
        """Return what is the same for all files of a folder, and needed to read them."""
        return {"kind": self.kind}

    def tabled(self, rows: Data) -> pa.Table:
        """Return rows as a table that such a file can hold."""
        table = as_table(rows)
        return conform(table, pa.schema([self.held(field) for field in table.schema]))

    def held(self, field: pa.Field) -> pa.Field:
        """Return a column as such a file can hold it; see `as_text`."""
        return field

    def save(self, table: pa.Table, file: Any) -> None:
        """Write a table to an open file."""
        raise NotImplementedError

    def load(self, path: str, schema: pa.Schema) -> pa.Table:
        """Return what a file holds that was saved from a table with these columns, or some."""
        raise NotImplementedError

    def prepare(self) -> None:
        folder, about = Folder(self.path), self.about()
        found = about_files(folder) or about
        if found != about:
            raise DefinitionError(
                f"{folder} holds files of another kind ({_said(found)}, not {_said(about)}): name "
                "another folder"
            )
        folder.put(ABOUT, lambda file: file.write(msgspec.json.encode(about)))

    def write(self, key: Key, rows: Data) -> pa.Table:
        table = self.tabled(rows)
        if not table.num_rows:
            return PARTS.empty_table()
        name = f"{manifest.hour_of(key.time)}/{_unique(key)}{self.suffix()}"
        nbytes = Folder(self.path).put(name, partial(self.save, table))
        schema = table.schema.serialize().to_pybytes()
        return pa.table([[name], [table.num_rows], [nbytes], [schema]], schema=PARTS)

    def commit(self, key: Key, parts: Sequence[pa.Table]) -> Receipt:
        folder = Folder(self.path)
        rows = [row for part in parts for row in part.to_pylist()]
        found = manifest.read(folder, key)
        if found is None:
            if not rows:
                return Receipt()
            found = _manifest(key, rows)
            data = manifest.encode(found)
            folder.put(manifest.name_of(key), lambda file: file.write(data))
        counting = {file.name for file in found.files}
        for name in {row["name"] for row in rows} - counting:  # of an attempt that came too late
            folder.remove(name)
        return Receipt(
            sum(file.rows for file in found.files),
            sum(file.nbytes for file in found.files),
            tuple(folder.path_of(file.name) for file in found.files),
        )


def _unique(key: Key) -> str:
    """Return a name that no other attempt at writing a partition gives its file."""
    task = TaskContext.get()
    return f"{key.time}-{key.writer}-{task.partition_id() if task else 0:05}-{token_hex(4)}"


def _manifest(key: Key, rows: list[dict[str, Any]]) -> Manifest:
    schemas = list(dict.fromkeys(row["schema"] for row in rows))
    files = tuple(
        File(row["name"], row["rows"], row["bytes"], schemas.index(row["schema"])) for row in rows
    )
    return Manifest(key.writer, key.time, files, tuple(schemas))


def as_text(field: pa.Field) -> pa.Field:
    """Return a column as text: values with parts as JSON."""
    return pa.field(field.name, pa.string())


def about_files(folder: Folder) -> dict[str, str] | None:
    """Return what kind of files a folder holds; None if no stream was ever written there."""
    about = folder.get(ABOUT)
    return None if not about else msgspec.json.decode(about, type=dict[str, str])


def _said(about: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in about.items())


def check_compression(compression: str | None, known: Sequence[str | None]) -> str | None:
    """Return a compression if there is such a one.

    Raises:
        DefinitionError: there is not.
    """
    if compression not in known:
        names = ", ".join(repr(name) for name in known)
        raise DefinitionError(f"compression is one of {names}, not {compression!r}")
    return compression
