"""The code of functions, kept beside the log and the snapshots that refer to it."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from livebatch.closures import codes
from livebatch.engine.files import Damaged, Files

_log = logging.getLogger(__name__)


class CodeFiles:
    """The code of functions as files, by digest, so that it can be loaded after a restart."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._generation = 0
        self._written = dict.fromkeys(files.names(), 0)

    def begin(self, generation: int) -> None:
        """Take note that what is written from now on is needed until a later generation than this
        has ended."""
        self._generation = generation

    def write(self, wanted: Iterable[str]) -> None:
        """Write code that has not been written yet.

        Raises:
            OSError: it could not be written.
        """
        for digest in set(wanted):
            if digest not in self._written:
                self._files.write(digest, codes.blob(digest))
            self._written[digest] = self._generation

    def load(self) -> None:
        """Have this process know all code there is; what is damaged is passed over."""
        for digest in sorted(self._written):
            self._written[digest] = self._generation
            try:
                codes.add(bytes(self._files.read(digest)))
            except Damaged as damaged:
                _log.warning("%s: functions that need it cannot run", damaged)
                del self._written[digest]

    def keep_since(self, generation: int) -> None:
        """Remove code that has not been needed since a generation began."""
        old = [digest for digest, last in self._written.items() if last < generation]
        self._files.delete(old)
        for digest in old:
            del self._written[digest]
