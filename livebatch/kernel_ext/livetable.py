"""The list of streams as a widget: it moves while somebody looks at it, and has buttons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Event, Lock, Thread, current_thread
from typing import Any

import anywidget
import traitlets

from livebatch.clock import Deadline, deadline
from livebatch.errors import LivebatchError
from livebatch.kernel_ext.board import COLUMNS, ERRORS, NUMERIC, Board

EVERY = 1.0
"""Seconds between two looks at the engine."""

LOOKED_AT = 15.0
"""Seconds that the table moves on after a browser has last said that it shows it; a browser says so
every 5 s. Pages that are closed or reloaded say nothing."""

_ESM = """
const ACTIONS = { stop: "■", pause: "❚❚", resume: "▶" };

function button(model, action, name) {
  const made = document.createElement("button");
  made.textContent = ACTIONS[action];
  made.title = made.ariaLabel = `${action} ${name}`;
  made.dataset.action = action;
  made.onclick = () => model.send({ act: action, name });
  return made;
}

function buttons(model, cell, { name, paused }) {
  const wanted = [paused ? "resume" : "pause", "stop"];
  const there = [...cell.children].map((child) => child.dataset.action);
  // A button that is under the mouse must not be replaced.
  if (String(there) !== String(wanted) || cell.dataset.of !== name) {
    cell.dataset.of = name;
    cell.replaceChildren(...wanted.map((action) => button(model, action, name)));
  }
}

function fill(row, texts, { columns, numeric, errors, rows }) {
  texts.forEach((text, i) => {
    const tag = texts === columns ? "th" : "td";
    const cell = row.cells[i + 1] ?? row.appendChild(document.createElement(tag));
    if (cell.textContent !== text) cell.textContent = text;
    cell.classList.toggle("numeric", numeric.includes(i));
    cell.classList.toggle("errors", i === errors && texts !== columns);
    cell.hidden = rows.length > 0 && rows.every((other) => !other.cells[i]);
  });
}

export default {
  render({ model, el }) {
    const table = document.createElement("table");
    const note = document.createElement("div");
    const head = table.createTHead().insertRow();
    head.insertCell();
    const body = table.createTBody();
    el.classList.add("livebatch-streams");
    el.append(table, note);
    const show = () => {
      const board = model.get("board");
      fill(head, board.columns, board);
      while (body.rows.length > board.rows.length) body.deleteRow(-1);
      board.rows.forEach((stream, i) => {
        const row = body.rows[i] ?? body.insertRow();
        row.dataset.stream = stream.name;
        buttons(model, row.cells[0] ?? row.insertCell(), stream);
        fill(row, stream.cells, board);
      });
      note.textContent = board.note || (board.rows.length ? "" : "no streams yet");
    };
    const look = () => model.send({ look: true });
    const timer = setInterval(look, 5000);
    model.on("change:board", show);
    show();
    look();
    return () => { clearInterval(timer); model.off("change:board", show); };
  },
};
"""

_CSS = """
.livebatch-streams { width: 100%; overflow-x: auto; font-size: var(--jp-ui-font-size1, 13px); }
.livebatch-streams table { border-collapse: collapse; }
.livebatch-streams :is(td, th) {
  padding: 3px 8px; text-align: left; vertical-align: top;
  color: var(--jp-content-font-color1, #212121);
}
.livebatch-streams thead :is(td, th) {
  font-weight: 600; vertical-align: bottom;
  border-bottom: 1px solid var(--jp-border-color2, #ccc);
}
.livebatch-streams .numeric { text-align: right; font-variant-numeric: tabular-nums; }
.livebatch-streams tbody td { white-space: nowrap; }
.livebatch-streams tbody td.errors {
  min-width: 12em; white-space: normal; color: var(--jp-error-color1, #d32f2f);
}
.livebatch-streams button {
  width: 24px; height: 22px; margin-right: 4px; padding: 0; font-size: 10px; cursor: pointer;
  border: 1px solid var(--jp-border-color2, #ccc); border-radius: 4px; background: transparent;
  color: var(--jp-ui-font-color2, #616161);
}
.livebatch-streams button:hover { background: var(--jp-layout-color2, #eee); }
"""


class StreamTable(anywidget.AnyWidget):
    """All streams at a glance; however often it is displayed, it is one widget.

    Args:
        ask: returns how the streams are doing.
        actions: what the buttons do to a stream, each with a line that says what was done.
    """

    _esm, _css = _ESM, _CSS
    board = traitlets.Dict().tag(sync=True)

    def __init__(
        self, ask: Callable[[], Board], actions: Mapping[str, Callable[[str], str]]
    ) -> None:
        self._ask, self._actions = ask, actions
        self._lock, self._closed = Lock(), Event()
        self._until: Deadline = deadline(0)
        self._thread: Thread | None = None
        self._newest = Board((), {})
        self._note = ""
        super().__init__(board=self._content())
        self.on_msg(self._hear)

    def refresh(self) -> None:
        """Show how the streams are doing now."""
        try:
            self._newest = self._ask()
        except LivebatchError as error:
            self._note = str(error)
        self.board = self._content()

    def close(self) -> None:
        """End the thread, if there is one, and take the table out of every page."""
        self._closed.set()
        thread = self._thread
        if thread is not None and thread is not current_thread():
            thread.join()
        super().close()

    def __del__(self) -> None:
        """Closing is explicit: at exit what it needs is already gone."""

    def __repr__(self) -> str:
        return repr(self._newest.grid)

    def _repr_html_(self) -> str:
        return self._newest.grid._repr_html_()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        return data | {"text/plain": repr(self), "text/html": self._repr_html_()}, metadata

    def _content(self) -> dict[str, Any]:
        streams = zip(self._newest.streams, self._newest.rows, strict=True)
        rows = [
            {"name": stream.name, "cells": list(row), "paused": stream.name in stream.paused}
            for stream, row in streams
        ]
        columns, numeric = list(COLUMNS), sorted(NUMERIC)
        return {"columns": columns, "numeric": numeric, "errors": ERRORS, "rows": rows,
                "note": self._note}  # fmt: skip

    def _hear(self, _: Any, content: dict[str, Any], __: Any) -> None:
        if content.get("look"):
            self._look()
        elif action := self._actions.get(content.get("act", "")):
            try:
                self._note = action(content["name"])
            except LivebatchError as error:
                self._note = str(error)
            self.refresh()

    def _look(self) -> None:
        """Go on moving for a while: a browser shows the table."""
        with self._lock:
            self._until = deadline(LOOKED_AT)
            if self._thread is None and not self._closed.is_set():
                self._thread = Thread(target=self._run, name="livebatch-streams", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._closed.is_set():
            with self._lock:
                if self._until.passed():
                    self._thread = None
                    return
            self.refresh()
            self._closed.wait(EVERY)
