"""Blocks of push sources on disk, for when the machine goes down before a batch has settled."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import msgspec

from livebatch.block import BlockRef, Encoded, Format
from livebatch.engine.files import Damaged, Files
from livebatch.errors import BlockLost

_SUFFIX = ".block"
_STARTED = ".start"
_ID = re.compile(r"(?P<stream>.+)-(?P<start>\d+)\.(?P<number>\d+)")


class _Head(msgspec.Struct, frozen=True, array_like=True):
    """What stands before the data in a file: all that a `BlockRef` says of them."""

    rows: int
    format: Format
    index: tuple[int, ...]
    keys: int


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
    start of the stream's receiver it comes from, and the how many-th of that start it is.

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

    @cached_property
    def _files(self) -> Files:
        return Files(str(self._directory), sync=True)

    def begin(self, stream: str) -> int:
        """Return the number of a stream's next receiver; it is never given twice."""
        before = self._starts(stream)
        start = max(before, default=0) + 1
        self._files.write(f"{stream}-{start}{_STARTED}", new=True)
        self._files.delete(before.values())
        return start

    def put(self, block: Encoded, id: str) -> None:
        """Write a block; when this returns, it is on the disk.

        Raises:
            FileExistsError: it is there already.
            OSError: the disk is full, or cannot be written.
        """
        head = msgspec.msgpack.encode(_Head(block.rows, block.format, block.index, block.keys))
        length = len(head).to_bytes(4, "little")
        self._files.write(id + _SUFFIX, length, head, *block.chunks, new=True)

    def read(self, ref: BlockRef) -> Encoded:
        """Return a block, to be put into a store.

        Raises:
            BlockLost: it is not there, or damaged.
        """
        found = self._read(ref.id)
        if found is None:
            raise BlockLost(ref.id)
        return found

    def _read(self, id: str) -> Encoded | None:
        """Return a block; None if it is not there or not whole."""
        try:
            data = self._files.read(id + _SUFFIX)
        except (FileNotFoundError, Damaged):
            return None
        end = 4 + int.from_bytes(data[:4], "little")
        head = msgspec.msgpack.decode(data[4:end], type=_Head)
        return Encoded(head.format, head.rows, [data[end:]], head.index, head.keys)

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
            block = self._read(id)
            if block is None:
                found.damaged.append(self._directory / (id + _SUFFIX))
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
        if self._directory.is_dir():
            self._files.delete(id + _SUFFIX for id in ids if _ID.fullmatch(id))

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self._directory, ignore_errors=True)

    def _names(self, suffix: str) -> Iterator[str]:
        """Yield the names of files that end so, without that."""
        names = self._files.names() if self._directory.is_dir() else ()
        return (name.removesuffix(suffix) for name in names if name.endswith(suffix))

    def _numbered(self, stream: str) -> Iterator[tuple[tuple[int, int], str]]:
        for id in self._names(_SUFFIX):
            parts = _ID.fullmatch(id)
            if parts is not None and parts["stream"] == stream:
                yield (int(parts["start"]), int(parts["number"])), id

    def _starts(self, stream: str) -> dict[int, str]:
        """Return the files that say how often a stream's receiver has been started."""
        pairs = (name.rpartition("-") for name in self._names(_STARTED))
        return {int(n): f"{name}-{n}{_STARTED}" for name, _, n in pairs if name == stream}


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
