"""The newest batch as a table."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

import pyarrow as pa

from livebatch.widgets.cells import Preview, preview
from livebatch.widgets.chart import Chart, Picture

ROWS = 50


class TableChart(Chart):
    """Shows the first rows of the newest batch, and says how many there are."""

    bokeh = False
    past = windowed = False

    def __init__(self, name: str, window: float) -> None:
        super().__init__(name, window)
        self._newest = Preview([], [], [], 0)
        self._table = pa.table({})

    def add(self, time: datetime, table: pa.Table) -> None:
        self._table, self._newest = table, preview(table, ROWS)

    def frame(self, *, key: bool) -> Picture:
        return asdict(self._newest), []

    def rows(self) -> pa.Table:
        return self._table
