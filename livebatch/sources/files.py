"""Files, on this machine or wherever a URI leads."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from pyarrow import fs, lib

from livebatch.errors import SourceError
from livebatch.sources.lines import LineDecoder

CHUNK = 1024 * 1024
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


def read_lines(path: str, encoding: str, start: int = 0, end: int | None = None) -> Iterator[str]:
    r"""Return the lines of a file that start within a range of bytes, without their ends.

    A whole file may be compressed, if its name says so (``.gz``, ``.bz2``, ``.lz4``, ``.zst``).

    Args:
        path: the file's path or URI.
        encoding: of the text; one in which the byte of ``\n`` always means that, for a range.
        start, end: the bytes ``[start, end)``; the whole file if not told.

    Raises:
        SourceError: it cannot be read.
    """
    return chain.from_iterable(_some_lines(path, encoding, start, end))


def _some_lines(path: str, encoding: str, start: int, end: int | None) -> Iterator[list[str]]:
    lines = LineDecoder(encoding)
    with reading(path) as (filesystem, place):
        if end is None:
            with filesystem.open_input_stream(place) as file:
                while data := file.read(CHUNK):
                    yield lines.feed(data)
        else:
            with io.BufferedReader(filesystem.open_input_file(place)) as file:
                for data in _whole_lines(file, start, end):
                    yield lines.feed(data)
    yield lines.finish()


def _whole_lines(file: io.BufferedReader, start: int, end: int) -> Iterator[bytes]:
    """Yield the bytes of the lines that start in ``[start, end)``."""
    if start:
        file.seek(start - 1)
        file.readline()
    data, position = b"\n", file.tell()
    while position < end and data:
        data = file.read(min(CHUNK, end - position))
        position += len(data)
        yield data
    if not data.endswith(b"\n"):
        yield file.readline()
