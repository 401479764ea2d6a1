"""A receiver process, which runs one push source:
``python -m livebatch.engine.receiver ADDRESS PLACE STREAM``."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa

from livebatch.block import encode, encode_table
from livebatch.clock import Timer
from livebatch.engine.child import GRACE, live_and_die_with_the_engine
from livebatch.engine.store import Place, SharedMemoryStore
from livebatch.errors import StoreFull
from livebatch.events import SourceState
from livebatch.sources import PushSource, source
from livebatch.transport import Line
from livebatch.wire import Hello, Receive, Received, Stop

BUFFER = 500_000
"""A source that emits faster than blocks are cut waits when so many records are pending."""

BACK_OFF = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds before a source that failed is started again; the last repeats."""


class Collector:
    """What a source is given: collects its records until a block is cut of them."""

    def __init__(self) -> None:
        self._rows: list[Any] = []
        self._tables: list[pa.Table] = []
        self._states: list[tuple[str, str]] = []
        self._changed = threading.Condition()
        self._stopping = threading.Event()

    def emit(self, records: Sequence[Any] | pa.Table) -> None:
        with self._changed:
            self._changed.wait_for(lambda: len(self._rows) < BUFFER or self._stopping.is_set())
            if isinstance(records, pa.Table):
                self._tables.append(records)
            else:
                self._rows.extend(records)

    def report(self, state: str, detail: str = "") -> None:
        with self._changed:
            self._states.append((state, detail))

    def stopping(self, seconds: float = 0.0) -> bool:
        return self._stopping.wait(seconds)

    def stop(self) -> None:
        """Have the source stop."""
        with self._changed:
            self._stopping.set()
            self._changed.notify_all()

    def take(self) -> tuple[list[Any], list[pa.Table], list[tuple[str, str]]]:
        """Return the records and reports since the last call."""
        with self._changed:
            taken = self._rows, self._tables, self._states
            self._rows, self._tables, self._states = [], [], []
            self._changed.notify_all()
        return taken


class ReceiverProcess:
    """Cuts what a source emits into blocks, stores them, and reports their ids."""

    def __init__(self, address: str, store: SharedMemoryStore, stream: str) -> None:
        self._store, self._stream = store, stream
        self._line = Line(address, Hello("receiver", stream, os.getpid()), alive=lambda: True)
        self._collector = Collector()
        self._blocks = 0

    def run(self) -> None:
        """Receive until told to stop."""
        received = self._line.receive()
        assert received is not None
        assert isinstance(received[1], Receive)
        order = received[1]
        made = source(order.source, order.options)
        assert isinstance(made, PushSource)
        self._source = threading.Thread(target=self._keep_running, args=[made], daemon=True)
        self._source.start()
        timer = Timer(order.block_interval / 1000)
        while not self._asked_to_stop(timer.left()):
            if timer.due():
                self._cut()
        self._collector.stop()
        self._source.join(GRACE)
        self._cut()
        self._line.close(linger=GRACE)

    def _asked_to_stop(self, seconds: float) -> bool:
        received = self._line.receive(seconds)
        return received is not None and isinstance(received[1], Stop)

    def _keep_running(self, made: PushSource) -> None:
        """Run the source; when it fails, say so and run it again after a while."""
        failures = 0
        while not self._collector.stopping():
            self._collector.report("connecting")
            begun = self._blocks
            try:
                made.run(self._collector)
                detail = "the source ended"
            except Exception as error:
                detail = str(error) or type(error).__name__
            failures = failures + 1 if self._blocks == begun else 0
            pause = BACK_OFF[min(failures, len(BACK_OFF) - 1)]
            self._collector.report("stopped", f"{detail}; trying again in {pause:g} s")
            self._collector.stopping(pause)

    def _cut(self) -> None:
        rows, tables, states = self._collector.take()
        for state, detail in states:
            self._line.send(SourceState(self._stream, state, detail))
        if rows:
            self._store_block(encode(rows))
        if tables:
            self._store_block(encode_table(pa.concat_tables(tables)))

    def _store_block(self, block: Any) -> None:
        self._blocks += 1
        id = f"{self._stream}-{os.getpid()}.{self._blocks}"
        while True:
            try:
                self._line.send(Received(self._stream, self._store.put(block, id)))
                return
            except StoreFull as error:
                self._line.send(SourceState(self._stream, "waiting", str(error)))
                if self._collector.stopping(1.0):
                    return


def main() -> None:
    """Run a receiver."""
    live_and_die_with_the_engine()
    address, place, stream = sys.argv[1:4]
    store = msgspec.json.decode(place, type=Place).open()
    ReceiverProcess(address, store, stream).run()


if __name__ == "__main__":
    main()
