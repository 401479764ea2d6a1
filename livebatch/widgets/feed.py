"""What a live view says to the browser, and when: no thread, no widget, no browser."""

from __future__ import annotations

import re
import traceback
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import datetime
from threading import Lock
from typing import Any, TypeAlias

import pyarrow as pa

from livebatch.interval import to_datetime
from livebatch.widgets.catalogue import view
from livebatch.widgets.cells import Preview, preview
from livebatch.widgets.chart import Chart, Order, Picture
from livebatch.widgets.columns import choose
from livebatch.widgets.figures import Errors, Figures, Level
from livebatch.widgets.past import Batch, Past

Message: TypeAlias = tuple[dict[str, Any], list[bytes]]

PENDING = 1000
STATIC_ROWS = 10
# A kernel may not hear browsers; while it hears none, every 20th message is whole.
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
        changed: called by any thread when there may be a message to take.

    Raises:
        ValueError: if there is no such kind.
    """

    def __init__(
        self,
        name: str,
        kind: str = "auto",
        window: float = 60.0,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._name, self._kind, self._changed = name, kind, changed
        self._lock = Lock()
        self._pending: deque[Batch] = deque(maxlen=PENDING)
        self._note: dict[str, Any] = {
            "status": ["", "ok"], "figures": None, "errors": None, "error": None,
            "paused": False, "window": window, "order": None, "skipped": 0,
        }  # fmt: skip
        self._news: set[str] = set()
        self._wanted = True
        self._greeted = False
        self._last: pa.Table | None = None
        # Only the thread that calls what follows `next` looks at what follows.
        self._window = window
        self._order: Order | None = None
        self._chart: Chart | None = None if kind == "auto" else self._empty()
        self._item = self._chart.item() if self._chart else None
        self._past = Past()
        self._seq = 0
        self._absorbed = 0
        self._stale = self._held = False
        self._frozen: tuple[Picture, pa.Table] | None = None
        self._trouble: str | None = None

    def push(self, time: datetime, table: pa.Table) -> None:
        """Add the batch of ``time`` (zone-aware)."""
        with self._lock:
            self._pending.append((time, table))
        self._changed()

    def status(self, text: str, level: Level = "ok", figures: Figures | None = None) -> None:
        """Set the line under the picture: a text, and the figures of the batch it speaks of."""
        shown = None
        if figures is not None:
            level, word = figures.verdict
            shown = asdict(figures) | {"word": word}
        self._set(status=[text, level], figures=shown)

    def errors(self, errors: Errors | None) -> None:
        """Show what records raised, or take it away."""
        self._set(errors=errors and asdict(errors))

    def fail(self, text: str | None) -> None:
        """Show a traceback, or take it away."""
        self._set(error=text and _ANSI.sub("", text).strip())

    def pause(self, paused: bool) -> None:
        """Freeze the picture, or have it show the present again."""
        self._set(paused=paused)

    def window(self, seconds: float) -> None:
        """Have the picture keep so many seconds of the past, as far as they are known."""
        self._set(window=seconds)

    def sort(self, order: Order | None) -> None:
        """Have the rows sorted, those of a frozen picture too."""
        self._set(order=order)

    def request(self) -> None:
        """Have the next message say everything: a browser has opened, or missed something."""
        with self._lock:
            self._wanted = self._greeted = True
        self._changed()

    def last(self) -> Preview | None:
        """The first rows of the newest batch."""
        with self._lock:
            newest = self._last
        return None if newest is None else preview(newest, STATIC_ROWS)

    def absorb(self) -> None:
        """Take in what has come, without telling the browser."""
        with self._lock:
            batches, self._pending = self._pending, deque(maxlen=PENDING)
            paused, window, order = (self._note[what] for what in ("paused", "window", "order"))
        drawn = self._chart
        released = self._hold(paused)
        if window != self._window:
            self._rewind(window)
            released |= self._held
        if order != self._order:
            released |= self._sort(order)
        trouble = self._trouble
        self._take(batches)
        with self._lock:
            self._wanted |= released or self._chart is not drawn
            if self._trouble != trouble:
                self._news.add("error")

    def next(self, *, late: bool = False, unheard: bool = False) -> Message | None:
        """What the browser must be told now, if anything.

        Args:
            late: it should have been told before, so that pictures were skipped.
            unheard: browsers cannot be heard at the moment.
        """
        self.absorb()
        skipped, self._absorbed = max(self._absorbed - 1, 0), 0
        with self._lock:
            wanted, news = self._wanted, self._news
            if late and skipped and not wanted:
                self._note["skipped"] += skipped
                news.add("skipped")
            note = self._note | {"error": self._note["error"] or self._trouble}
            if not (wanted or news or (self._stale and not note["paused"])):
                return None
            self._wanted, self._news = False, set()
        key = wanted or ((unheard or not self._greeted) and self._seq % UNHEARD == 0)
        return self._message(key, note, news)

    def still(self) -> str:
        """The picture as HTML that needs no script."""
        return "" if self._chart is None else self._chart.still()

    def rows(self) -> pa.Table | None:
        """What the picture shows, if that is known."""
        if self._frozen is not None:
            return self._frozen[1]
        return None if self._chart is None else self._chart.rows()

    def _set(self, **values: Any) -> None:
        with self._lock:
            for what, value in values.items():
                if self._note[what] != value:
                    self._note[what] = value
                    self._news.add(what)
            news = bool(self._news)
        if news:
            self._changed()

    def _message(self, key: bool, note: dict[str, Any], news: set[str]) -> Message:
        message: dict[str, Any] = {"seq": self._seq, "key": key}
        self._seq += 1
        if key or news:
            message["note"] = note if key else {what: note[what] for what in news}
        message["kind"] = self._kind if self._chart else None
        if key:
            message["item"] = self._item
            message["past"] = self._chart is not None and self._chart.windowed
        message["picture"], buffers = self._picture(key, note["paused"]) or (None, [])
        return message, buffers

    def _hold(self, paused: bool) -> bool:
        """Keep the picture that a pause found; true when the browser has to catch up after one."""
        if paused and not self._held and self._chart is not None:
            self._frozen = self._chart.frame(key=True), self._chart.rows()
        released = self._held and not paused
        if released:
            self._frozen = None
        self._held = paused
        return released

    def _picture(self, key: bool, paused: bool) -> Picture | None:
        if paused:
            return self._frozen[0] if key and self._frozen else None
        if self._chart is None or not (key or self._stale):
            return None
        self._stale = False
        return self._chart.frame(key=key)

    def _rewind(self, window: float) -> None:
        """Draw what is kept of the past again, over another window of time."""
        self._window = window
        if self._chart is not None:
            self._chart = self._empty()
            for time, table in self._past:
                self._try(time, table)
            if self._held:
                self._frozen = self._chart.frame(key=True), self._chart.rows()

    def _sort(self, order: Order | None) -> bool:
        """Sort the rows; true if the browser has to be shown a frozen picture anew."""
        self._order = order
        if self._chart is None or not self._chart.sort(order):
            return False
        self._stale = True
        if self._frozen is None:
            return False
        frozen = self._empty()
        frozen.add(to_datetime(0), self._frozen[1])
        self._frozen = frozen.frame(key=True), frozen.rows()
        return True

    def _empty(self) -> Chart:
        chart = view(self._kind)(self._name, self._window)
        chart.sort(self._order)
        return chart

    def _take(self, batches: Iterable[Batch]) -> None:
        newest = None
        for time, newest in batches:
            self._absorbed += 1
            self._past.add(time, newest)
            self._try(time, newest)
        if newest is not None:
            with self._lock:
                self._last = newest

    def _try(self, time: datetime, table: pa.Table) -> None:
        try:
            self._draw(time, table)
            self._trouble = None
        except Exception:
            self._trouble = traceback.format_exc().strip()

    def _draw(self, time: datetime, table: pa.Table) -> None:
        if self._chart is None:
            if not table.num_rows:
                return
            self._kind = choose(table.schema)
            self._chart = self._empty()
            self._item = self._chart.item()
        self._chart.add(time, table)
        self._stale = True
