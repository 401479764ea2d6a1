"""From an engine's events to the notebook's views."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from livebatch.block import BlockStore
from livebatch.engine.store import MemoryStore, SharedMemoryStore
from livebatch.events import (
    Batches,
    BatchFailed,
    BatchSettled,
    Event,
    Restarted,
    SourceChanged,
    SourceState,
    StreamPaused,
    StreamRemoved,
)
from livebatch.failure import Failure
from livebatch.kernel_ext.live import KEPT, LiveStream, inputs_of
from livebatch.session import StreamingContext
from livebatch.stream import DStream
from livebatch.widgets import View
from livebatch.wire import Settled

SILENCE = 5.0
"""Seconds without an event after which the engine is asked whether it is still there."""


class Pump:
    """Hands the events of one engine to the views of its streams, in a thread of its own.

    It takes all events there are before it touches a view, so that one that has fallen behind
    skips pictures, not news.

    Args:
        ssc: the context whose engine it is.
        render: writes a failure for people.
    """

    def __init__(self, ssc: StreamingContext, render: Callable[[Failure], str]) -> None:
        self._ssc, self._render = ssc, render
        self._store = _store_of(ssc)
        self._live: dict[str, LiveStream] = {}
        self._sources: dict[str, SourceState] = {}
        self._events: SimpleQueue[Event | None] = SimpleQueue()
        self._hang_up = ssc.connection.listen(self._events.put)
        self._thread = Thread(target=self._run, name="livebatch-pump", daemon=True)
        self._thread.start()

    def show(
        self, stream: DStream[Any], view: View, past: bool, write: Callable[[str], None] = print
    ) -> None:
        """Have a view follow a named stream; it follows no other any more.

        Args:
            stream: the stream.
            view: its view.
            past: whether the view shows the past too.
            write: prints what the stream's functions print in the workers.
        """
        assert stream.name is not None
        self._live[view.name] = LiveStream(stream, view, past, self._store, self._render, write)
        kept = self._ssc.connection.request(Settled(stream.name, limit=KEPT))
        assert isinstance(kept, Batches)
        for batch in kept.batches:
            self._events.put(BatchSettled(batch))

    def source_of(self, stream: DStream[Any]) -> str:
        """Return how the sources are doing that a stream is computed from, as far as is known."""
        states = [self._sources[id] for id in inputs_of(stream) if id in self._sources]
        return "; ".join(f"{s.state}: {s.detail}" if s.detail else s.state for s in states)

    def close(self, why: str | None = None) -> None:
        """End the thread, after what has come has been shown.

        Args:
            why: what the views shall say; nothing if not told.
        """
        self._hang_up()
        self._events.put(None)
        self._thread.join()
        if why is not None:
            self._end(why)

    def _run(self) -> None:
        while True:
            events = self._wait()
            for event in events:
                if event is not None:
                    self._sort(event)
            moved = any(isinstance(event, SourceChanged) for event in events)
            for live in list(self._live.values()):
                if moved or live.stale:
                    self._refresh(live)
            if None in events:
                return
            if not events and not self._ssc.connection.alive():
                self._end("the engine is gone")
                return

    def _wait(self) -> list[Event | None]:
        """Return all events there are; none if there was silence for a while."""
        events: list[Event | None] = []
        try:
            events.append(self._events.get(timeout=SILENCE))
            while True:
                events.append(self._events.get_nowait())
        except Empty:
            return events

    def _sort(self, event: Event) -> None:
        match event:
            case BatchSettled():
                for live in list(self._live.values()):
                    live.settled(event.batch)
            case Restarted():
                self._catch_up()
            case BatchFailed():
                for live in self._of(event.name):
                    live.failed(event)
            case SourceChanged():
                self._sources[event.state.stream] = event.state
            case StreamPaused():
                for live in self._of(event.name):
                    live.paused(event.paused)
            case StreamRemoved():
                for live in self._of(event.name):
                    live.ended("stopped")

    def _catch_up(self) -> None:
        """Take what has settled while nothing was heard."""
        for live in list(self._live.values()):
            name = live.stream.name
            if name is not None:
                kept = self._ssc.connection.request(Settled(name, live.newest, limit=KEPT))
                assert isinstance(kept, Batches)
                for batch in kept.batches:
                    live.settled(batch)

    def _of(self, name: str | None) -> list[LiveStream]:
        """Return what follows the stream of a name."""
        return [live for live in list(self._live.values()) if live.stream.name == name]

    def _refresh(self, live: LiveStream) -> None:
        try:
            live.refresh(self._sources)
        except Exception:
            live.view.fail(traceback.format_exc())

    def _end(self, why: str) -> None:
        for live in self._live.values():
            live.ended(why)
            self._refresh(live)


def _store_of(ssc: StreamingContext) -> BlockStore:
    """Return a store in which the engine's blocks can be read."""
    found = getattr(ssc.connection, "found", None)
    if found is None:  # it runs in this thread and hands small blocks over as they are
        return MemoryStore()
    return SharedMemoryStore(Path(found.shared_memory), 0)
