"""A pane of text under a view, for what a stream's cell prints."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock

import anywidget
import ipywidgets
import traitlets

LINES = 200

_ESM = """
export default {
  render({ model, el }) {
    const pre = el.appendChild(document.createElement("pre"));
    const show = () => {
      const follow = pre.scrollHeight - pre.scrollTop - pre.clientHeight < 8;
      pre.textContent = model.get("text");
      if (follow) pre.scrollTop = pre.scrollHeight;
    };
    el.classList.add("livebatch-log");
    model.on("change:text", show);
    requestAnimationFrame(show);
    return () => model.off("change:text", show);
  },
};
"""

_CSS = """
.livebatch-log { width: 100%; margin: 4px 0 0 !important; overflow: visible; }
.livebatch-log pre {
  max-height: 200px;
  margin: 0;
  padding: 6px 10px;
  overflow: auto;
  border: 1px solid var(--jp-border-color2, #e0e0e0);
  border-radius: 4px;
  font-family: var(--jp-code-font-family, monospace);
  font-size: var(--jp-code-font-size, 13px);
  line-height: 1.4;
  color: var(--jp-content-font-color1, #212121);
}
"""


class TextLog(anywidget.AnyWidget):
    """The last lines of a text that grows. It scrolls along unless the reader has scrolled up."""

    _esm, _css = _ESM, _CSS
    text = traitlets.Unicode().tag(sync=True)


class Pane:
    """Keeps the last lines that a cell has printed; a widget is made when there are any.

    Its methods may be called from any thread.
    """

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=LINES)
        self._lock = Lock()
        self._box: ipywidgets.Box | None = None
        self._log: TextLog | None = None

    def write(self, text: str) -> None:
        """Print a text, and end the line."""
        with self._lock:
            self._lines.extend(f"{text}\n".splitlines())
            self._show()

    def put_into(self, box: ipywidgets.Box) -> None:
        """Show the text at the end of a box."""
        with self._lock:
            self._box = box
            self._show()

    def close(self) -> None:
        """Take the text out of every page."""
        with self._lock:
            self._box = None
            if self._log is not None:
                self._log.close()

    def _show(self) -> None:
        if self._box is None or not self._lines:
            return
        text = "\n".join(self._lines)
        if self._log is None:
            self._log = TextLog(text=text)
            self._box.children = (*self._box.children, self._log)
        self._log.text = text


_writer: ContextVar[Callable[[str], None]] = ContextVar("livebatch_writer", default=print)


def write(text: str) -> None:
    """Print a text where the cell prints whose code this is."""
    _writer.get()(text)


@contextmanager
def printing_into(pane: Pane) -> Iterator[None]:
    """Have everything that is defined within this print into a pane."""
    token = _writer.set(pane.write)
    try:
        yield
    finally:
        _writer.reset(token)
