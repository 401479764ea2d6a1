"""Blocks of push sources on disk, for when the machine goes down before a batch has settled."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from livebatch.block import BlockRef, Encoded, Format
from livebatch.engine.spill import write_all
from livebatch.errors import BlockLost

_MAGIC = b"LBD1"
_SUFFIX = ".block"
_STARTED = ".start"
_ID = re.compile(r"(?P<stream>.+)-(?P<start>\d+)\.(?P<number>\d+)")


class _Head(msgspec.Struct, frozen=True, array_like=True):
    """What stands before the data in a file; the checksum is of the data."""

    rows: int
    nbytes: int
    format: Format
    index: tuple[int, ...]
    keys: int
    checksum: int


class Unclaimed(NamedTuple):
    """Blocks on disk that no batch has.

    Attributes:
        blocks: those that are whole, in the order in which they came.
        damaged: the files of those that are not, which were being written when the machine went
            down, or which the disk has spoilt.
    """

    blocks: list[BlockRef]
    damaged: list[Path]


class DurableBlocks:
    """Blocks as files in one folder, each whole on the disk when `put` returns.

    A file is named after its block, ``STREAM-START.NUMBER``: which stream it belongs to, which
    start of the stream's receiver it comes from, and the how many-th of that start it is. It has
    the data, with a checksum, behind all that a `BlockRef` says of them.

    Every block costs two calls of ``fsync``, of the file and of the folder, so that it survives a
    loss of power too; on macOS, whose ``fsync`` leaves data in the drive, ``F_FULLFSYNC``.

    Args:
        directory: where the files lie; it is made when the first is written.

    Example:
        >>> import tempfile
        >>> from livebatch.block import encode
        >>> durable = DurableBlocks(Path(tempfile.mkdtemp()))
        >>> start = durable.begin("lines")
        >>> for number, row in enumerate(["a", "b"], 1):
        ...     durable.put(encode([row]), block_id("lines", start, number))
        >>> found = durable.unclaimed("lines", known={"lines-1.1"})
        >>> [block.id for block in found.blocks], durable.read(found.blocks[0]).rows
        (['lines-1.2'], 1)
        >>> durable.delete(["lines-1.1", "lines-1.2"])
        >>> durable.unclaimed("lines", known=())
        Unclaimed(blocks=[], damaged=[])
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def begin(self, stream: str) -> int:
        """Return the number of a stream's next receiver; it is never given twice."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        before = sorted(self._starts(stream).items())
        start = before[-1][0] + 1 if before else 1
        (self._directory / f"{stream}-{start}{_STARTED}").touch(mode=0o600, exist_ok=False)
        _sync_folder(self._directory)
        for _, path in before:
            path.unlink(missing_ok=True)
        return start

    def put(self, block: Encoded, id: str) -> None:
        """Write a block; when this returns, it is on the disk.

        Raises:
            OSError: the disk is full, or cannot be written.
        """
        checksum = 0
        for chunk in block.chunks:
            checksum = zlib.crc32(chunk, checksum)
        head = msgspec.msgpack.encode(
            _Head(block.rows, block.nbytes, block.format, block.index, block.keys, checksum)
        )
        path = self._path(id)
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            try:
                write_all(file, [_prefix(head), head, *block.chunks])
                _sync(file)
            finally:
                os.close(file)
            _sync_folder(self._directory)
        except OSError:
            path.unlink(missing_ok=True)
            raise

    def read(self, ref: BlockRef) -> Encoded:
        """Return a block, to be put into a store.

        Raises:
            BlockLost: it is not there, or damaged.
        """
        found = _read(self._path(ref.id))
        if found is None:
            raise BlockLost(ref.id)
        return found

    def unclaimed(self, stream: str, known: Collection[str]) -> Unclaimed:
        """Return the blocks of a stream that are on disk and are none of these.

        Args:
            stream: its id.
            known: ids of blocks that batches have been given.
        """
        found = Unclaimed([], [])
        for _, id in sorted(self._numbered(stream)):
            if id in known:
                continue
            block = _read(self._path(id))
            if block is None:
                found.damaged.append(self._path(id))
            else:
                ref = BlockRef(id, block.rows, block.nbytes, block.format, None, block.index)
                found.blocks.append(msgspec.structs.replace(ref, keys=block.keys))
        return found

    def after(self, stream: str, newest: str | None) -> Unclaimed:
        """Return the blocks of a stream that came after one; all, if there was none."""
        parts = _ID.fullmatch(newest or "")
        last = (int(parts["start"]), int(parts["number"])) if parts else (0, 0)
        return self.unclaimed(stream, {id for place, id in self._numbered(stream) if place <= last})

    def delete(self, ids: Iterable[str]) -> None:
        """Remove blocks that nobody will ask for any more; those that are not here are passed
        over."""
        for id in ids:
            if _ID.fullmatch(id):
                self._path(id).unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        for path in self._files():
            path.unlink(missing_ok=True)
        with suppress(OSError):
            self._directory.rmdir()

    def _path(self, id: str) -> Path:
        return self._directory / (id + _SUFFIX)

    def _files(self) -> Iterator[Path]:
        with suppress(FileNotFoundError):
            yield from list(self._directory.iterdir())

    def _numbered(self, stream: str) -> Iterator[tuple[tuple[int, int], str]]:
        for path in self._files():
            parts = _ID.fullmatch(path.stem) if path.suffix == _SUFFIX else None
            if parts is not None and parts["stream"] == stream:
                yield (int(parts["start"]), int(parts["number"])), path.stem

    def _starts(self, stream: str) -> dict[int, Path]:
        found = (path for path in self._files() if path.suffix == _STARTED)
        pairs = ((path.stem.rpartition("-"), path) for path in found)
        return {int(start): path for (name, _, start), path in pairs if name == stream}


def block_id(stream: str, start: int, number: int) -> str:
    """Return the id of a block, the how many-th of which start of a stream's receiver it is."""
    return f"{stream}-{start}.{number}"


def state_dir(engine: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder for what is to survive a reboot of the machine.

    Args:
        engine: its name.
        environ: in which ``XDG_STATE_HOME`` is looked up.

    >>> state_dir("demo", {"XDG_STATE_HOME": "/var/lib/me"})
    PosixPath('/var/lib/me/livebatch/demo')
    """
    given = Path(environ.get("XDG_STATE_HOME", ""))
    root = given if given.is_absolute() else Path.home() / ".local" / "state"
    return root / "livebatch" / engine


def _prefix(head: bytes) -> bytes:
    return _MAGIC + len(head).to_bytes(4, "little") + zlib.crc32(head).to_bytes(4, "little")


def _read(path: Path) -> Encoded | None:
    """Return what a file holds; None if it is not there or not whole."""
    try:
        data = memoryview(path.read_bytes())
    except FileNotFoundError:
        return None
    end = 12 + int.from_bytes(data[4:8], "little")
    if data[:12] != _prefix(bytes(data[12:end])):
        return None
    head, body = msgspec.msgpack.decode(data[12:end], type=_Head), data[end:]
    if len(body) != head.nbytes or zlib.crc32(body) != head.checksum:
        return None
    return Encoded(head.format, head.rows, [body], head.index, head.keys)


def _sync(file: int) -> None:
    try:
        import fcntl

        fcntl.fcntl(file, fcntl.F_FULLFSYNC)  # type: ignore[attr-defined]
    except AttributeError:
        os.fsync(file)


def _sync_folder(directory: Path) -> None:
    file = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
