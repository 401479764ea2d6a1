"""What all figures share. Colours of text and grid are the page's, and are set there."""

from __future__ import annotations

from typing import Any

from bokeh.models import Range1d
from bokeh.plotting import figure

HEIGHT = 232
MARGIN = 52

# Petroff's ten: told apart with any colour vision, on light and on dark ground.
PALETTE = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)


def blank(**options: Any) -> figure:
    """An empty figure as wide as its cell, on the page's own ground."""
    return figure(
        height=HEIGHT,
        sizing_mode="stretch_width",
        toolbar_location=None,
        tools=[],
        x_range=Range1d(start=0, end=1),
        y_range=Range1d(start=0, end=1),
        min_border_left=MARGIN,
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
        **options,
    )
