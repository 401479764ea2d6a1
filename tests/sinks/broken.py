"""A sink that keeps all rules, and some that break one each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from livebatch.sinks import Key, Receipt


class Simple(msgspec.Struct):
    """A file for each batch, which appears when it is whole."""

    path: str

    def prepare(self) -> None:
        Path(self.path).mkdir(exist_ok=True)

    def write(self, key: Key, rows: Any) -> pa.Table:
        return pa.table({"value": pa.array(list(rows), pa.string())})

    def commit(self, key: Key, parts: Sequence[pa.Table]) -> Receipt:
        rows = lines(parts)
        begun = self.file(key).with_name(f".{os.getpid()}")
        begun.write_text("".join(rows))
        begun.replace(self.file(key))
        return Receipt(len(rows))

    def file(self, key: Key) -> Path:
        return Path(self.path, key.writer)


class Eager(Simple):
    """Shows rows before their batch is committed."""

    def write(self, key: Key, rows: Any) -> pa.Table:
        table = super().write(key, rows)
        if table.num_rows:
            self.commit(key, [table])
        return table


class Forgetful(Simple):
    """Does not know a batch that it has written."""

    def commit(self, key: Key, parts: Sequence[pa.Table]) -> Receipt:
        rows = lines(parts)
        with open(self.file(key), "a") as file:
            file.write("".join(rows))
        return Receipt(len(rows))


class Torn(Simple):
    """Shows a batch while it is written."""

    def commit(self, key: Key, parts: Sequence[pa.Table]) -> Receipt:
        rows = lines(parts)
        with open(self.file(key), "w", buffering=1) as file:
            for row in rows:
                file.write(row)
        return Receipt(len(rows))


class Hasty(Simple):
    """Takes a batch for written as soon as it was begun."""

    def commit(self, key: Key, parts: Sequence[pa.Table]) -> Receipt:
        rows, marked = lines(parts), self.file(key).with_name(f".{key.writer}.begun")
        if not marked.exists():
            marked.touch()
            super().commit(key, parts)
        return Receipt(len(rows))


class Stubborn(Simple):
    """Refuses a batch that is there."""

    def commit(self, key: Key, parts: Sequence[pa.Table]) -> Receipt:
        if self.file(key).exists():
            raise FileExistsError(key.writer)
        return super().commit(key, parts)


class Liar(Simple):
    """Says that nothing counts of a batch that is there."""

    def commit(self, key: Key, parts: Sequence[pa.Table]) -> Receipt:
        there = self.file(key).exists()
        receipt = super().commit(key, parts)
        return Receipt() if there else receipt


class Ending(Simple):
    """Takes the process along."""

    def commit(self, key: Key, parts: Sequence[pa.Table]) -> Receipt:
        os._exit(3)


class Mixing(Simple):
    """Does not tell writers apart."""

    def file(self, key: Key) -> Path:
        return Path(self.path, str(key.time))


class Rooted(Simple):
    """Does not travel."""

    place: Path = Path("/")


def lines(parts: Sequence[pa.Table]) -> list[str]:
    """The rows of all partitions, as lines."""
    return [f"{row}\n" for part in parts for row in part.column("value").to_pylist()]
