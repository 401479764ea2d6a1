"""Which versions wrote a snapshot, and which can read it."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib import metadata

import msgspec

from livebatch._version import __version__
from livebatch.errors import EngineError
from livebatch.stream import DStream

FORMAT = 2
"""Another one whenever what is in records of streams, or in snapshots, changes."""


class Versions(msgspec.Struct, frozen=True):
    """What wrote a snapshot: code and states can only be read by the like of it."""

    format: int = FORMAT
    livebatch: str = __version__
    python: str = ".".join(platform.python_version_tuple()[:2])
    duckdb: str = ""

    @classmethod
    def current(cls) -> Versions:
        """Return this process's."""
        return cls(duckdb=duckdb_version())

    def check(self, where: str, kinds: Iterable[str]) -> None:
        """Check that this process can read what they wrote.

        Args:
            where: the folder.
            kinds: of the streams that are to go on.

        Raises:
            EngineError: it cannot.
        """
        mine = Versions.current()
        if self.duckdb != mine.duckdb and any(map(_has_duckdb_states, kinds)):
            raise EngineError(
                f"the checkpoint in {where} has states that DuckDB {self.duckdb} has made, which "
                f"DuckDB {mine.duckdb} need not understand: go on with that version, or give "
                "another folder to start anew"
            )
        if self.format != mine.format:
            raise EngineError(
                f"the checkpoint in {where} was written by livebatch {self.livebatch}, in a form "
                f"that {mine.livebatch} does not read: go on with that version, or give another "
                "folder to start anew"
            )
        if self.python != mine.python:
            raise EngineError(
                f"the checkpoint in {where} holds functions of Python {self.python}, which Python "
                f"{mine.python} cannot load: go on with that, or give another folder to start anew"
            )


def duckdb_version() -> str:
    """Return the version of DuckDB, which the engine does not load."""
    return metadata.version("duckdb")


def _has_duckdb_states(kind: str) -> bool:
    node = DStream.kinds.get(kind)
    return node is not None and node.exports_states
