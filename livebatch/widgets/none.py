"""No picture: only the line that says how the stream is doing."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa

from livebatch.widgets.chart import Chart, Picture


class NoChart(Chart):
    """Draws nothing."""

    bokeh = False
    past = windowed = False

    def add(self, time: datetime, table: pa.Table) -> None:
        pass

    def frame(self, *, key: bool) -> Picture:
        return {}, []
