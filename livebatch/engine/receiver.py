"""A receiver process, which runs one push source:
``python -m livebatch.engine.receiver ADDRESS PLACE STREAM``."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import msgspec
import pyarrow as pa

from livebatch.block import BlockRef, Encoded, encode, encode_table
from livebatch.clock import Timer, deadline
from livebatch.engine.child import GRACE, live_and_die_with_the_engine
from livebatch.engine.collector import Collector
from livebatch.engine.durable import DurableBlocks, block_id
from livebatch.engine.store import Place, SharedMemoryStore
from livebatch.engine.tally import Tally
from livebatch.errors import StoreFull
from livebatch.events import SourceState
from livebatch.sources import PushSource, source
from livebatch.sources.receiving import receiving_of
from livebatch.transport import Line
from livebatch.wire import Finished, Hello, Receive, Received, Room, Stop

BACK_OFF = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds before a source that failed is started again; the last repeats."""

FULL = {
    "block": ("waiting", "the source is read no more until there is room"),
    "spill": ("spilling", "what comes goes to disk until there is room"),
    "drop_oldest": ("dropping", "what has waited longest is dropped"),
}
"""What state a source is in when its buffer is full, and what is done about it."""


class ReceiverProcess:
    """Cuts what a source emits into blocks, stores them, and reports their ids."""

    def __init__(self, address: str, store: SharedMemoryStore, stream: str) -> None:
        self._store, self._stream = store, stream
        self._line = Line(address, Hello("receiver", stream, os.getpid()), alive=lambda: True)
        self._state = SourceState(stream, "connecting")
        self._trouble: str | None = None
        self._told_to_stop = self._lost = False

    def run(self) -> None:
        """Receive until told to stop."""
        received = self._line.receive()
        assert received is not None
        assert isinstance(received[1], Receive)
        order = received[1]
        made = source(order.source, order.options)
        assert isinstance(made, PushSource)
        self._policy = receiving_of(order.options).on_overflow
        self._tally, self._collector = Tally(order.buffer), Collector(order.buffer)
        self._start = order.start or os.getpid()
        self._durable = DurableBlocks(Path(order.durable)) if order.durable else None
        running = threading.Thread(target=self._keep_running, args=[made], daemon=True)
        running.start()
        timer = Timer(order.block_interval / 1000)
        while not self._told_to_stop:
            self._listen(timer.left())
            if timer.due():
                self._cut()
        self._finish(running, timer)

    def _finish(self, running: threading.Thread, timer: Timer) -> None:
        """Hand on all that the source still gives, such as what it waits for to be received."""
        self._collector.stop()
        limit = deadline(GRACE)
        while running.is_alive() and not limit.passed():
            self._cut()
            self._listen(min(0.01, timer.left()))
        self._cut()
        self._line.send(Finished(self._stream))
        self._line.close(linger=GRACE)

    def _listen(self, seconds: float) -> None:
        received = self._line.receive(seconds)
        match received and received[1]:
            case Stop():
                self._told_to_stop = True
            case Room() as room:
                self._collector.received(self._tally.heard(room))

    def _keep_running(self, made: PushSource) -> None:
        """Run the source; when it fails, say so and run it again after a while."""
        failures = 0
        while not self._collector.stopping():
            self._collector.report("connecting")
            begun = self._tally.blocks
            try:
                made.run(self._collector)
                detail = "the source ended"
            except Exception as error:
                detail = str(error) or type(error).__name__
            failures = failures + 1 if self._tally.blocks == begun else 0
            pause = BACK_OFF[min(failures, len(BACK_OFF) - 1)]
            self._collector.report("stopped", f"{detail}; trying again in {pause:g} s")
            self._collector.stopping(pause)

    def _cut(self) -> None:
        for state, detail in self._collector.reports():
            self._state = SourceState(self._stream, state, detail)
            self._line.send(self._state)
            self._trouble = None
        full = self._tally.dropping if self._policy == "drop_oldest" else self._tally.full
        held = full and self._policy == "block" and not self._told_to_stop
        state, done = FULL[self._policy]
        self._troubled(state if full else None, f"{self._tally.said}: {done}")
        self._collector.hold(held)
        if held:
            return
        rows, tables, emitted = self._collector.take()
        if rows:
            self._store_block(encode(rows))
        if tables:
            self._store_block(encode_table(pa.concat_tables(tables)))
        if not self._lost:  # what is lost must not be acknowledged, nor what comes after it
            self._collector.received(self._tally.cut(emitted))

    def _troubled(self, state: str | None, detail: str, dropped: int = 0) -> None:
        """Say that something is wrong with what comes, or no more is; once, unless it is lost."""
        if state == self._trouble and not dropped:
            return
        self._trouble = state
        changed = SourceState(self._stream, state, detail, dropped) if state else self._state
        self._line.send(changed)

    def _store_block(self, block: Encoded) -> None:
        id = block_id(self._stream, self._start, self._tally.blocks + 1)
        kept = self._durable is None
        while True:
            try:
                if self._durable is not None and not kept:
                    self._durable.put(block, id)
                    kept = True
                ref = self._put(block, id)
                break
            except (StoreFull, OSError) as error:
                if self._told_to_stop:
                    self._lost = True  # unless it is found on disk later
                    self._troubled("dropping", str(error), block.rows)
                    return
                if kept and self._policy == "drop_oldest":
                    self._drop(block, id, str(error))
                    return
                self._troubled("waiting", str(error))
                self._listen(1.0)
        self._tally.add(ref)
        self._collector.learn(ref.rows, ref.nbytes)
        self._line.send(Received(self._stream, ref))

    def _put(self, block: Encoded, id: str) -> BlockRef:
        """Put a block into memory, or onto disk if that is what is to be done without room."""
        if self._policy == "spill" and self._tally.full:
            return self._store.put_on_disk(block, id)
        try:
            return self._store.put(block, id)
        except StoreFull:
            if self._policy != "spill" and not self._told_to_stop:
                raise
            return self._store.put_on_disk(block, id)

    def _drop(self, block: Encoded, id: str, why: str) -> None:
        if self._durable is not None:
            self._durable.delete([id])
        self._troubled("dropping", why, block.rows)


def main() -> None:
    """Run a receiver."""
    live_and_die_with_the_engine()
    address, place, stream = sys.argv[1:4]
    store = msgspec.json.decode(place, type=Place).open()
    ReceiverProcess(address, store, stream).run()


if __name__ == "__main__":
    main()
