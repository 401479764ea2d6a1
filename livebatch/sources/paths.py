"""The files that a path stands for: of a file, of a folder, or a pattern of names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pyarrow import fs

from livebatch.errors import SourceError
from livebatch.filesystems import absolute, is_uri, locate, reason, within

_PATTERN = re.compile(r"[*?[]")
_HIDDEN = re.compile(r"(^|/)[._]")


class Found(NamedTuple):
    """A file, by its path or URI, and its size in bytes."""

    path: str
    size: int


def find(path: str | Path) -> list[Found]:
    """Return the files that a path stands for, sorted.

    A folder stands for all files in it and in its sub-folders. A pattern has ``*``, ``?`` or
    ``[…]`` in names, or ``**`` for any folders; in a URI ``?`` is none. Names that begin with
    "." or "_" are left out, unless they are named.

    Raises:
        SourceError: there are none, or they cannot be listed.
    """
    place = absolute(path)
    try:
        found = sorted(_find(place))
    except OSError as error:
        raise SourceError(f"cannot look for {place} ({reason(error)})") from error
    if not found:
        raise SourceError(
            f"there are no files {place}: is it spelt right, and is there something in it? "
            'Names that begin with "." or "_" are left out'
        )
    return found


def _find(place: str) -> Iterator[Found]:
    folder, names = _divided(place)
    if names and not os.path.exists(place):
        return _matching(folder, names)
    filesystem, name = locate(place)
    return _all_in(place, filesystem.get_file_info(name))


def _divided(place: str) -> tuple[str, list[str]]:
    """Return the folder in which to look for a pattern, and the pattern, name by name."""
    uri = urlsplit(place) if is_uri(place) else None
    names = (uri.path if uri else place).split("/")
    first = next((i for i, name in enumerate(names) if _PATTERN.search(name)), len(names))
    folder = "/".join(names[:first]) or "/"
    return uri._replace(path=folder).geturl() if uri else folder, names[first:]


def _matching(folder: str, names: Sequence[str]) -> Iterator[Found]:
    first, *rest = names
    if first == "**" and rest:
        yield from _matching(folder, rest)
    filesystem, place = locate(folder)
    for entry in filesystem.get_file_info(fs.FileSelector(place, allow_not_found=True)):
        inner = within(folder, entry.base_name)
        if not _matches(entry.base_name, first):
            continue
        if not rest:
            yield from _all_in(inner, entry)
        elif entry.type == fs.FileType.Directory:
            yield from _matching(inner, names if first == "**" else rest)


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) and (name[0] not in "._" or pattern[0] == name[0])


def _all_in(path: str, entry: Any) -> Iterator[Found]:
    if entry.is_file:
        yield Found(path, entry.size)
    elif entry.type == fs.FileType.Directory:
        filesystem, place = locate(path)
        for inner in filesystem.get_file_info(fs.FileSelector(place, recursive=True)):
            relative = inner.path[len(place.rstrip("/")) + 1 :]
            if inner.is_file and not _HIDDEN.search(relative):
                yield Found(within(path, relative), inner.size)
