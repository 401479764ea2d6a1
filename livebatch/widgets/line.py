"""Amounts over time, one line for each column or for each key."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

import numpy as np
import pyarrow as pa
from bokeh.embed import json_item
from bokeh.models import ColumnDataSource, HoverTool

from livebatch.widgets import still
from livebatch.widgets.buffer import Buffer
from livebatch.widgets.chart import Chart, Picture
from livebatch.widgets.columns import stamps
from livebatch.widgets.pace import Pace
from livebatch.widgets.series import series
from livebatch.widgets.style import PALETTE, over_time


class LineChart(Chart):
    """Lines over a window of time: the ten largest keys or columns.

    x is when the rows happened, if a timestamp column says so, else the time of their batch.
    """

    most: ClassVar[int] = len(PALETTE)
    article: ClassVar[str] = "a line"

    def __init__(self, name: str, window: float) -> None:
        super().__init__(name, window)
        self._buffer = Buffer(window * 1e3, lines=self.most)
        self._pace = Pace()

    def add(self, time: datetime, table: pa.Table) -> None:
        now = time.timestamp() * 1e3
        lines, end = series(
            table,
            now,
            self.name,
            tracked=self._buffer.tracked,
            most=self.most,
            kind=self.article,
        )
        self._pace.tick(now)
        self._buffer.window = self.window * 1e3
        self._buffer.add(lines, end)

    def frame(self, *, key: bool) -> Picture:
        frame = self._buffer.keyframe() if key else self._buffer.delta()
        header = {
            "end": frame.end if np.isfinite(frame.end) else None,
            "window": self.window * 1e3,
            "pace": self._pace.usual,
            "drop": frame.drop,
            "lines": [
                {"key": part.key, "slot": part.slot, "whole": part.whole, "n": len(part.x)}
                for part in frame.parts
            ],
        }
        columns = [column for part in frame.parts for column in (part.x, part.y)]
        return header, [np.concatenate(columns or [np.empty(0)]).tobytes()]

    def item(self) -> Mapping[str, object] | None:
        lines = ColumnDataSource(
            {name: [] for name in ("xs", "ys", "x", "y", "key", "colour")}, name="lines"
        )
        heads = ColumnDataSource({"x": [], "y": [], "colour": []}, name="heads")
        plot = over_time(tags=list(PALETTE))
        # x and y are xs and ys with holes where there is a gap.
        drawn = plot.multi_line(
            "x", "y", color="colour", line_width=1.75, line_join="round", source=lines
        )
        plot.scatter("x", "y", color="colour", size=6, source=heads)
        plot.add_tools(HoverTool(renderers=[drawn], mode="vline", line_policy="nearest"))
        return json_item(plot)

    def still(self) -> str:
        return still.lines(self._buffer.points(), self._pace.usual)

    def rows(self) -> pa.Table:
        lines = self._buffer.points()
        x = np.concatenate([line.x for line in lines] or [np.empty(0)])
        y = np.concatenate([line.y for line in lines] or [np.empty(0)])
        keys = [line.key for line in lines for _ in range(len(line.x))]
        return pa.table({"time": stamps(x), "key": pa.array(keys, pa.string()), "value": y})
