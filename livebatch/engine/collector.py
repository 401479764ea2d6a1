"""What a push source is given: it collects records until a block is cut of them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

MOST = 500_000
"""A source that emits faster than blocks are cut waits when so many records are pending."""

USUAL = 100
"""So many bytes a record is taken to have until a block of them was cut."""


class Collector:
    """A `livebatch.sources.base.Receiver` between a source's thread and the one that cuts.

    Args:
        room: bytes that a block may have, about.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._most = max(1, min(MOST, room // USUAL))
        self._rows: list[Any] = []
        self._tables: list[pa.Table] = []
        self._states: list[tuple[str, str]] = []
        self._pending = self._emitted = self._received = 0
        self._held = False
        self._changed = threading.Condition()
        self._stopping = threading.Event()

    def emit(self, records: Sequence[Any] | pa.Table) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._has_room or self._stopping.is_set())
            if isinstance(records, pa.Table):
                self._tables.append(records)
            else:
                self._rows.extend(records)
            self._pending += len(records)
            self._emitted += len(records)

    @property
    def _has_room(self) -> bool:
        return self._pending < self._most and not self._held

    def flush(self) -> None:
        with self._changed:
            emitted = self._emitted
            self._changed.wait_for(lambda: self._received >= emitted)

    def report(self, state: str, detail: str = "") -> None:
        with self._changed:
            self._states.append((state, detail))

    def stopping(self, seconds: float = 0.0) -> bool:
        return self._stopping.wait(seconds)

    def stop(self) -> None:
        """Have the source stop; what it emits from now on is taken in any case."""
        with self._changed:
            self._stopping.set()
            self._changed.notify_all()

    def hold(self, held: bool) -> None:
        """Have the source wait with what it emits, or go on."""
        with self._changed:
            self._held = held
            self._changed.notify_all()

    def learn(self, rows: int, nbytes: int) -> None:
        """Learn from a block how large records are."""
        self._most = max(1, min(MOST, self._room * rows // max(nbytes, 1)))

    def reports(self) -> list[tuple[str, str]]:
        """Return the reports since the last call."""
        with self._changed:
            taken, self._states = self._states, []
        return taken

    def take(self) -> tuple[list[Any], list[pa.Table], int]:
        """Return the records since the last call, and how many there have been in all."""
        with self._changed:
            rows, self._rows = self._rows, []
            tables, self._tables = self._tables, []
            self._pending = 0
            self._changed.notify_all()
            return rows, tables, self._emitted

    def received(self, count: int) -> None:
        """Take note that so many records in all have been received for good."""
        with self._changed:
            self._received = max(self._received, count)
            self._changed.notify_all()
