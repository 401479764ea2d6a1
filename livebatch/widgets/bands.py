"""How a quantity is spread, over time: its median and shades around it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np
import pyarrow as pa
from bokeh.embed import json_item
from bokeh.models import ColumnDataSource, HoverTool

from livebatch.widgets.chart import Chart, Picture
from livebatch.widgets.columns import (
    Floats,
    epoch_ms,
    event_time,
    floats,
    listing,
    numbers,
    percentiles,
    stamps,
)
from livebatch.widgets.pace import Pace
from livebatch.widgets.style import PALETTE, over_time
from livebatch.widgets.track import Track

PERCENTS = (5.0, 25.0, 50.0, 75.0, 95.0)
BANDS = 8


class BandsChart(Chart):
    """Percentiles over a window of time.

    They are the columns called p50, p99 and the like, if there are at least two (of several rows
    the last counts); otherwise those of each batch's rows are computed from the first column of
    numbers.
    """

    def __init__(self, name: str, window: float) -> None:
        super().__init__(name, window)
        self._percents: list[float] = list(PERCENTS)
        self._track = Track(window * 1e3, len(PERCENTS))
        self._pace = Pace()
        self._end: float | None = None

    def add(self, time: datetime, table: pa.Table) -> None:
        now = time.timestamp() * 1e3
        x, percents, row = self._row(now, table)
        self._pace.tick(now)
        if percents != self._percents:
            self._percents, self._track = percents, Track(self.window * 1e3, len(percents))
        self._track.window = self.window * 1e3
        self._end = max(x, self._end or x)
        if row is not None:
            self._track.add(x, row)
        self._track.forget(self._end)

    def frame(self, *, key: bool) -> Picture:
        stretch = self._track.keyframe() if key else self._track.delta()
        header = {
            "end": self._end,
            "window": self.window * 1e3,
            "pace": self._pace.usual,
            "percents": self._percents,
            "whole": stretch.whole,
            "n": len(stretch.x),
        }
        return header, [np.concatenate([stretch.x, stretch.y.T.ravel()]).tobytes()]

    def item(self) -> Mapping[str, object]:
        shades = ColumnDataSource({"xs": [], "ys": [], "alpha": []}, name="shades")
        median = ColumnDataSource({"x": [], "y": []}, name="median")
        plot = over_time()
        plot.patches(
            "xs", "ys", fill_alpha="alpha", line_color=None, color=PALETTE[0], source=shades
        )
        drawn = plot.line("x", "y", line_width=1.75, color=PALETTE[0], source=median)
        plot.add_tools(HoverTool(renderers=[drawn], mode="vline", line_policy="nearest"))
        return json_item(plot)

    def rows(self) -> pa.Table:
        x, y = self._track.points()
        columns = {title(percent): y[:, i] for i, percent in enumerate(self._percents)}
        return pa.table({"time": stamps(x), **columns})

    def _row(self, now: float, table: pa.Table) -> tuple[float, list[float], Floats | None]:
        """When it was, which percentiles, and what they are (None if there were no values)."""
        schema = table.schema
        if not (amounts := numbers(schema)):
            raise ValueError(
                f"a bands view needs a column of numbers; the stream has {listing(schema)}"
            )
        named = dict(list(percentiles(schema).items())[:BANDS])
        if len(set(named.values())) < 2:
            values = floats(table.column(amounts[0]))
            values = values[np.isfinite(values)]
            row = np.percentile(values, PERCENTS) if len(values) else None
            return now, list(PERCENTS), row
        percents = list(named.values())
        if not table.num_rows:
            return now, percents, None
        clock = event_time(schema)
        x = now if clock is None else float(epoch_ms(table.column(clock))[-1])
        row = np.array([floats(table.column(i))[-1] for i in named])
        usable = bool(np.isfinite(row).all() and np.isfinite(x))
        return (x if np.isfinite(x) else now), percents, row if usable else None


def title(percent: float) -> str:
    """What a percentile is called.

    Example:
        >>> title(50.0), title(99.9)
        ('p50', 'p99.9')
    """
    return f"p{percent:g}"
