"""The box in a cell's output that holds a live view and what is put under it."""

from __future__ import annotations

from typing import Any

import ipywidgets

from livebatch.widgets.widget import View


class Panel(ipywidgets.VBox):
    """A live view, and room for more under it.

    Args:
        view: the live view, kept as ``panel.view``; the panel closes it.
    """

    def __init__(self, view: View) -> None:
        self.view = view
        super().__init__([view])
        self.add_class("livebatch-panel")

    def close(self) -> None:
        """Close the view and everything around it."""
        view = getattr(self, "view", None)
        if view is not None:
            view.close()
            _close_layout(view)
        self.children = ()
        _close_layout(self)
        super().close()

    def __del__(self) -> None:
        """Closing is explicit: at exit what it needs is already gone."""

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = super()._repr_mimebundle_(**kwargs)
        return bundle | {"text/html": self.view.static_html()}


def _close_layout(widget: ipywidgets.Widget) -> None:
    # ipywidgets keeps layouts of closed widgets alive, in the kernel and in the page.
    if isinstance(layout := getattr(widget, "layout", None), ipywidgets.Widget):
        layout.close()
