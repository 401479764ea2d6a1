"""Several views side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import ipywidgets

from livebatch.errors import DefinitionError
from livebatch.kernel_ext.layout import Dashboard
from livebatch.kernel_ext.watch import watcher
from livebatch.stream import DStream

Item: TypeAlias = DStream[Any] | str | tuple[DStream[Any] | str, str] | ipywidgets.Widget


def dashboard(
    rows: Sequence[Sequence[Item] | Item], title: str = "", window: float = 60.0
) -> Dashboard:
    """Return views laid out in rows, the full width of the page.

    Args:
        rows: rows of streams, names of streams, (stream, kind of view), views such as
            ``stream.plot.bar()`` gives, or any widgets; one alone is a row.
        title: what stands above them.
        window: seconds of the past that the views show.

    Raises:
        NotRunning: this is no notebook, or there is no such stream.
        DefinitionError: there is no such kind of view, or nothing to show.

    Example:
        ``lb.dashboard([[load, memory], [(requests, "heatmap")]], title="the server")``
    """
    listed = [row if isinstance(row, list) else [row] for row in rows]
    if not any(listed):
        raise DefinitionError("a dashboard needs at least one stream: lb.dashboard([[stream]])")
    made = [
        [_shown(item, window, f"{title} {i}.{j}") for j, item in enumerate(row)]
        for i, row in enumerate(listed)
    ]
    return Dashboard(made, title)


def _shown(item: Any, window: float, place: str) -> ipywidgets.Widget:
    if isinstance(item, ipywidgets.Widget):
        return item
    stream, kind = item if isinstance(item, tuple) else (item, "auto")
    return watcher().watch(stream, kind, window, place=place)
