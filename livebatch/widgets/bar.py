"""The largest amounts of the newest batch, by name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from bokeh.embed import json_item
from bokeh.models import ColumnDataSource, HoverTool

from livebatch.widgets import still
from livebatch.widgets.chart import Chart, Picture
from livebatch.widgets.columns import codes, floats, listing, numbers, texts
from livebatch.widgets.style import PALETTE, blank, coloured

BARS = 20


class BarChart(Chart):
    """Horizontal bars, largest first.

    Equal amounts keep the order they had, so that bars do not trade places for nothing, and a name
    keeps its colour for as long as it is among the largest.
    """

    past = windowed = False

    def __init__(self, name: str, window: float) -> None:
        super().__init__(name, window)
        self._bars: dict[str, float] = {}
        self._colours: dict[str, int] = {}

    def add(self, time: datetime, table: pa.Table) -> None:
        names, amounts = texts(table.schema), numbers(table.schema)
        if not names or not amounts:
            raise ValueError(
                "a bar view needs a column of text and one of numbers;"
                f" the stream has {listing(table.schema)}"
            )
        code, labels = codes(table.column(names[0]))
        values = floats(table.column(amounts[0]))
        usable = np.isfinite(values)
        totals = np.bincount(code[usable], weights=values[usable], minlength=len(labels))
        self._bars = self._largest(totals.astype(np.float64), labels)
        self._colours = coloured(self._bars, self._colours)

    def frame(self, *, key: bool) -> Picture:
        values = np.fromiter(self._bars.values(), np.float64, len(self._bars))
        header = {"keys": list(self._bars), "slots": [self._colours[bar] for bar in self._bars]}
        return header, [values.tobytes()]

    def item(self) -> Mapping[str, object]:
        columns = ("key", "value", "text", "name", "y", "left", "right", "colour")
        source = ColumnDataSource({column: [] for column in columns}, name="bars")
        plot = blank(tags=list(PALETTE), min_border_right=0)
        plot.min_border_left = 0
        drawn = plot.hbar(
            "y",
            right="right",
            height=0.72,
            source=source,
            color="colour",
            fill_alpha=0.85,
            line_color=None,
        )
        plot.add_tools(HoverTool(renderers=[drawn], mode="hline"))
        plot.text("right", "y", "text", source=source, x_offset=6, text_baseline="middle")
        # Not labels of an axis: names glide along with their bars.
        plot.text(
            *("left", "y", "name"),
            source=source,
            x_offset=-8,
            text_align="right",
            text_baseline="middle",
        )
        plot.axis.visible = plot.grid.visible = False
        return json_item(plot)

    def still(self) -> str:
        return still.bars(self._bars, self._colours)

    def rows(self) -> pa.Table:
        values = pa.array(self._bars.values(), pa.float64())
        return pa.table({"key": pa.array(self._bars, pa.string()), "value": values})

    def _largest(self, totals: npt.NDArray[np.float64], labels: list[str]) -> dict[str, float]:
        place = {key: i for i, key in enumerate(self._bars)}
        places = np.array([place.get(label, BARS) for label in labels], dtype=np.int64)
        best = np.lexsort((places, -totals))[:BARS]
        return {labels[i]: float(totals[i]) for i in best}
