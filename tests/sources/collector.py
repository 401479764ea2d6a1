"""A receiver that keeps what it is given, and a source running in a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from livebatch.sources import PushSource

PATIENCE_S = 20.0


class Collector:
    """A `livebatch.sources.base.Receiver` that keeps everything and can be waited on."""

    def __init__(self) -> None:
        self.emitted: list[Any] = []
        self.reports: list[tuple[str, str]] = []
        self.ended = False
        self.error: Exception | None = None
        self._changed = threading.Condition()
        self._stop = threading.Event()

    @property
    def records(self) -> list[Any]:
        """All records of all lists that were emitted."""
        return [record for records in self.emitted for record in records]

    def emit(self, records: Sequence[Any] | pa.Table) -> None:
        with self._changed:
            self.emitted.append(records)
            self._changed.notify_all()

    def report(self, state: str, detail: str = "") -> None:
        with self._changed:
            self.reports.append((state, detail))
            self._changed.notify_all()

    def stopping(self, seconds: float = 0.0) -> bool:
        return self._stop.wait(seconds)

    def stop(self) -> None:
        self._stop.set()

    def collect(self, source: PushSource) -> Collector:
        """Run a source until it ends or raises."""
        try:
            source.run(self)
        except Exception as error:
            self.error = error
        with self._changed:
            self.ended = True
            self._changed.notify_all()
        return self

    def wait_for(self, condition: Callable[[Collector], bool]) -> None:
        """Wait until a condition holds; fail if the source ends or nothing comes of it."""
        with self._changed:
            self._changed.wait_for(lambda: condition(self) or self.ended, PATIENCE_S)
            assert condition(self), (self.error, self.reports, self.emitted[-3:])


def collect(source: PushSource) -> Collector:
    """Run a source in this thread until it raises, and return what it gave."""
    return Collector().collect(source)


@contextmanager
def running(source: PushSource) -> Iterator[Collector]:
    """Run a source in a thread; it must be gone soon after it was told to stop."""
    collector = Collector()
    thread = threading.Thread(target=collector.collect, args=[source])
    thread.start()
    try:
        yield collector
    finally:
        collector.stop()
        thread.join(PATIENCE_S)
    assert not thread.is_alive()
