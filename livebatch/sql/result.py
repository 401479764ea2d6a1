"""The result of a query, and how it shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from livebatch.columns import distinct
from livebatch.interval import Millis, to_datetime

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 50
"""So many rows are shown."""

WIDEST = 80
"""So many letters are shown of a value."""

_PLAN = ["explain_key", "explain_value"]
_LEFT = ' style="text-align: left"'


@dataclass(frozen=True)
class Origin:
    """The batches of one stream that a query saw.

    Attributes:
        stream: its name.
        batches: how many.
        first, last: times of the oldest and the newest, milliseconds since 1970 UTC.
    """

    stream: str
    batches: int
    first: Millis
    last: Millis

    def __str__(self) -> str:
        first, last = f"{to_datetime(self.first):%H:%M:%S}", f"{to_datetime(self.last):%H:%M:%S}"
        when = first if first == last else f"{first}–{last}"
        return f"{_counted(self.batches, 'batch', 'batches')} of {self.stream}, {when}"


class Result:
    """Rows that a query gave. They are a copy, which no later batch changes.

    Args:
        table: the rows.
        origins: what the query saw.
        seconds: how long it took.

    Example:
        >>> Result(pa.table({"word": ["to", None], "n": [2, 1]}), (), 0.012)
        word  n
        ----  -
        to    2
        NULL  1
        2 rows · 12 ms
    """

    def __init__(self, table: pa.Table, origins: Sequence[Origin], seconds: float) -> None:
        self.table = table.rename_columns(distinct(tuple(table.column_names)))
        self.origins, self.seconds = tuple(origins), seconds

    def to_arrow(self) -> pa.Table:
        """Return the rows as an Arrow table."""
        return self.table

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows as a DataFrame."""
        frame: pd.DataFrame = self.table.to_pandas()
        return frame

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the rows, each a dict."""
        for batch in self.table.to_batches():
            yield from batch.to_pylist()

    def __repr__(self) -> str:
        if self._is_plan:
            return f"{self._plan()}\n{self._summary()}"
        columns = [
            _aligned([name, *shown], field.type)
            for name, shown, field in zip(
                self.table.column_names, self._shown(), self.table.schema, strict=True
            )
        ]
        lines = ["  ".join(line).rstrip() for line in zip(*columns, strict=True)]
        return "\n".join([*lines, self._summary()])

    def _repr_html_(self) -> str:
        summary = f"<small>{escape(self._summary())}</small>"
        if self._is_plan:
            return f"<pre>{escape(self._plan())}</pre>{summary}"
        styles = ["" if _is_number(field.type) else _LEFT for field in self.table.schema]
        rows = [_row("td", row, styles) for row in zip(*self._shown(), strict=True)]
        head = _row("th", self.table.column_names, styles)
        table = f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"
        return f"{table}{summary}"

    @property
    def _is_plan(self) -> bool:
        return list(self.table.column_names) == _PLAN

    def _plan(self) -> str:
        return "\n".join(self.table.column("explain_value").to_pylist()).rstrip()

    def _shown(self) -> list[list[str]]:
        head = self.table.slice(0, SHOWN)
        return [[_written(value) for value in column.to_pylist()] for column in head.columns]

    def _summary(self) -> str:
        rows = _counted(len(self), "row", "rows")
        if len(self) > SHOWN and not self._is_plan:
            rows = f"{rows} ({SHOWN} shown)"
        return " · ".join([rows, _took(self.seconds), *map(str, self.origins)])


def _row(tag: str, cells: Any, styles: list[str]) -> str:
    made = (
        f"<{tag}{style}>{escape(text)}</{tag}>" for text, style in zip(cells, styles, strict=True)
    )
    return f"<tr>{''.join(made)}</tr>"


def _aligned(texts: list[str], kind: pa.DataType) -> list[str]:
    """Return a column with a line under its name, all of one width."""
    width = max(map(len, texts))
    pad = str.rjust if _is_number(kind) else str.ljust
    name, *rest = (pad(text.replace("\n", " "), width) for text in texts)
    return [name, "-" * width, *rest]


def _is_number(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def _written(value: Any) -> str:
    if value is None:
        return "NULL"
    text = f"{value:.10g}" if isinstance(value, float) else str(value)
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"


def _took(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
