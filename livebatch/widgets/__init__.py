"""Live views of streams in a notebook.

Example:
    >>> from datetime import UTC, datetime
    >>> import pyarrow as pa
    >>> box = show("clicks", "line")
    >>> box.view.push(datetime.now(UTC), pa.table({"value": [1.0, 2.0]}))
    >>> box.view.status("2 rows/s")
    >>> box.close()
"""

from __future__ import annotations

from threading import RLock

from livebatch.widgets.catalogue import kinds, view
from livebatch.widgets.controls import Panel
from livebatch.widgets.figures import ErrorKind, Errors, Figures, Level
from livebatch.widgets.widget import View

__all__ = [
    "ErrorKind",
    "Errors",
    "Figures",
    "Level",
    "Panel",
    "View",
    "kinds",
    "live",
    "show",
    "view",
]

_lock = RLock()
_panels: dict[str, Panel] = {}


def show(name: str, kind: str = "auto", *, window: float = 60.0, title: str | None = None) -> Panel:
    """Make the live view of a stream, in place of the one it has.

    Args:
        name: the stream's name; it has one live view.
        kind: one of `kinds()`, or ``auto`` to choose by the stream's columns.
        window: seconds of the past that the picture keeps.
        title: what stands above it, the name by default.

    Returns:
        A box to display; feed its ``.view``.

    Raises:
        ValueError: if there is no such kind, or the window is not positive.

    Example:
        >>> box = show("words", "none", title="word counts")
        >>> box.view.name, "words" in live()
        ('words', True)
        >>> box.close()
        >>> "words" in live()
        False
    """
    if window <= 0:
        raise ValueError(f"a window is a positive number of seconds, not {window}")
    if kind != "auto":
        view(kind)
    with _lock:
        if (old := _panels.pop(name, None)) is not None:
            old.close()
        panel = _panels[name] = Panel(View(name, kind, window, title))
    return panel


def live() -> dict[str, Panel]:
    """The live views, by the name of their stream."""
    with _lock:
        return {name: panel for name, panel in _panels.items() if panel.comm is not None}
