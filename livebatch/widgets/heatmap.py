"""How much there was of what, over time, as colours."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np
import pyarrow as pa
from bokeh.embed import json_item
from bokeh.models import ColumnDataSource, FixedTicker, HoverTool
from bokeh.palettes import Cividis256

from livebatch.widgets.chart import Chart, Picture
from livebatch.widgets.columns import floats, listing, numbers, stamps, texts
from livebatch.widgets.lanes import Buckets, Keys, Lanes
from livebatch.widgets.pace import Pace
from livebatch.widgets.style import over_time

COLUMNS = 120


class HeatmapChart(Chart):
    """Time from left to right, and from bottom to top the first column of numbers in buckets.

    A colour says how many values of a batch fell into a bucket. With a column of text there is a
    row for each of the fifteen largest keys instead, and a colour says how large its amount was.
    Where the picture has no room for every batch, neighbours are averaged.
    """

    def __init__(self, name: str, window: float) -> None:
        super().__init__(name, window)
        self._lanes: Lanes | None = None
        self._pace = Pace()
        self._sent: object = None

    def add(self, time: datetime, table: pa.Table) -> None:
        now, schema = time.timestamp() * 1e3, table.schema
        if not (amounts := numbers(schema)):
            columns = listing(schema)
            raise ValueError(f"a heatmap view needs a column of numbers; the stream has {columns}")
        keys = texts(schema)
        kind = Keys if keys else Buckets
        if not isinstance(self._lanes, kind):
            self._lanes = kind(self.window * 1e3, COLUMNS)
        self._lanes.window = self.window * 1e3
        self._pace.tick(now)
        names = table.column(keys[0]) if keys else None
        self._lanes.add(now, floats(table.column(amounts[0])), names)

    def frame(self, *, key: bool) -> Picture:
        if self._lanes is None:
            return {"end": None, "whole": True, "n": 0, "lanes": {}}, [b""]
        layout = self._lanes.layout()
        whole = key or layout != self._sent
        self._sent = layout
        spans, cells = self._lanes.columns(everything=whole)
        header = {
            "end": self._lanes.end,
            "window": self.window * 1e3,
            "pace": self._pace.usual,
            "whole": whole,
            "n": len(spans),
            "lanes": layout,
        }
        return header, [np.concatenate([spans.ravel(), cells.ravel()]).tobytes()]

    def item(self) -> Mapping[str, object]:
        columns = ("image", "x", "y", "dw", "dh")
        source = ColumnDataSource({column: [] for column in columns}, name="heat")
        plot = over_time(tags=list(Cividis256))
        drawn = plot.image_rgba("image", "x", "y", "dw", "dh", source=source)
        plot.add_tools(HoverTool(renderers=[drawn], attachment="above"))
        plot.ygrid.visible = False
        plot.yaxis.ticker = FixedTicker(ticks=[])
        return json_item(plot)

    def rows(self) -> pa.Table:
        if self._lanes is None:
            return pa.table({})
        spans, cells = self._lanes.peek()
        names = self._lanes.names()
        times = np.repeat(spans[:, 1] if len(spans) else np.empty(0), cells.shape[1])
        named = {name: column * len(cells) for name, column in names.items()}
        return pa.table({"time": stamps(times), **named, "value": cells.ravel()})
