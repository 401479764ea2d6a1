"""Files that are written once, whole, each with a checksum, in a folder on any file system.

A file that was cut off or damaged is recognised when it is read. Nothing depends on renaming, which
object stores do not have.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

from pyarrow import fs

from livebatch.errors import EngineError
from livebatch.filesystems import locate

MAGIC = b"lb01"
_HEAD = len(MAGIC) + 4

Chunk: TypeAlias = Any
"""Anything whose bytes can be looked at."""


class Damaged(EngineError):
    """A file was cut off, or is not as it was written."""


class Files:
    """The files of one folder, which is made.

    Args:
        folder: its path or URI.
        sync: a file is on the disk, not only handed to the operating system, when `write` returns.
            Object stores do so anyway.

    Raises:
        OSError: the folder cannot be made.

    Example:
        >>> import tempfile
        >>> files = Files(tempfile.mkdtemp())
        >>> files.write("one", b"some", b" bytes")
        >>> files.names(), bytes(files.read("one"))
        (['one'], b'some bytes')
    """

    def __init__(self, folder: str, sync: bool = False) -> None:
        self._fs, self._folder = locate(folder)
        self._sync = sync
        self._fs.create_dir(self._folder, recursive=True)
        self._local = isinstance(self._fs, fs.LocalFileSystem)

    def write(self, name: str, *chunks: Chunk) -> None:
        """Write a file, or write it anew.

        Raises:
            OSError: it cannot be written; what there is of it is then recognised as damaged.
        """
        head = MAGIC + _checksum(chunks).to_bytes(4, "little")
        if self._local:
            self._write_here(self._path(name), [head, *chunks])
            return
        with self._fs.open_output_stream(self._path(name), compression=None) as file:
            for chunk in (head, *chunks):
                file.write(chunk)

    def read(self, name: str) -> memoryview:
        """Return what a file holds.

        Raises:
            FileNotFoundError: there is none.
            Damaged: it is not as it was written.
        """
        with self._fs.open_input_file(self._path(name)) as file:
            data = memoryview(file.read_buffer())
        head, content = bytes(data[:_HEAD]), data[_HEAD:]
        if head != MAGIC + _checksum([content]).to_bytes(4, "little"):
            raise Damaged(f"the file {self._path(name)} is damaged")
        return content

    def names(self) -> list[str]:
        """Return the names of all files, in order."""
        found = self._fs.get_file_info(fs.FileSelector(self._folder, allow_not_found=True))
        return sorted(info.base_name for info in found if info.type == fs.FileType.File)

    def delete(self, names: Iterable[str]) -> None:
        """Remove files, those that are there."""
        for name in names:
            with suppress(FileNotFoundError):
                self._fs.delete_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"

    def _write_here(self, path: str, chunks: Iterable[Chunk]) -> None:
        with Path(path).open("wb", buffering=0) as file:
            for chunk in chunks:
                view = memoryview(chunk).cast("B")
                while view.nbytes:
                    view = view[file.write(view) :]
            if self._sync:
                os.fsync(file.fileno())
        if self._sync:
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def _checksum(chunks: Iterable[Chunk]) -> int:
    value = 0
    for chunk in chunks:
        value = zlib.crc32(chunk, value)
    return value
