"""What a live view says to the browser, and when: no thread, no widget, no browser."""

from __future__ import annotations

import re
import traceback
from collections import deque
from collections.abc import Iterable
from datetime import datetime
from threading import Event, Lock
from typing import Any, Literal, TypeAlias

import pyarrow as pa

from livebatch.widgets.catalogue import view
from livebatch.widgets.cells import Preview, preview
from livebatch.widgets.chart import Chart, Picture
from livebatch.widgets.columns import choose

Level: TypeAlias = Literal["ok", "warn", "error"]
Batch: TypeAlias = tuple[datetime, pa.Table]
Message: TypeAlias = tuple[dict[str, Any], list[bytes]]

PENDING = 1000
STATIC_ROWS = 10
# A busy kernel may not hear a browser's first request, so until then every 20th message is whole.
UNHEARD = 20
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


class Feed:
    """Takes batches from any thread; one thread takes messages for the browser from it.

    Every message has a sequence number ``seq``. One with ``key`` says all there is, another only
    what changed, so a browser that missed a number must ask for a key.

    Args:
        name: the stream's name.
        kind: a kind of view, or ``auto`` to choose by the first table that has rows.
        window: seconds of the past that the picture keeps.

    Raises:
        ValueError: if there is no such kind.
    """

    def __init__(self, name: str, kind: str = "auto", window: float = 60.0) -> None:
        self._name, self._kind, self._window = name, kind, window
        self.changed = Event()
        self.changed.set()
        self._lock = Lock()
        self._pending: deque[Batch] = deque(maxlen=PENDING)
        self._note: dict[str, Any] = {"status": ["", "ok"], "error": None, "paused": False}
        self._noted = self._wanted = True
        self._greeted = False
        self._last: Preview | None = None
        # Only the thread that calls `next` looks at what follows.
        self._chart: Chart | None = None if kind == "auto" else view(kind)(name, window)
        self._item = self._chart.item() if self._chart else None
        self._seq = 0
        self._stale = self._held = False
        self._frozen: Picture | None = None
        self._trouble: str | None = None

    def push(self, time: datetime, table: pa.Table) -> None:
        """Add the batch of ``time`` (zone-aware)."""
        with self._lock:
            self._pending.append((time, table))
        self.changed.set()

    def status(self, text: str, level: Level = "ok") -> None:
        """Set the line under the picture."""
        self._set("status", [text, level])

    def fail(self, text: str | None) -> None:
        """Show a traceback, or take it away."""
        self._set("error", text and _ANSI.sub("", text).strip())

    def pause(self, paused: bool) -> None:
        """Freeze the picture, or have it show the present again."""
        self._set("paused", paused)

    def request(self) -> None:
        """Have the next message say everything: a browser has opened, or missed something."""
        with self._lock:
            self._wanted = self._greeted = True
        self.changed.set()

    def last(self) -> Preview | None:
        """The first rows of the newest batch."""
        with self._lock:
            return self._last

    def next(self) -> Message | None:
        """What the browser must be told now, if anything."""
        with self._lock:
            batches, self._pending = self._pending, deque(maxlen=PENDING)
            note, noted, wanted = dict(self._note), self._noted, self._wanted
            self._noted = self._wanted = False
        paused: bool = note["paused"]
        drawn = self._chart
        wanted |= self._hold(paused)
        noted |= self._take(batches)
        wanted |= self._chart is not drawn
        if not (wanted or noted or (self._stale and not paused)):
            return None
        key = wanted or not (self._greeted or self._seq % UNHEARD)
        message: dict[str, Any] = {"seq": self._seq, "key": key}
        self._seq += 1
        if key or noted:
            message["note"] = note | {"error": note["error"] or self._trouble}
        message["kind"] = self._kind if self._chart else None
        if key:
            message["item"] = self._item
        message["picture"], buffers = self._picture(key, paused) or (None, [])
        return message, buffers

    def _set(self, what: str, value: Any) -> None:
        with self._lock:
            self._noted |= self._note[what] != value
            self._note[what] = value
        self.changed.set()

    def _hold(self, paused: bool) -> bool:
        """Keep the picture that a pause found; true when the browser has to catch up after one."""
        if paused and not self._held:
            self._frozen = self._chart.frame(key=True) if self._chart else None
        released = self._held and not paused
        self._held = paused
        return released

    def _picture(self, key: bool, paused: bool) -> Picture | None:
        if paused:
            return self._frozen if key else None
        if self._chart is None or not (key or self._stale):
            return None
        self._stale = False
        return self._chart.frame(key=key)

    def _take(self, batches: Iterable[Batch]) -> bool:
        """Draw what has come; true when drawing has begun or ceased to fail."""
        before, newest = self._trouble, None
        for time, newest in batches:
            try:
                self._draw(time, newest)
                self._trouble = None
            except Exception:
                self._trouble = traceback.format_exc().strip()
        if newest is not None:
            corner = preview(newest, STATIC_ROWS)
            with self._lock:
                self._last = corner
        return self._trouble != before

    def _draw(self, time: datetime, table: pa.Table) -> None:
        if self._chart is None:
            if not table.num_rows:
                return
            self._kind = choose(table.schema)
            self._chart = view(self._kind)(self._name, self._window)
            self._item = self._chart.item()
        self._chart.add(time, table)
        self._stale = True
