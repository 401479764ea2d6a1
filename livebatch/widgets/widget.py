"""The live view: a widget with one thread that speaks to the browser."""

from __future__ import annotations

import traceback
from datetime import datetime
from threading import Lock
from typing import Any
from uuid import uuid4
from weakref import WeakValueDictionary

import anywidget
import ipywidgets
import pyarrow as pa
import traitlets

from livebatch.clock import stopwatch
from livebatch.widgets.assets import STUB, assets, static
from livebatch.widgets.audience import Audience, Sight
from livebatch.widgets.cells import html
from livebatch.widgets.export import csv
from livebatch.widgets.feed import Feed
from livebatch.widgets.figures import Errors, Figures, Level
from livebatch.widgets.hearing import hearing
from livebatch.widgets.rounds import Rounds

UNSEEN_SECONDS = 1.0

rounds = Rounds()
_views: WeakValueDictionary[str, View] = WeakValueDictionary()


class View(anywidget.AnyWidget):
    """Shows a stream and follows it; see `livebatch.widgets.show`.

    Its methods may be called from any thread. One thread sends for all views: at most 20 times a
    second, within the share of a core that they have together, and only what someone looks at and
    can keep up with. So neither a busy cell nor a slow browser holds anybody up.

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
    key = traitlets.Unicode().tag(sync=True)
    title = traitlets.Unicode().tag(sync=True)
    compact = traitlets.Bool().tag(sync=True)
    assets = traitlets.Instance(ipywidgets.Widget).tag(sync=True, **ipywidgets.widget_serialization)
    paused = traitlets.Bool(False)

    def __init__(
        self, name: str, kind: str = "auto", window: float = 60.0, title: str | None = None
    ) -> None:
        self._feed = Feed(name, kind, window, changed=lambda: rounds.want(self))
        self._audience, self._closed = Audience(), False
        self._lock = Lock()
        self._orders: set[str] = set()
        self._behind, self._quiet_until = False, 0.0
        key = uuid4().hex
        super().__init__(
            name=name, key=key, title=title or name, compact=kind == "none", assets=assets()
        )
        _views[key] = self
        self.on_msg(self._hear)
        self.observe(lambda change: self._feed.pause(change["new"]), "paused")
        rounds.join(self)

    def push(self, time: datetime, table: pa.Table) -> None:
        """Show the batch of ``time`` (zone-aware). Returns at once; a closed view ignores it."""
        if not self._closed:
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
        """Send nothing more, then take the view out of every page. May be called again."""
        self._closed = True
        rounds.leave(self)
        super().close()

    def __del__(self) -> None:
        """Closing is explicit: at exit what it needs is already gone."""

    def static_html(self) -> str:
        """The picture and the newest rows, as HTML that needs no script."""
        with rounds.halted():
            return html(self.name, self._feed.last(), self._feed.still())

    def _hear(self, _: Any, said: dict[str, Any], __: Any) -> None:
        hearing.heard()
        self._take_note(said)

    def _take_note(self, said: dict[str, Any]) -> None:
        match said:
            case {"all": list(notes)}:  # of the views of a page, one has the word
                for key, note in notes:
                    if (view := _views.get(key)) is not None:
                        view._take_note(note)
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
                rounds.want(self)
            case {"page": str()}:
                if self._audience.hear(said):
                    self._feed.request()
                else:
                    rounds.want(self)

    def turn(self, late: bool) -> float | None:
        """Send what is to be sent; see `livebatch.widgets.rounds`."""
        try:
            again = self._send_news(late or self._behind)
            self._behind = again == 0
            self._fill_orders()
        except Exception:
            self._feed.fail(traceback.format_exc())
            return None
        return again

    def _send_news(self, late: bool) -> float | None:
        sight = self._audience.sight()
        if sight is Sight.OPEN or hearing.deaf():
            message = self._feed.next(late=late, unheard=sight is not Sight.OPEN)
            if message is not None:
                self.send(*message)
                self._audience.sent(message[0]["seq"])
            return None
        if sight is Sight.BEHIND:
            self._feed.absorb()
            return 0.0
        # There is no hurry until a page says that it looks.
        if (left := self._quiet_until - stopwatch()) > 0:
            return left
        self._feed.absorb()
        self._quiet_until = stopwatch() + UNSEEN_SECONDS
        return None

    def _fill_orders(self) -> None:
        """Send what the picture shows as CSV to the pages that want it."""
        with self._lock:
            orders, self._orders = self._orders, set()
        if orders:
            rows = self._feed.rows()
            data = csv(rows) if rows is not None and rows.num_columns else b""
            for page in orders:
                self.send({"csv": f"{self.name}.csv", "page": page}, [data])
