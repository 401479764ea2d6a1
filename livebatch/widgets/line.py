"""Amounts over time, one line for each column or for each key."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np
import pyarrow as pa
from bokeh.embed import json_item
from bokeh.models import (
    BasicTicker,
    ColumnDataSource,
    CustomJSTickFormatter,
    DatetimeTicker,
    HoverTool,
)

from livebatch.widgets.buffer import Buffer
from livebatch.widgets.chart import Chart, Picture
from livebatch.widgets.series import series
from livebatch.widgets.style import PALETTE, blank


class LineChart(Chart):
    """Lines over a window of time: the ten largest keys or columns.

    x is when the rows happened, if a timestamp column says so, else the time of their batch.
    """

    def __init__(self, name: str, window: float) -> None:
        super().__init__(name, window)
        self._buffer = Buffer(window * 1e3, lines=len(PALETTE))

    def add(self, time: datetime, table: pa.Table) -> None:
        lines, end = series(
            table,
            time.timestamp() * 1e3,
            self.name,
            tracked=self._buffer.tracked,
            most=len(PALETTE),
        )
        self._buffer.add(lines, end)

    def frame(self, *, key: bool) -> Picture:
        frame = self._buffer.keyframe() if key else self._buffer.delta()
        header = {
            "end": frame.end if np.isfinite(frame.end) else None,
            "window": self.window * 1e3,
            "drop": frame.drop,
            "lines": [
                {"key": part.key, "slot": part.slot, "whole": part.whole, "n": len(part.x)}
                for part in frame.parts
            ],
        }
        columns = [column for part in frame.parts for column in (part.x, part.y)]
        return header, [np.concatenate(columns or [np.empty(0)]).tobytes()]

    def item(self) -> Mapping[str, object]:
        lines = ColumnDataSource({"xs": [], "ys": [], "key": [], "colour": []}, name="lines")
        heads = ColumnDataSource({"x": [], "y": [], "colour": []}, name="heads")
        plot = blank(min_border_right=12, tags=list(PALETTE))
        drawn = plot.multi_line(
            "xs", "ys", color="colour", line_width=1.75, line_join="round", source=lines
        )
        plot.scatter("x", "y", color="colour", size=6, source=heads)
        plot.add_tools(HoverTool(renderers=[drawn], mode="vline", line_policy="nearest"))
        plot.xaxis.ticker = DatetimeTicker(desired_num_ticks=6)
        plot.yaxis.ticker = BasicTicker(desired_num_ticks=5)
        plot.xaxis.formatter = CustomJSTickFormatter(code="return __livebatch.clock(tick)")
        plot.yaxis.formatter = CustomJSTickFormatter(code="return __livebatch.tick(tick, ticks)")
        plot.xgrid.visible = False
        return json_item(plot)
