"""Blocks on disk: where old ones go when memory runs short."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pyarrow as pa

from livebatch.block import BlockRef
from livebatch.errors import BlockLost

CODEC = "zstd"


class Spill:
    """Blocks as compressed files in one directory; read whole, not mapped.

    Args:
        directory: where the files lie; where there is none, there are no blocks.

    >>> import tempfile
    >>> spill = Spill(Path(tempfile.mkdtemp()))
    >>> spill.put("block", memoryview(b"word " * 1000))
    >>> bytes(spill.get(BlockRef("block", 1, 5000, "pickle"))[:4]), spill.used() < 5000
    (b'word', True)
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def is_there(self) -> bool:
        """Whether blocks can be put here."""
        return self._directory.is_dir()

    def put(self, id: str, data: memoryview) -> None:
        """Write a block; what was written is there as a whole or not at all."""
        draft = self._directory / f".{id}"
        with pa.OSFile(str(draft), "wb") as file:
            file.write(pa.Codec(CODEC).compress(pa.py_buffer(data)))
        draft.rename(self._directory / id)

    def get(self, ref: BlockRef) -> memoryview:
        """Return the bytes of a block.

        Raises:
            BlockLost: it is not here.
        """
        try:
            with pa.memory_map(str(self._directory / ref.id)) as file:
                return memoryview(pa.Codec(CODEC).decompress(file.read_buffer(), ref.nbytes))
        except FileNotFoundError:
            raise BlockLost(ref.id) from None

    def delete(self, id: str) -> None:
        """Remove a block, if it is here."""
        (self._directory / id).unlink(missing_ok=True)

    def used(self) -> int:
        """Return how many bytes the files take."""
        total = 0
        for path in self._directory.iterdir():
            with suppress(FileNotFoundError):
                total += path.stat().st_size
        return total
