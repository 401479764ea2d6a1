"""The lines of text files, and the records of binary ones."""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, islice
from typing import Any

from livebatch.errors import DefinitionError, SourceError
from livebatch.filesystems import reading
from livebatch.rdd.lines import TEXT, Lines
from livebatch.sources.lines import LineDecoder

CHUNK = 1024 * 1024
"""So many bytes of a file are asked for at once."""

PIECE = CHUNK // 4
"""About so many bytes of a text become lines at once, which processors have near then."""


def read_lines(path: str, encoding: str, start: int = 0, end: int | None = None) -> Iterable[str]:
    r"""Return the lines of a file that start within a range of bytes, without their ends.

    A whole file may be compressed, if its name says so (``.gz``, ``.bz2``, ``.lz4``, ``.zst``).

    Args:
        path: the file's path or URI.
        encoding: of the text; one in which the byte of ``\n`` always means that, for a range.
        start, end: the bytes ``[start, end)``; the whole file if not told.

    Raises:
        SourceError: it cannot be read.
    """
    chunks = partial(_chunks, path, start, end)
    parts = partial(_some_lines, chunks, encoding)
    if codecs.lookup(encoding).name != TEXT:
        return chain.from_iterable(parts())
    return Lines(parts, lambda: _pieces(chunks()))


def _some_lines(chunks: Callable[[], Iterator[bytes]], encoding: str) -> Iterator[list[str]]:
    lines = LineDecoder(encoding)
    yield from map(lines.feed, chunks())
    yield lines.finish()


def _pieces(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the bytes of chunks, cut at ends of lines."""
    held: list[bytes] = []
    for chunk in chunks:
        if end := chunk.rfind(b"\n") + 1:
            yield b"".join([*held, memoryview(chunk)[:end]])  # copied once
            held = []
        held.append(chunk[end:])
    if rest := b"".join(held):
        yield rest


def _chunks(path: str, start: int, end: int | None) -> Iterator[bytes]:
    """Yield the bytes of the lines that start in ``[start, end)``, or of the whole file."""
    with reading(path) as (filesystem, place):
        if end is None:
            with filesystem.open_input_stream(place, buffer_size=CHUNK) as file:
                while data := file.read(PIECE):
                    yield data
        else:
            with io.BufferedReader(filesystem.open_input_file(place)) as file:
                yield from _whole_lines(file, start, end)


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
        with io.BufferedReader(opened(place), CHUNK) as file:
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
        data = file.read(min(PIECE, end - position))
        position += len(data)
        yield data
    if not data.endswith(b"\n"):
        yield file.readline()
