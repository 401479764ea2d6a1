"""The log: what changed the graph, what each batch was made of, and how it ended.

An entry is a file of its own, numbered, and is there before what it tells of goes on: a batch has
settled when the file that says so exists. Entries that nothing else could tell of again are written
twice, since a damaged file must not cost a batch.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, Protocol, TypeAlias

import msgspec

from livebatch.closures import digests
from livebatch.engine.codefiles import CodeFiles
from livebatch.engine.files import Damaged, Files
from livebatch.filesystems import within
from livebatch.interval import Millis
from livebatch.rdd import Lineage
from livebatch.wire import Change

_log = logging.getLogger(__name__)


class Changed(msgspec.Struct, frozen=True, tag=True):
    """A request that changes what the engine does, before it is carried out."""

    request: Change


class Began(msgspec.Struct, frozen=True, tag=True):
    """Where new sources begin: their first offsets, by input."""

    offsets: dict[str, Any]


class Started(msgspec.Struct, frozen=True, tag=True):
    """The engine begins with batches: the first is an interval after ``zero``."""

    zero: Millis


class Skipped(msgspec.Struct, frozen=True, tag=True):
    """Batches were left out whose time passed while the engine was down; ``tick``: the next."""

    tick: Millis


class Allocated(msgspec.Struct, frozen=True, tag=True):
    """Before a batch runs.

    Attributes:
        time: the batch time.
        version: of the graph.
        inputs: what it has of each input.
        offsets: up to where sources that are asked have been read, by input.
    """

    time: Millis
    version: int
    inputs: dict[str, Lineage]
    offsets: dict[str, Any] = {}


class Settled(msgspec.Struct, frozen=True, tag=True):
    """All outputs of a batch have been made."""

    time: Millis


class NotSettled(msgspec.Struct, frozen=True, tag=True):
    """An output of a batch has failed."""

    time: Millis
    output: str
    reason: str


Entry: TypeAlias = Changed | Began | Started | Skipped | Allocated | Settled | NotSettled

UNKNOWN = Settled(-1)
"""Some batch has settled, but which cannot be read any more: it is made again."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)


class BatchLog(Protocol):
    """Where entries are written, in order."""

    def append(self, entry: Entry) -> None:
        """Write an entry.

        Raises:
            OSError: it could not be written.
        """


class NoLog:
    """Keeps nothing: what entries name, small blocks with their rows among it, can be freed."""

    def append(self, entry: Entry) -> None:
        pass


class MemoryLog:
    """Keeps the newest entries in a list, for tests.

    Args:
        most: so many.
    """

    def __init__(self, most: int = 1000) -> None:
        self.entries: list[Entry] = []
        self._most = most

    def append(self, entry: Entry) -> None:
        self.entries.append(entry)
        if len(self.entries) >= 2 * self._most:
            del self.entries[: -self._most]


class FileLog:
    """A log as files ``NUMBER-KIND`` in a folder.

    Args:
        folder: its path or URI.
        sync: see `Files`. Copies are not waited for, nor that a batch has settled, which may be
            found out again.
        code: where the code goes that entries need.

    Attributes:
        number: of the last entry.
    """

    def __init__(self, folder: str, sync: bool = False, code: CodeFiles | None = None) -> None:
        self._files = Files(within(folder, "log"), sync)
        self._copies = Files(within(folder, "copies"))
        self._code = code or CodeFiles(Files(within(folder, "code"), sync))
        self.number = max((_number(name) for name in self.names()), default=0)

    def append(self, entry: Entry) -> None:
        if not isinstance(entry, (Settled, NotSettled)):
            self._code.write(digests(entry))
        name, data = _name(self.number + 1, type(entry)), _encoder.encode(entry)
        try:
            if not isinstance(entry, Settled):
                self._copies.write(name, data)
            self._files.write(name, data, wait=not isinstance(entry, Settled))
        except OSError:
            self._copies.delete([name])
            raise
        self.number += 1

    def read(self, after: int = 0) -> Iterator[Entry]:
        """Yield the entries after one, up to the first that cannot be read."""
        names = self.names(after)
        first = _number(names[0]) if names and not after else after + 1
        for expected, name in enumerate(names, first):
            entry = self.entry(name) if _number(name) == expected else None
            if entry is None and name == _name(expected, Settled):
                entry = UNKNOWN
            if entry is None:
                _log.warning("the log ends before %s, since what comes before cannot be read", name)
                return
            yield entry

    def forget(self, until: int) -> None:
        """Remove the entries up to one."""
        for files in self._files, self._copies:
            files.delete([name for name in files.names() if _number(name) <= until])

    def cut(self, after: int) -> None:
        """Remove the entries after one: they could not be read."""
        for files in self._files, self._copies:
            files.delete([name for name in files.names() if _number(name) > after])
        self.number = after

    def names(self, after: int = 0) -> list[str]:
        """Return the names of the entries after one."""
        names = {*self._files.names(), *self._copies.names()}
        return sorted(name for name in names if _number(name) > after)

    def entry(self, name: str) -> Entry | None:
        """Return an entry; None if it cannot be read."""
        for files in self._files, self._copies:
            try:
                entry: Entry = _decoder.decode(files.read(name))
            except (FileNotFoundError, Damaged, msgspec.DecodeError) as error:
                if not isinstance(error, FileNotFoundError):
                    _log.warning("passed over a file of the log: %s", error)
                continue
            return entry
        return None


def read_log(folder: str) -> list[Entry]:
    """Return the entries of a log that are there, to look into it while it is written."""
    log = FileLog(folder)
    return [entry for name in log.names() if (entry := log.entry(name)) is not None]


def _name(number: int, kind: type[Entry]) -> str:
    return f"{number:015}-{kind.__name__}"


def _number(name: str) -> int:
    return int(name.partition("-")[0])
