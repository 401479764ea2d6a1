"""What all figures share. Colours of text and grid are the page's, and are set there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from bokeh.models import BasicTicker, CustomJSTickFormatter, DatetimeTicker, Range1d
from bokeh.plotting import figure

HEIGHT = 232
MARGIN = 52

# At least 3:1 in contrast to the ground of a light and of a dark page, and any two told apart with
# any colour vision, the first ones best.
PALETTE = (
    "#4090d8",
    "#e07858",
    "#8840b0",
    "#007058",
    "#a090a0",
    "#b86800",
    "#7870a0",
    "#985010",
    "#c82870",
    "#5060e8",
)


def coloured(keys: Iterable[str], before: Mapping[str, int]) -> dict[str, int]:
    """A colour for each key: the one it has had, or the one that is least in use.

    Example:
        >>> coloured(["b", "c"], {"a": 0, "b": 1})
        {'b': 1, 'c': 0}
    """
    wanted = list(dict.fromkeys(keys))
    found = {key: before[key] for key in wanted if key in before}
    used = np.bincount(list(found.values()), minlength=len(PALETTE))
    for key in wanted:
        if key not in found:
            found[key] = int(used.argmin())
            used[found[key]] += 1
    return found


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


def over_time(**options: Any) -> figure:
    """An empty figure of amounts over time."""
    plot = blank(min_border_right=12, **options)
    plot.xaxis.ticker = DatetimeTicker(desired_num_ticks=6)
    plot.xaxis.formatter = CustomJSTickFormatter(code="return __livebatch.clock(tick)")
    plot.xgrid.visible = False
    return amounts(plot)


def amounts(plot: figure) -> figure:
    """Have a figure's left axis tell amounts."""
    plot.yaxis.ticker = BasicTicker(desired_num_ticks=5)
    plot.yaxis.formatter = CustomJSTickFormatter(code="return __livebatch.tick(tick, ticks)")
    return plot
