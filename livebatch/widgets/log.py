"""The newest rows as lines of text, as ``tail -f`` shows them."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from itertools import islice
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from livebatch.widgets.cells import text
from livebatch.widgets.chart import Chart, Picture
from livebatch.widgets.columns import epoch_ms, event_time, stamps

KEPT = 1000
LETTERS = 1000
MOST = 200
"""Lines of one batch: nobody reads more, and a fast stream must not fill the page's memory."""

Entry: TypeAlias = tuple[float, str]


class LogChart(Chart):
    """A thousand lines at most: when it was (by a timestamp column, else the batch) and the row.

    Of a larger batch the last two hundred rows are kept.
    """

    bokeh = False
    windowed = False

    def __init__(self, name: str, window: float) -> None:
        super().__init__(name, window)
        self._lines: deque[Entry] = deque(maxlen=KEPT)
        self._fresh = 0
        self._total = 0

    def add(self, time: datetime, table: pa.Table) -> None:
        entries = _entries(time, table.slice(max(table.num_rows - MOST, 0)))
        self._lines.extend(entries)
        self._fresh = min(self._fresh + len(entries), KEPT)
        self._total += table.num_rows

    def frame(self, *, key: bool) -> Picture:
        n = len(self._lines) if key else self._fresh
        self._fresh = 0
        fresh = list(islice(self._lines, len(self._lines) - n, None))
        times = np.array([time for time, _ in fresh], dtype=np.float64)
        header = {"kept": KEPT, "total": self._total, "lines": [line for _, line in fresh]}
        return header, [times.tobytes()]

    def rows(self) -> pa.Table:
        times = stamps([time for time, _ in self._lines])
        lines = pa.array([line for _, line in self._lines], pa.string())
        return pa.table({"time": times, "line": lines})


def _entries(time: datetime, table: pa.Table) -> list[Entry]:
    now, clock = time.timestamp() * 1e3, event_time(table.schema)
    times = np.full(table.num_rows, now)
    if clock is not None:
        told = epoch_ms(table.column(clock))
        times = np.where(np.isfinite(told), told, now)
        table = table.remove_column(clock)
    cells = [[text(value, LETTERS) for value in column.to_pylist()] for column in table.columns]
    rows = zip(*cells, strict=True) if cells else [("",)] * len(times)
    return [(float(at), "  ".join(row)) for at, row in zip(times, rows, strict=True)]
