"""The largest amounts of the newest batch, by name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from bokeh.embed import json_item
from bokeh.models import ColumnDataSource, FixedTicker, HoverTool

from livebatch.widgets.chart import Chart, Picture
from livebatch.widgets.columns import codes, floats, numbers, texts
from livebatch.widgets.style import PALETTE, blank

BARS = 20


class BarChart(Chart):
    """Horizontal bars, largest first.

    Equal amounts keep the order they had, so that bars do not trade places for nothing.
    """

    def __init__(self, name: str, window: float) -> None:
        super().__init__(name, window)
        self._bars: dict[str, float] = {}

    def add(self, time: datetime, table: pa.Table) -> None:
        names, amounts = texts(table.schema), numbers(table.schema)
        if not names or not amounts:
            columns = ", ".join(f"{f.name} {f.type}" for f in table.schema) or "no column"
            raise ValueError(
                f"a bar view needs a column of text and one of numbers; the stream has {columns}"
            )
        code, labels = codes(table.column(names[0]))
        values = floats(table.column(amounts[0]))
        usable = np.isfinite(values)
        totals = np.bincount(code[usable], weights=values[usable], minlength=len(labels))
        self._bars = self._largest(totals.astype(np.float64), labels)

    def frame(self, *, key: bool) -> Picture:
        values = np.fromiter(self._bars.values(), np.float64, len(self._bars))
        return {"keys": list(self._bars)}, [values.tobytes()]

    def item(self) -> Mapping[str, object]:
        source = ColumnDataSource({"y": [], "value": [], "key": [], "text": []}, name="bars")
        plot = blank()
        drawn = plot.hbar("y", right="value", height=0.72, source=source, color=PALETTE[0])
        plot.add_tools(HoverTool(renderers=[drawn], mode="hline"))
        plot.text("value", "y", "text", source=source, x_offset=6, text_baseline="middle")
        plot.yaxis.ticker = FixedTicker(ticks=[])
        plot.xaxis.visible = plot.grid.visible = False
        return json_item(plot)

    def _largest(self, totals: npt.NDArray[np.float64], labels: list[str]) -> dict[str, float]:
        place = {key: i for i, key in enumerate(self._bars)}
        places = np.array([place.get(label, BARS) for label in labels], dtype=np.int64)
        best = np.lexsort((places, -totals))[:BARS]
        return {labels[i]: float(totals[i]) for i in best}
