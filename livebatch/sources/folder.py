"""The files that are new in a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

from pyarrow import fs

from livebatch.errors import DefinitionError, SourceError
from livebatch.filesystems import absolute, is_uri, locate, reason, within
from livebatch.interval import Millis
from livebatch.sources.parts import Part, Size, divide

LOOKBACK: Millis = 60_000
_NS_PER_MS = 1_000_000


class Offsets(TypedDict):
    """What is remembered from one batch to the next: names of files last modified within the
    look-back, with the nanoseconds since 1970 when they were.

    Attributes:
        present: those that were there when the stream began.
        read: those that have been read.
        waiting: parts of files that were too much for the batches so far, oldest first.
    """

    present: dict[str, int]
    read: dict[str, int]
    waiting: list[Part]


def check_directory(directory: object) -> str:
    """Return the path of a folder in a form that means the same in every process.

    Raises:
        DefinitionError: it is no path, or that of a file.
    """
    if not isinstance(directory, (str, Path)) or not str(directory).strip():
        raise DefinitionError(f"directory must be the path of a folder, not {directory!r}")
    path = absolute(directory)
    if Path(path).is_file():
        raise DefinitionError(f"{path} is a file: name the folder into which files are put")
    return path


def new_files(
    directory: str,
    offsets: Offsets | None,
    time: Millis,
    limit: int | None,
    size: Callable[[str], Size],
) -> tuple[list[Part], Offsets]:
    """Return what is to be read of the files that are new, oldest first, and what to remember.

    The first call takes note of what is there and finds nothing new.

    Args:
        directory: the folder's path or URI.
        offsets: what the last call returned; None at first.
        time: the batch time, milliseconds since 1970 UTC.
        limit: at most about so many records; None: all that is new.
        size: tells the size of a file.

    Raises:
        SourceError: the folder cannot be listed.
    """
    horizon = (time - LOOKBACK) * _NS_PER_MS
    if offsets is None:
        present = _after(horizon, modified(directory, missing_ok=True))
        return [], {"present": present, "read": {}, "waiting": []}
    files = _after(horizon, modified(directory))
    present, read = offsets["present"], offsets["read"]
    new = {
        name: changed
        for name, changed in files.items()
        if name not in read and present.get(name) != changed
    }
    # A file that is still written to stays known: it does not become new by its age.
    known = {name: max(changed, files.get(name, 0)) for name, changed in read.items()}
    names = sorted(new, key=lambda name: (new[name], name))
    found = [Part(within(directory, name)) for name in names]
    before = [Part(*part) for part in offsets["waiting"]]
    now, waiting = divide([*before, *found], limit, size)
    read = _after(horizon, known | new)
    return now, {"present": _after(horizon, present), "read": read, "waiting": waiting}


def modified(directory: str, missing_ok: bool = False) -> dict[str, int]:
    """Return the files of a folder, and the nanoseconds since 1970 when each was last modified.

    Files whose names begin with "." or "_" are not data.

    Raises:
        SourceError: the folder cannot be listed.
    """
    filesystem, place = locate(directory)
    try:
        entries = filesystem.get_file_info(fs.FileSelector(place, allow_not_found=missing_ok))
    except OSError as error:
        make = "make it" if is_uri(directory) else f"make it with `mkdir -p {directory}`"
        raise SourceError(
            f"cannot list the folder {directory} ({reason(error)}): "
            f"{make}, or allow livebatch to read it"
        ) from error
    return {entry.base_name: entry.mtime_ns for entry in entries if is_data(entry)}


def is_data(entry: Any) -> bool:
    """Return whether what a listing names is a file that holds data."""
    return entry.type == fs.FileType.File and not entry.base_name.startswith((".", "_"))


def _after(horizon: int, files: dict[str, int]) -> dict[str, int]:
    return {name: changed for name, changed in files.items() if changed > horizon}
