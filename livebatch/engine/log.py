"""The log of batches: what each was made of, written before it runs, and how it ended."""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, TypeAlias

import msgspec

from livebatch.interval import Millis


class Allocated(msgspec.Struct, frozen=True, tag=True):
    """Before a batch runs: the graph's version, and each input's blocks or readers."""

    time: Millis
    version: int
    inputs: dict[str, list[str]]


class Settled(msgspec.Struct, frozen=True, tag=True):
    """All outputs of a batch have been made."""

    time: Millis


class NotSettled(msgspec.Struct, frozen=True, tag=True):
    """An output of a batch has failed."""

    time: Millis
    output: str
    reason: str


Entry: TypeAlias = Allocated | Settled | NotSettled

LARGE = 16 << 20

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)


class BatchLog(Protocol):
    """Where entries are written, in order."""

    def append(self, entry: Entry) -> None:
        """Write an entry; when this returns the operating system has it."""

    def close(self) -> None: ...


class MemoryLog:
    """Keeps the entries in a list, for tests."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def append(self, entry: Entry) -> None:
        self.entries.append(entry)

    def close(self) -> None:
        pass


class FileLog:
    """Appends entries to a file, each with its length and checksum. A file that has become large
    is put aside as ``NAME.before``, in place of the one before it.

    Args:
        path: the file; its folder exists.
        most: so many bytes are large.
    """

    def __init__(self, path: Path, most: int = LARGE) -> None:
        self._path, self._most = path, most
        self._open()

    def _open(self) -> None:
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = os.fstat(self._file).st_size

    def append(self, entry: Entry) -> None:
        if self._size >= self._most:
            os.close(self._file)
            self._path.rename(before(self._path))
            self._open()
        data = _encoder.encode(entry)
        head = len(data).to_bytes(4, "little") + zlib.crc32(data).to_bytes(4, "little")
        self._size += os.write(self._file, head + data)

    def close(self) -> None:
        os.close(self._file)

    def remove(self) -> None:
        """Remove its files."""
        self._path.unlink(missing_ok=True)
        before(self._path).unlink(missing_ok=True)


def before(path: Path) -> Path:
    """Return where the older entries of a log are."""
    return path.with_name(f"{path.name}.before")


def read_log(path: Path) -> Iterator[Entry]:
    """Yield the entries of a file, up to the first that is cut off or damaged."""
    with io.BytesIO(path.read_bytes()) as file:
        while len(head := file.read(8)) == 8:
            data = file.read(int.from_bytes(head[:4], "little"))
            if zlib.crc32(data) != int.from_bytes(head[4:], "little"):
                return
            try:
                yield _decoder.decode(data)
            except msgspec.DecodeError:
                return
