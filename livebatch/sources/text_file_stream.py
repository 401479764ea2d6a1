"""Lines of the text files that are put into a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

import msgspec

from livebatch.closures import Builtin, builtin
from livebatch.errors import DefinitionError, SourceError
from livebatch.interval import Millis
from livebatch.sources.lines import LineDecoder, check_encoding

LOOKBACK: Millis = 60_000
CHUNK = 1024 * 1024
_NS_PER_MS = 1_000_000


class Offsets(TypedDict):
    """What is remembered from one batch to the next: names of files last modified within the
    look-back, with the nanoseconds since 1970 when they were.

    Attributes:
        present: those that were there when the stream began.
        read: those that have been read.
    """

    present: dict[str, int]
    read: dict[str, int]


class Source(msgspec.Struct, frozen=True):
    r"""Return a stream of the lines of each new file in a folder, each a ``str``.

    Each file is read once, as one partition of the first batch that finds it. Files that are in
    the folder when the stream begins are left alone, unless they are modified later; so are
    those whose names begin with "." or "_", those in sub-folders, and those that were last
    modified more than a minute before they are found.

    A file must be complete when it appears, for what is added later is not read: write it
    elsewhere on the same file system, then move it in (``os.replace``, ``mv``), under a name of
    its own. A name that was read may be used again a minute after its last modification.

    Lines are separated by ``\n``; a ``\r`` before it is dropped, and bytes that are not text of
    the encoding become U+FFFD.

    Args:
        directory: the folder, which every worker must be able to read; it may be made later.
        encoding: of the text, a name that Python knows.

    Raises:
        DefinitionError: the folder is a file, or there is no such encoding.

    Example:
        ::

            lines = ssc.text_file_stream("incoming")
            lines.filter(lambda line: "ERROR" in line).pprint()
    """

    directory: str
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        # The engine and the workers may run elsewhere than where the path was written.
        path = _absolute(self.directory)
        if path.is_file():
            raise DefinitionError(f"{path} is a file: name the folder into which files are put")
        msgspec.structs.force_setattr(self, "directory", str(path))
        check_encoding(self.encoding)

    def plan(self, offsets: Offsets | None, time: Millis) -> tuple[list[Builtin], Offsets]:
        """Return a reader for each new file, oldest first, and what to remember.

        The first call takes note of what is there and reads nothing.

        Args:
            offsets: what the last call returned; None at first.
            time: the batch time, milliseconds since 1970 UTC.

        Raises:
            SourceError: the folder cannot be listed.
        """
        horizon = (time - LOOKBACK) * _NS_PER_MS
        if offsets is None:
            return [], {"present": self._modified_after(horizon, missing_ok=True), "read": {}}
        files = self._modified_after(horizon)
        present, read = offsets["present"], offsets["read"]
        new = {
            name: modified
            for name, modified in files.items()
            if name not in read and present.get(name) != modified
        }
        # A file that is still written to stays known: it does not become new by its age.
        known = {name: max(modified, files.get(name, 0)) for name, modified in read.items()}
        names = sorted(new, key=lambda name: (new[name], name))
        readers = [
            builtin(read_lines, os.path.join(self.directory, name), self.encoding) for name in names
        ]
        return readers, {"present": _after(horizon, present), "read": _after(horizon, known | new)}

    def _modified_after(self, horizon: int, missing_ok: bool = False) -> dict[str, int]:
        try:
            with os.scandir(self.directory) as entries:
                files = dict(_times(entries))
        except OSError as error:
            if missing_ok and isinstance(error, FileNotFoundError):
                return {}
            raise SourceError(
                f"cannot list the folder {self.directory} ({(error.strerror or '').lower()}): "
                f"make it with `mkdir -p {self.directory}`, or allow livebatch to read it"
            ) from error
        return _after(horizon, files)


def read_lines(path: str, encoding: str) -> Iterator[str]:
    """Yield the lines of a file, without their ends.

    Raises:
        SourceError: it cannot be opened.
    """
    lines = LineDecoder(encoding)
    try:
        file = open(path, "rb")  # noqa: SIM115
    except OSError as error:
        raise SourceError(
            f"cannot read {path} ({(error.strerror or '').lower()}): "
            "leave files where they are until their batches are no longer needed"
        ) from error
    with file:
        while data := file.read(CHUNK):
            yield from lines.feed(data)
    yield from lines.finish()


def _absolute(directory: object) -> Path:
    if isinstance(directory, (str, Path)) and str(directory).strip():
        return Path(directory).expanduser().absolute()
    raise DefinitionError(f"directory must be the path of a folder, not {directory!r}")


def _times(entries: Iterator[os.DirEntry[str]]) -> Iterator[tuple[str, int]]:
    for entry in entries:
        try:
            if not entry.name.startswith((".", "_")) and entry.is_file():
                yield entry.name, entry.stat().st_mtime_ns
        except FileNotFoundError:  # it was moved away meanwhile
            continue


def _after(horizon: int, files: dict[str, int]) -> dict[str, int]:
    return {name: modified for name, modified in files.items() if modified > horizon}
