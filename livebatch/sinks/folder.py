"""A folder that is written to, on any file system that pyarrow.fs reaches."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from secrets import token_hex
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs

from livebatch.errors import SinkError, SourceError
from livebatch.filesystems import absolute, force, is_uri, locate, reason, within


class Entry(NamedTuple):
    """A file in a folder: its name there, and when it was last written, milliseconds since 1970."""

    name: str
    modified: int


class Folder:
    """Files by their names within a folder.

    Args:
        path: of the folder, local or a URI.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = absolute(path)

    def __str__(self) -> str:
        return shown(self.path)

    @cached_property
    def _located(self) -> tuple[Any, str]:
        try:
            return locate(self.path)
        except SourceError as error:
            raise SinkError(str(error).replace(self.path, str(self))) from None

    @property
    def _local(self) -> bool:
        return bool(self._located[0].type_name == "local")

    def path_of(self, name: str) -> str:
        """Return the path or URI of a file."""
        return within(self.path, name)

    def put(self, name: str, write: Callable[[Any], object]) -> int:
        """Write a file and return how many bytes it has.

        On this machine a file appears when it is whole and on the disk, through a loss of power;
        object stores see to that themselves. Elsewhere it may be left torn.

        Args:
            name: of the file; what is there is replaced.
            write: given the open file.

        Raises:
            SinkError: it cannot be written.
        """
        filesystem, root = self._located
        place = f"{root}/{name}"
        parent, _, last = place.rpartition("/")
        begun = f"{parent}/.{last}.{token_hex(2)}" if self._local else place
        with self._writing():
            if self._local:
                _make(parent)
            try:
                with filesystem.open_output_stream(begun) as file:
                    write(file)
                if self._local:
                    force(begun)
            except BaseException:
                with suppress(OSError):
                    filesystem.delete_file(begun)
                raise
            if self._local:
                filesystem.move(begun, place)
                force(parent)
            return int(filesystem.get_file_info(place).size)

    def get(self, name: str) -> bytes | None:
        """Return what is in a file; None if there is none.

        Raises:
            SinkError: it cannot be read.
        """
        filesystem, root = self._located
        try:
            with filesystem.open_input_stream(f"{root}/{name}") as file:
                return bytes(file.read())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise SinkError(f"cannot read {name} in {self} ({reason(error)})") from error

    def remove(self, name: str) -> None:
        """Remove a file, if it is there.

        Raises:
            SinkError: it cannot be removed.
        """
        filesystem, root = self._located
        with self._writing(), suppress(FileNotFoundError):
            filesystem.delete_file(f"{root}/{name}")

    def entries(self, within: str = "") -> list[Entry]:
        """Return all files, by their names, of the folder or of one that it holds.

        Raises:
            SinkError: it cannot be read.
        """
        filesystem, root = self._located
        start = f"{root}/{within}".rstrip("/")
        wanted = fs.FileSelector(start, allow_not_found=True, recursive=True)
        try:
            found = filesystem.get_file_info(wanted)
        except OSError as error:
            raise SinkError(f"cannot read {self} ({reason(error)})") from error
        return [
            Entry(info.path[len(root) :].lstrip("/"), (info.mtime_ns or 0) // 1_000_000)
            for info in sorted(found, key=lambda info: info.path)
            if info.is_file
        ]

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            raise SinkError(f"cannot write to {self} ({reason(error)})") from error


def _make(folder: str) -> None:
    """Make a folder, and those that it lies in, each of them on the disk."""
    if not os.path.isdir(folder):
        above = os.path.dirname(folder)
        _make(above)
        os.makedirs(folder, exist_ok=True)  # another task may have made it meanwhile
        force(above)


def shown(path: str) -> str:
    """Return a path or URI without what is secret in it.

    >>> shown("s3://key:secret@bucket/out?region=eu"), shown("/data/out")
    ('s3://bucket/out', '/data/out')
    """
    if not is_uri(path):
        return path
    uri = urlsplit(path)
    return uri._replace(netloc=uri.netloc.rpartition("@")[2], query="").geturl()
