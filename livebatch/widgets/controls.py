"""What stands around a live view: its title and its pause button."""

from __future__ import annotations

from typing import Any

import ipywidgets
import traitlets

from livebatch.widgets.widget import View


class Panel(ipywidgets.VBox):
    """A live view under its title.

    Args:
        view: the live view, kept as ``panel.view``; the panel closes it.
        title: what stands above it.
    """

    def __init__(self, view: View, title: str) -> None:
        self.view = view
        label = ipywidgets.Label(title)
        label.add_class("livebatch-title")
        beside = view if view.compact else _pause_button(view)
        self._head = ipywidgets.HBox([label, beside])
        self._head.add_class("livebatch-head")
        super().__init__([self._head] if view.compact else [self._head, view])
        self.add_class("livebatch-panel")

    def close(self) -> None:
        """Close the view and everything around it."""
        head = getattr(self, "_head", None)
        for widget in [getattr(self, "view", None), *(head.children if head else ()), head]:
            _close(widget)
        self.children = ()
        _close_parts(self)
        super().close()

    def __del__(self) -> None:
        """Closing is explicit: at exit what it needs is already gone."""

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = super()._repr_mimebundle_(**kwargs)
        return bundle | {"text/html": self.view.static_html()}


def _pause_button(view: View) -> ipywidgets.ToggleButton:
    button = ipywidgets.ToggleButton(icon="pause", tooltip="Pause this view")
    button.add_class("livebatch-pause")
    traitlets.link((button, "value"), (view, "paused"))

    def say(change: dict[str, Any]) -> None:
        button.icon = "play" if change["new"] else "pause"
        button.tooltip = "Resume this view" if change["new"] else "Pause this view"

    button.observe(say, "value")
    return button


def _close(widget: ipywidgets.Widget | None) -> None:
    if widget is not None:
        _close_parts(widget)
        widget.close()


def _close_parts(widget: ipywidgets.Widget) -> None:
    # ipywidgets keeps layouts and styles of closed widgets alive, in the kernel and in the page.
    for part in ("layout", "style"):
        if isinstance(owned := getattr(widget, part, None), ipywidgets.Widget):
            owned.close()
