"""Views in rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ipywidgets

from livebatch.widgets import Panel


class Dashboard(ipywidgets.VBox):
    """Rows of views under a title; in a narrow page the views of a row stand below each other.

    Args:
        rows: the views.
        title: what stands above them; empty: nothing.
    """

    def __init__(self, rows: Sequence[Sequence[ipywidgets.Widget]], title: str = "") -> None:
        boxes = [ipywidgets.HBox(list(row)) for row in rows]
        for box in boxes:
            box.add_class("livebatch-row")
        head = [ipywidgets.Label(title)] if title else []
        for label in head:
            label.add_class("livebatch-dashboard-title")
        self.panels = [item for row in rows for item in row]
        super().__init__([*head, *boxes])
        self.add_class("livebatch-dashboard")

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = super()._repr_mimebundle_(**kwargs)
        html = [panel.view.static_html() for panel in self.panels if isinstance(panel, Panel)]
        return bundle | {"text/html": "".join(html)}
