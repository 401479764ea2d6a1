"""Which parts of files a batch takes, when it may not take all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from livebatch.errors import SourceError
from livebatch.filesystems import is_compressed, reading

_SAMPLE = 64 * 1024


class Size(NamedTuple):
    """How large a file is.

    Attributes:
        units: into how many pieces it can be divided: bytes, records, row groups.
        records: about how many records they hold together.
    """

    units: int
    records: float


class Part(NamedTuple):
    """A part of a file: its units ``[start, end)``; ``end`` is None for a whole file."""

    path: str
    start: int = 0
    end: int | None = None


def divide(
    files: Sequence[Part], limit: int | None, size: Callable[[str], Size]
) -> tuple[list[Part], list[Part]]:
    """Return what is read now of files, and what is left over.

    Args:
        files: each a whole one, or what is left of one.
        limit: at most about so many records are read now, but at least one unit; None: all.
        size: tells the size of a file.

    Example:
        >>> divide([Part("a"), Part("b")], 150, lambda path: Size(1000, 100))
        ([Part(path='a', start=0, end=None), Part(path='b', start=0, end=500)],
         [Part(path='b', start=500, end=1000)])
    """
    if limit is None:
        return list(files), []
    now: list[Part] = []
    left = float(limit)
    for number, file in enumerate(files):
        units, records = _measured(file.path, size)
        last = units if file.end is None else file.end
        dense = max(records, 1.0) / max(units, 1)
        end = min(last, file.start + max(int(left / dense), 0 if now else 1))
        if end == last:
            now.append(file)
        elif end > file.start:
            now.append(Part(file.path, file.start, end))
        if end < last:
            rest = Part(file.path, end, last) if end > file.start else file
            return now, [rest, *files[number + 1 :]]
        left -= (end - file.start) * dense
    return now, []


def _measured(path: str, size: Callable[[str], Size]) -> Size:
    """Return a file's size; the batch that reads it says why, if it cannot be read."""
    try:
        return size(path)
    except SourceError:
        return Size(1, 1.0)


def lines_in(path: str, divisible: bool = True) -> Size:
    """Return the size of a file of lines, in bytes if it can be divided, as its beginning tells.

    Raises:
        SourceError: it cannot be read.
    """
    with reading(path) as (filesystem, place):
        nbytes = filesystem.get_file_info(place).size
        with filesystem.open_input_stream(place) as file:
            sample = file.read(_SAMPLE)
    lines = nbytes * sample.count(b"\n") / max(len(sample), 1)
    return Size(nbytes if divisible and not is_compressed(path) else 1, lines)


def records_in(path: str, length: int) -> Size:
    """Return the size of a file of records of so many bytes, in records.

    Raises:
        SourceError: it cannot be read.
    """
    with reading(path) as (filesystem, place):
        count = -(-filesystem.get_file_info(place).size // length)
    return Size(1 if is_compressed(path) else count, count)
