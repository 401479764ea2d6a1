"""File systems: where a path or a URI leads."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from pyarrow import fs, lib

from livebatch.errors import SourceError

_COMPRESSED = (".bz2", ".gz", ".lz4", ".zst")


def absolute(path: str | Path) -> str:
    """Return a path that means the same in every process; URIs do already."""
    if is_uri(path):
        return str(path)
    return str(Path(path).expanduser().absolute())


def is_uri(path: str | Path) -> bool:
    return isinstance(path, str) and "://" in path


def is_compressed(path: str) -> bool:
    """Return whether a file is one that is decompressed as it is read, by its name."""
    return locate(path)[1].endswith(_COMPRESSED)


def within(folder: str, name: str) -> str:
    """Return the path of what a folder holds.

    >>> within("/data", "a b.csv"), within("s3://bucket/data?region=eu", "a b.csv")
    ('/data/a b.csv', 's3://bucket/data/a%20b.csv?region=eu')
    """
    if not is_uri(folder):
        return os.path.join(folder, name)
    uri = urlsplit(folder)
    return uri._replace(path=f"{uri.path.rstrip('/')}/{quote(name)}").geturl()


@lru_cache(maxsize=256)
def locate(path: str) -> tuple[Any, str]:
    """Return the file system on which a path lies, and what it is called there.

    Raises:
        SourceError: it is the URI of no file system that can be reached.
    """
    if not is_uri(path):
        return fs.LocalFileSystem(), path
    try:
        filesystem, place = fs.FileSystem.from_uri(path)
    except (OSError, lib.ArrowException) as error:
        raise SourceError(
            f"cannot reach {path} ({reason(error)}): "
            "is it spelt like s3://bucket/key, gs://bucket/key, hdfs://host:port/path or file:///path?"
        ) from error
    return filesystem, place


def force(path: str) -> None:
    """Have a file, or the names in a folder, be on the disk, through a loss of power: not only
    handed to the operating system, nor left in the drive's memory, as macOS does unless told.

    Raises:
        OSError: it cannot be.
    """
    opened = os.open(path, os.O_RDONLY)
    try:
        if hasattr(fcntl, "F_FULLFSYNC"):
            fcntl.fcntl(opened, fcntl.F_FULLFSYNC)
        else:
            os.fsync(opened)
    finally:
        os.close(opened)


def reason(error: Exception) -> str:
    """Return in a few words what an error says."""
    number = getattr(error, "errno", None)
    return os.strerror(number).lower() if number else str(error.args[0] if error.args else error)


@contextmanager
def reading(path: str) -> Iterator[tuple[Any, str]]:
    """Give a file's file system and its name there, and explain what goes wrong with it.

    Raises:
        SourceError: the file cannot be read.
    """
    try:
        yield locate(path)
    except OSError as error:
        raise SourceError(
            f"cannot read {path} ({reason(error)}): "
            "leave files where they are until their batches are no longer needed"
        ) from error
