"""The newest batch as a table."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from livebatch.widgets.cells import preview
from livebatch.widgets.chart import Chart, Order, Picture

ROWS = 50


class TableChart(Chart):
    """Shows the first rows of the newest batch, sorted as the reader wants, and says how many there
    are."""

    bokeh = False
    past = windowed = False

    def __init__(self, name: str, window: float) -> None:
        super().__init__(name, window)
        self._table = pa.table({})
        self._order: Order | None = None

    def add(self, time: datetime, table: pa.Table) -> None:
        self._table = table

    def sort(self, order: Order | None) -> bool:
        self._order = order
        return True

    def frame(self, *, key: bool) -> Picture:
        places = self._places()
        first = self._table if places is None else self._table.take(places[:ROWS])
        shown = preview(first, ROWS)
        return {
            "names": shown.names,
            "numeric": shown.numeric,
            "rows": shown.rows,
            "total": self._table.num_rows,
            "order": None if places is None else self._order,
        }, []

    def rows(self) -> pa.Table:
        places = self._places()
        return self._table if places is None else self._table.take(places)

    def _places(self) -> pa.Array | None:
        """Return the rows' places in order, what is not known last; None: as they are."""
        if self._order is None or self._order[0] >= self._table.num_columns:
            return None
        column, way = self._order
        try:
            return pc.sort_indices(_plain(self._table.column(column)), sort_keys=[("", way)])
        except pa.ArrowException:  # lists, structs and the like have no order
            return None


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(column.type.value_type) if pt.is_dictionary(column.type) else column
