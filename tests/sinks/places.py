"""Places that are written to, and what a reader sees there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from deltalake import DeltaTable

import livebatch as lb
from livebatch.sinks import Sink, sink
from livebatch.stream import DStream

FILES = ("csv", "json", "parquet", "text")


@dataclass(frozen=True)
class Place:
    """Somewhere to write to.

    Attributes:
        options: of the sink that writes there.
        read: gives the rows that are there, each a dict without what is NULL.
    """

    kind: str
    options: dict[str, Any]
    read: Callable[[], list[dict[str, Any]]]

    def sink(self) -> Sink:
        return sink(self.kind, self.options)

    def write(self, stream: DStream[Any], **options: Any) -> DStream[Any]:
        """Have a stream written there."""
        known = {"con" if name == "url" else name: it for name, it in self.options.items()}
        written: DStream[Any] = getattr(stream, f"to_{self.kind}")(**known, **options)
        return written

    def values(self) -> list[Any]:
        """Rows that are no records."""
        return [row.get("value") for row in self.read()]


def place(kind: str, folder: Path) -> Place:
    """A place within a folder where nothing has been written yet."""
    path = str(folder / "out")
    if kind == "sql":
        url = f"sqlite:///{folder}/out.db"
        return Place(kind, {"name": "out", "url": url}, lambda: table_rows(url, "out"))
    if kind == "delta":
        return Place(kind, {"path": path}, lambda: delta_rows(path))
    return Place(kind, {"path": path}, lambda: records(lb.read_output(path).to_arrow().to_pylist()))


def delta_rows(path: str) -> list[dict[str, Any]]:
    if not DeltaTable.is_deltatable(path):
        return []
    return records(DeltaTable(path).to_pyarrow_table().to_pylist())


def table_rows(url: str, name: str, check: bool = True) -> list[dict[str, Any]]:
    """The rows of a table, if there is one."""
    with connected(url) as connection:
        if check and not sa.inspect(connection).has_table(name):
            return []
        found = connection.execute(sa.text(f"SELECT * FROM {name}"))
        return records([dict(row._mapping) for row in found])


@contextmanager
def connected(url: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.begin() as connection:
        yield connection


def records(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without what is NULL."""
    return [{name: it for name, it in row.items() if it is not None} for row in rows]
