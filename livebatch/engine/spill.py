"""Blocks on disk: where old ones go when memory runs short, and new ones that find no room."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Collection, Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path

import pyarrow as pa

from livebatch.block import BlockRef
from livebatch.errors import BlockLost

CODEC = "zstd"

# No id has a tilde.
_PLAIN = "~plain"
_DRAFT = "~"
# The least that POSIX lets a system take in one writev is 16; Linux and macOS take this many.
_CHUNKS_PER_WRITE = 1024


class Spill:
    """Blocks as files in one directory: compressed, or as they are.

    Args:
        directory: where the files lie; where there is none, there are no blocks.

    >>> import tempfile
    >>> spill = Spill(Path(tempfile.mkdtemp()))
    >>> spill.put("old", memoryview(b"word " * 1000))
    >>> bytes(spill.get(BlockRef("old", 1, 5000, "pickle"))[:4]), spill.used() < 5000
    (b'word', True)
    >>> spill.write("new", [b"word ", b"word"])
    >>> bytes(spill.get(BlockRef("new", 1, 9, "pickle")))
    b'word word'
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def is_there(self) -> bool:
        """Whether blocks can be put here."""
        return self._directory.is_dir()

    def put(self, id: str, data: memoryview) -> None:
        """Write a block, compressed, to be read whole.

        Raises:
            OSError: the disk is full; nothing of the block was written.
        """
        self._write(id, [pa.Codec(CODEC).compress(pa.py_buffer(data))])

    def write(self, id: str, chunks: Iterable[bytes | memoryview | pa.Buffer]) -> None:
        """Write a block as it is, to be mapped: one that may be larger than memory.

        Raises:
            OSError: the disk is full; nothing of the block was written.
        """
        self._write(id + _PLAIN, chunks)

    def get(self, ref: BlockRef) -> memoryview:
        """Return the bytes of a block.

        Raises:
            BlockLost: it is not here.
        """
        try:
            return memoryview(pa.Codec(CODEC).decompress(self._map(ref.id), ref.nbytes))
        except FileNotFoundError:
            pass
        try:
            return memoryview(self._map(ref.id + _PLAIN)).cast("B")
        except FileNotFoundError:
            raise BlockLost(ref.id) from None

    def delete(self, id: str) -> None:
        """Remove a block, if it is here."""
        for name in id, id + _PLAIN:
            (self._directory / name).unlink(missing_ok=True)

    def keep_only(self, ids: Collection[str]) -> None:
        """Remove all blocks but these, and what was half written."""
        for path in self._directory.iterdir() if self.is_there else ():
            if path.name.removesuffix(_PLAIN) not in ids and not path.name.startswith(".owner"):
                path.unlink(missing_ok=True)

    def used(self) -> int:
        """Return how many bytes the files take."""
        total = 0
        for path in self._directory.iterdir():
            with suppress(FileNotFoundError):
                total += path.stat().st_size
        return total

    def forget_writer(self, pid: int) -> None:
        """Remove what a process that is now dead had only half written."""
        for path in self._directory.glob(f".{pid}{_DRAFT}*"):
            path.unlink(missing_ok=True)

    def _map(self, name: str) -> pa.Buffer:
        with pa.memory_map(str(self._directory / name)) as file:
            return file.read_buffer()

    def _write(self, name: str, chunks: Iterable[bytes | memoryview | pa.Buffer]) -> None:
        draft = self._directory / f".{os.getpid()}{_DRAFT}{name}"
        try:
            file = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            try:
                write_all(file, chunks)
            finally:
                os.close(file)
            draft.rename(self._directory / name)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise


def write_all(file: int, chunks: Iterable[bytes | memoryview | pa.Buffer]) -> None:
    """Write chunks to an open file, without bringing them together first."""
    views = (memoryview(chunk) for chunk in chunks)
    pending = deque(view.cast("B") for view in views if view.nbytes)
    while pending:
        written = os.writev(file, list(islice(pending, _CHUNKS_PER_WRITE)))
        while pending and written >= pending[0].nbytes:
            written -= pending.popleft().nbytes
        if written:
            pending[0] = pending[0][written:]
