"""How the values of the recent past are distributed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np
import pyarrow as pa
from bokeh.embed import json_item
from bokeh.models import BasicTicker, ColumnDataSource, CustomJSTickFormatter, HoverTool

from livebatch.widgets.bins import Binning
from livebatch.widgets.chart import Chart, Picture
from livebatch.widgets.columns import Floats, floats, listing, numbers
from livebatch.widgets.recent import Recent
from livebatch.widgets.style import PALETTE, amounts, blank

SLICES = 60


class HistogramChart(Chart):
    """Counts, by size, of the values that the first column of numbers had in the window.

    Outliers are counted in an outermost bar of their own.
    """

    def __init__(self, name: str, window: float) -> None:
        super().__init__(name, window)
        self._recent = Recent(window * 1e3, slices=SLICES)
        self._binning = Binning()
        self._column = ""

    def add(self, time: datetime, table: pa.Table) -> None:
        if not (found := numbers(table.schema)):
            columns = listing(table.schema)
            raise ValueError(
                f"a histogram view needs a column of numbers; the stream has {columns}"
            )
        self._column = table.schema.field(found[0]).name
        self._recent.window = self.window * 1e3
        self._recent.add(time.timestamp() * 1e3, floats(table.column(found[0])))

    def frame(self, *, key: bool) -> Picture:
        start, step, counts = self._counts()
        header = {"column": self._column, "start": start, "step": step, "window": self.window * 1e3}
        return header, [counts.tobytes()]

    def item(self) -> Mapping[str, object]:
        columns = ("left", "right", "count", "alpha", "low", "high")
        source = ColumnDataSource({column: [] for column in columns}, name="bins")
        plot = amounts(blank(min_border_right=12))
        drawn = plot.quad(
            left="left",
            right="right",
            top="count",
            bottom=0,
            fill_alpha="alpha",
            color=PALETTE[0],
            line_color=None,
            source=source,
        )
        plot.add_tools(HoverTool(renderers=[drawn], mode="vline"))
        plot.xaxis.ticker = BasicTicker(desired_num_ticks=8)
        plot.xaxis.formatter = CustomJSTickFormatter(code="return __livebatch.tick(tick, ticks)")
        plot.xgrid.visible = False
        return json_item(plot)

    def rows(self) -> pa.Table:
        start, step, counts = self._counts()
        edges = np.concatenate([[-np.inf], (start + np.arange(len(counts) - 1)) * step, [np.inf]])
        table = pa.table({"from": edges[:-1], "below": edges[1:], "count": counts})
        outside = int(counts[:1].sum() == 0), int(counts[-1:].sum() == 0)
        return table.slice(outside[0], max(len(counts) - sum(outside), 0))

    def _counts(self) -> tuple[int, float, Floats]:
        """The first edge in steps, the step, and the counts: below, of each bin, above."""
        values = self._recent.values
        if not len(values):
            return 0, 1.0, np.zeros(2)
        edges = self._binning.fit(values)
        return edges.start, edges.step, edges.tally(values, self._recent.weights)
