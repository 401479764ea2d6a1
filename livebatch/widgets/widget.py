"""The live view: a widget with one thread that speaks to the browser."""

from __future__ import annotations

import traceback
from datetime import datetime
from importlib.resources import files
from threading import Event, Thread, current_thread
from typing import Any

import anywidget
import ipywidgets
import pyarrow as pa
import traitlets

from livebatch.widgets.assets import assets
from livebatch.widgets.cells import html
from livebatch.widgets.feed import Feed, Level
from livebatch.widgets.nudge import nudge

FRAMES_PER_SECOND = 20
JOIN_SECONDS = 5.0


def _static(suffix: str, first: str) -> str:
    found = [
        file for file in (files(__package__) / "static").iterdir() if file.name.endswith(suffix)
    ]
    found.sort(key=lambda file: (file.name != first, file.name))
    return "\n".join(file.read_text("utf-8") for file in found)


class View(anywidget.AnyWidget):
    """Shows a stream and follows it; see `livebatch.widgets.show`.

    Its methods may be called from any thread. A thread of its own sends to the browser, at most
    20 times a second, so that neither a busy cell nor a slow browser holds anybody up.

    Args:
        name: the stream's name.
        kind: a kind of view, or ``auto``.
        window: seconds of the past that the picture keeps.

    Raises:
        ValueError: if there is no such kind.
    """

    _esm = _static(".js", first="view.js")
    _css = _static(".css", first="view.css")
    name = traitlets.Unicode().tag(sync=True)
    compact = traitlets.Bool().tag(sync=True)
    assets = traitlets.Instance(ipywidgets.Widget).tag(sync=True, **ipywidgets.widget_serialization)
    paused = traitlets.Bool(False)

    def __init__(self, name: str, kind: str = "auto", window: float = 60.0) -> None:
        self._feed = Feed(name, kind, window)
        self._stop = Event()
        super().__init__(name=name, compact=kind == "none", assets=assets())
        self.on_msg(self._hear)
        self.observe(lambda change: self._feed.pause(change["new"]), "paused")
        self._thread = Thread(target=self._pump, name=f"livebatch-view-{name}", daemon=True)
        self._thread.start()

    def push(self, time: datetime, table: pa.Table) -> None:
        """Show the batch of ``time`` (zone-aware). Returns at once; a closed view ignores it."""
        if not self._stop.is_set():
            self._feed.push(time, table)

    def status(self, text: str, level: Level = "ok") -> None:
        """Set the line under the picture."""
        self._feed.status(text, level)

    def fail(self, traceback_text: str | None) -> None:
        """Show an error under the picture, which stays; ``None`` clears it."""
        self._feed.fail(traceback_text)

    def close(self) -> None:
        """End the thread, then take the view out of every page. May be called again."""
        if stop := getattr(self, "_stop", None):
            stop.set()
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

    def _hear(self, _: Any, content: dict[str, Any], __: Any) -> None:
        if content.get("ask") == "key":
            self._feed.request()

    def _pump(self) -> None:
        while not self._stop.is_set():
            self._feed.changed.wait()
            self._feed.changed.clear()
            try:
                if (message := self._feed.next()) is not None and not self._stop.is_set():
                    self.send(*message)
            except Exception:
                self._feed.fail(traceback.format_exc())
            nudge()
            self._stop.wait(1 / FRAMES_PER_SECOND)
