"""When things began and how long they took, in lanes."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from bokeh.embed import json_item
from bokeh.models import ColumnDataSource, FixedTicker, HoverTool

from livebatch.widgets.cells import text
from livebatch.widgets.chart import Chart, Picture
from livebatch.widgets.columns import (
    Floats,
    epoch_ms,
    event_time,
    floats,
    listing,
    numbers,
    stamps,
    texts,
)
from livebatch.widgets.style import PALETTE, coloured, over_time

SPANS = 1000
LANES = 20


class Span(NamedTuple):
    """Something that began and took so long, in milliseconds; NaN: it is not over."""

    begun: float
    took: float
    lane: str
    name: str
    detail: str

    @property
    def end(self) -> float:
        return self.begun if np.isnan(self.took) else self.begun + self.took


class GanttChart(Chart):
    """Bars over time, in a lane for each of the first column of texts, in a colour for each of the
    second; a third is told under the pointer.

    The first column of numbers says how long something took, in milliseconds. Where that is null it
    goes on, until a later batch says otherwise. It began when a timestamp column says so, else at
    the time of its batch. The newest thousand are shown.
    """

    def __init__(self, name: str, window: float) -> None:
        super().__init__(name, window)
        self._over: deque[Span] = deque(maxlen=SPANS)
        self._open: list[Span] = []
        self._colours: dict[str, int] = {}
        self._end: float | None = None

    def add(self, time: datetime, table: pa.Table) -> None:
        now, schema = time.timestamp() * 1e3, table.schema
        if not (amounts := numbers(schema)):
            columns = listing(schema)
            raise ValueError(f"a gantt view needs a column of numbers; the stream has {columns}")
        newest = table.slice(max(table.num_rows - SPANS, 0))
        clock = event_time(schema)
        begun = np.full(len(newest), now) if clock is None else epoch_ms(newest.column(clock))
        self._end = now if clock is None else _present(now, begun, self.window * 1e3)
        spans = _spans(newest, begun, floats(newest.column(amounts[0])))
        self._over.extend(span for span in spans if 0 <= span.took < np.inf)
        self._open = [span for span in spans if np.isnan(span.took)]
        left = self._end - self.window * 1e3
        while self._over and self._over[0].end < left:
            self._over.popleft()
        self._colours = coloured([span.name for span in self._spans], self._colours)

    def frame(self, *, key: bool) -> Picture:
        spans = self._spans
        lanes = sorted({span.lane for span in spans})[:LANES]
        spans = [span for span in spans if span.lane in lanes]
        names = {name: i for i, name in enumerate(dict.fromkeys(span[3:] for span in spans))}
        header = {
            "end": self._end,
            "window": self.window * 1e3,
            "lanes": lanes,
            "names": [[name, detail, self._colours[name]] for name, detail in names],
            "n": len(spans),
        }
        places = {lane: i for i, lane in enumerate(lanes)}
        rows = [(s.begun, s.took, places[s.lane], names[s[3:]]) for s in spans]
        return header, [np.array(rows, np.float64).reshape(-1, 4).T.tobytes()]

    def item(self) -> Mapping[str, object]:
        columns = ("left", "right", "top", "bottom", "colour")
        source = ColumnDataSource({column: [] for column in columns}, name="spans")
        plot = over_time(tags=list(PALETTE))
        # The line makes what is too short for a pixel visible.
        drawn = plot.quad(
            *("left", "right", "top", "bottom"),
            source=source,
            color="colour",
            fill_alpha=0.85,
            line_width=1,
        )
        plot.add_tools(HoverTool(renderers=[drawn], attachment="above"))
        plot.ygrid.visible = False
        plot.yaxis.ticker = FixedTicker(ticks=[])
        return json_item(plot)

    def rows(self) -> pa.Table:
        spans = self._spans
        columns: dict[str, Any] = {"begun": stamps(np.array([span.begun for span in spans]))}
        columns["ms"] = pa.array([span.took for span in spans], pa.float64(), from_pandas=True)
        for what in ("lane", "name", "detail"):
            columns[what] = pa.array([getattr(span, what) for span in spans], pa.string())
        return pa.table(columns)

    @property
    def _spans(self) -> list[Span]:
        return list(chain(self._over, self._open))


def _present(now: float, begun: Floats, window: float) -> float:
    """Return where the picture ends: now, unless all this happened at another time."""
    latest = float(np.nanmax(begun, initial=-np.inf))
    return latest if np.isfinite(latest) and abs(now - latest) > window else now


def _spans(table: pa.Table, begun: Floats, took: Floats) -> list[Span]:
    said = [map(text, table.column(i).to_pylist()) for i in texts(table.schema)[:3]]
    said += [map(str, [""] * len(table))] * (3 - len(said))
    spans = map(Span, begun.tolist(), took.tolist(), *said)
    return [span for span in spans if np.isfinite(span.begun)]
