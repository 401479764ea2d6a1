"""The live view: a widget with one thread that speaks to the browser."""

from __future__ import annotations

import traceback
from datetime import datetime
from threading import Event, Lock, Thread, current_thread
from typing import Any

import anywidget
import ipywidgets
import pyarrow as pa
import traitlets

from livebatch.clock import cpu_stopwatch
from livebatch.widgets.assets import STUB, assets, static
from livebatch.widgets.audience import Audience, Sight
from livebatch.widgets.cells import html
from livebatch.widgets.export import csv
from livebatch.widgets.feed import Feed
from livebatch.widgets.figures import Errors, Figures, Level
from livebatch.widgets.governor import Governor
from livebatch.widgets.hearing import hearing

FRAMES_PER_SECOND = 20
UNSEEN_SECONDS = 1.0
JOIN_SECONDS = 5.0

governor = Governor()


class View(anywidget.AnyWidget):
    """Shows a stream and follows it; see `livebatch.widgets.show`.

    Its methods may be called from any thread. A thread of its own sends to the browser: at most 20
    times a second, within the share of a core that all views have together, and only what someone
    looks at and can keep up with. So neither a busy cell nor a slow browser holds anybody up.

    Args:
        name: the stream's name.
        kind: a kind of view, or ``auto``.
        window: seconds of the past that the picture keeps.
        title: what stands above it, the name by default.

    Raises:
        ValueError: if there is no such kind.
    """

    _esm = STUB
    _css = static(".css", first="view.css")
    name = traitlets.Unicode().tag(sync=True)
    title = traitlets.Unicode().tag(sync=True)
    compact = traitlets.Bool().tag(sync=True)
    assets = traitlets.Instance(ipywidgets.Widget).tag(sync=True, **ipywidgets.widget_serialization)
    paused = traitlets.Bool(False)

    def __init__(
        self, name: str, kind: str = "auto", window: float = 60.0, title: str | None = None
    ) -> None:
        self._feed, self._audience = Feed(name, kind, window), Audience()
        self._stop, self._heard = Event(), Event()
        self._lock = Lock()
        self._orders: set[str] = set()
        self._cost = 0.0
        super().__init__(name=name, title=title or name, compact=kind == "none", assets=assets())
        self.on_msg(self._hear)
        self.observe(lambda change: self._feed.pause(change["new"]), "paused")
        self._thread = Thread(target=self._pump, name=f"livebatch-view-{name}", daemon=True)
        self._thread.start()

    def push(self, time: datetime, table: pa.Table) -> None:
        """Show the batch of ``time`` (zone-aware). Returns at once; a closed view ignores it."""
        if not self._stop.is_set():
            self._feed.push(time, table)

    def status(self, text: str, level: Level = "ok", figures: Figures | None = None) -> None:
        """Set the line under the picture: a text, and the figures of the batch it speaks of, which
        a page shows in its place."""
        self._feed.status(text, level, figures)

    def errors(self, errors: Errors | None) -> None:
        """Set what the table of errors shows; ``None``: there are none."""
        self._feed.errors(errors)

    def fail(self, traceback_text: str | None) -> None:
        """Show an error under the picture, which stays; ``None`` clears it."""
        self._feed.fail(traceback_text)

    def window(self, seconds: float) -> None:
        """Have the picture keep so many seconds of the past, also of what came before."""
        self._feed.window(seconds)

    def close(self) -> None:
        """End the thread, then take the view out of every page. May be called again."""
        if stop := getattr(self, "_stop", None):
            stop.set()
            self._heard.set()
            self._feed.changed.set()
        thread = getattr(self, "_thread", None)
        if thread is not None and thread is not current_thread():
            thread.join(JOIN_SECONDS)
        super().close()

    def __del__(self) -> None:
        """Closing is explicit: at exit what it needs is already gone."""

    def static_html(self) -> str:
        """The newest rows as a table that needs no script."""
        return html(self.name, self._feed.last())

    def _hear(self, _: Any, said: dict[str, Any], __: Any) -> None:
        hearing.heard()
        self._take_note(said)
        self._heard.set()

    def _take_note(self, said: dict[str, Any]) -> None:
        match said:
            case {"do": "pause", "value": bool(value)}:
                self.paused = value
            case {"do": "window", "value": float() | int() as value} if value > 0:
                self._feed.window(value)
            case {"do": "sort", "column": int(at), "way": "ascending" | "descending" as way}:
                self._feed.sort((at, way))
            case {"do": "sort"}:
                self._feed.sort(None)
            case {"do": "csv", "page": str(page)}:
                with self._lock:
                    self._orders.add(page)
                self._feed.changed.set()
            case {"page": str()}:
                if self._audience.hear(said):
                    self._feed.request()
                else:
                    self._feed.changed.set()

    def _pump(self) -> None:
        late = False
        while not self._stop.is_set():
            self._feed.changed.wait()
            self._feed.changed.clear()
            try:
                late = self._turn(late)
            except Exception:
                self._feed.fail(traceback.format_exc())
            self._stop.wait(1 / FRAMES_PER_SECOND)

    def _turn(self, late: bool) -> bool:
        """Send what is to be sent, when it is this view's turn; return whether it has to wait."""
        expected, delay = self._cost, governor.turn(self._cost)
        if self._stop.wait(delay):
            return False
        begun = cpu_stopwatch()
        self._heard.clear()
        sight = self._audience.sight()
        deaf = sight is not Sight.OPEN and hearing.deaf()
        if sight is Sight.OPEN or deaf:
            message = self._feed.next(late=late or delay > 1 / FRAMES_PER_SECOND, unheard=deaf)
            if message is not None:
                self.send(*message)
                self._audience.sent(message[0]["seq"])
        else:
            self._feed.absorb()
        self._fill_orders()
        self._cost = cpu_stopwatch() - begun
        governor.settle(expected, self._cost)
        if sight is Sight.HIDDEN:  # there is no hurry until a page says that it looks
            self._heard.wait(UNSEEN_SECONDS)
        if sight is Sight.BEHIND and not deaf:
            self._feed.changed.set()
            return True
        return False

    def _fill_orders(self) -> None:
        """Send what the picture shows as CSV to the pages that want it."""
        with self._lock:
            orders, self._orders = self._orders, set()
        if orders:
            rows = self._feed.rows()
            data = csv(rows) if rows is not None and rows.num_columns else b""
            for page in orders:
                self.send({"csv": f"{self.name}.csv", "page": page}, [data])
