"""The lines of text files, and the records of binary ones."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from itertools import chain, islice
from typing import Any

from livebatch.errors import DefinitionError, SourceError
from livebatch.filesystems import reading
from livebatch.rdd.lines import TEXT, Lines
from livebatch.sources.lines import LineDecoder

CHUNK = 1024 * 1024

PIECE = 32 * CHUNK
"""So many bytes of a text become a column at once."""


def read_lines(path: str, encoding: str, start: int = 0, end: int | None = None) -> Lines:
    r"""Return the lines of a file that start within a range of bytes, without their ends.

    A whole file may be compressed, if its name says so (``.gz``, ``.bz2``, ``.lz4``, ``.zst``).

    Args:
        path: the file's path or URI.
        encoding: of the text; one in which the byte of ``\n`` always means that, for a range.
        start, end: the bytes ``[start, end)``; the whole file if not told.

    Raises:
        SourceError: it cannot be read.
    """
    rows = partial(_some_lines, path, encoding, start, end)
    pieces = partial(_pieces, path) if end is None and encoding == TEXT else None
    return Lines(lambda: chain.from_iterable(rows()), pieces)


def _pieces(path: str) -> Iterator[bytes]:
    """Yield the bytes of a file, cut at ends of lines."""
    with reading(path) as (filesystem, place), filesystem.open_input_stream(place) as file:
        rest = b""
        while data := file.read(PIECE):
            end = data.rfind(b"\n") + 1
            if end:
                yield rest + data[:end]
            rest = data[end:] if end else rest + data
        if rest:
            yield rest


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


def check_length(record_length: object) -> int:
    """Return the length of a record.

    Raises:
        DefinitionError: it is none.
    """
    if type(record_length) is not int or record_length < 1:
        raise DefinitionError(
            f"record_length must be a whole number of bytes of at least 1, not {record_length!r}"
        )
    return record_length


def read_records(
    path: str, length: int, first: int = 0, last: int | None = None
) -> Iterator[bytes]:
    """Yield the records ``[first, last)`` of a file, each of ``length`` bytes; all if not told.

    Raises:
        SourceError: it cannot be read, or there is a part of a record at its end.
    """
    with reading(path) as (filesystem, place):
        # A part can be told only of a file that is not compressed.
        opened = filesystem.open_input_stream if last is None else filesystem.open_input_file
        with opened(place) as file:
            if first:
                file.seek(first * length)
            yield from islice(_records(file, path, length), None if last is None else last - first)


def _records(file: Any, path: str, length: int) -> Iterator[bytes]:
    while record := file.read(length):
        if len(record) < length:
            raise SourceError(
                f"{path} ends with {len(record)} bytes of a record of {length}: "
                "is record_length right?"
            )
        yield record


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
