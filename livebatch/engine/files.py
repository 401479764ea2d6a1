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

from livebatch.engine.spill import write_all
from livebatch.errors import EngineError
from livebatch.filesystems import force, locate

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
        sync: a file is on the disk, through a loss of power, and not only handed to the operating
            system when `write` returns: two calls of ``fsync``, of the file and of the folder.
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
        self._local = isinstance(self._fs, fs.LocalFileSystem)
        if self._local:
            Path(self._folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        else:
            self._fs.create_dir(self._folder, recursive=True)

    def write(self, name: str, *chunks: Chunk, wait: bool = True, new: bool = False) -> None:
        """Write a file, or write it anew.

        Args:
            wait: until it is on the disk, where files are forced there.
            new: write no file anew; on a local file system.

        Raises:
            FileExistsError: there is one that is not to be written anew.
            OSError: it cannot be written; nothing of it is left where it can be removed, and what
                is left is recognised as damaged.
        """
        everything = [MAGIC + _checksum(chunks).to_bytes(4, "little"), *chunks]
        try:
            if self._local:
                self._write_here(self._path(name), everything, self._sync and wait, new)
                return
            with self._fs.open_output_stream(self._path(name), compression=None) as file:
                for chunk in everything:
                    file.write(chunk)
        except FileExistsError:
            raise
        except OSError:
            with suppress(OSError):
                self.delete([name])
            raise

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

    def _write_here(self, path: str, chunks: Iterable[Chunk], sync: bool, new: bool) -> None:
        replacing = os.O_EXCL if new else os.O_TRUNC
        file = os.open(path, os.O_CREAT | os.O_WRONLY | replacing, 0o600)
        try:
            write_all(file, chunks)
        finally:
            os.close(file)
        if sync:
            force(path)
            force(self._folder)


def _checksum(chunks: Iterable[Chunk]) -> int:
    value = 0
    for chunk in chunks:
        value = zlib.crc32(chunk, value)
    return value
