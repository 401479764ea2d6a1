"""The first rows of a table as short texts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

import pyarrow as pa

from livebatch.widgets.columns import numbers

COLUMNS = 40
LETTERS = 200


@dataclass(frozen=True, slots=True)
class Preview:
    """The top left corner of a table.

    Args:
        names: the columns' names.
        numeric: positions of the columns to align right.
        rows: texts, row by row.
        total: how many rows the table has.
    """

    names: list[str]
    numeric: list[int]
    rows: list[list[str]]
    total: int


def preview(table: pa.Table, rows: int) -> Preview:
    """The first ``rows`` rows of a table, written for people.

    Example:
        >>> preview(pa.table({"page": ["/a", None], "ms": [1.50, 1e-9]}), rows=50).rows
        [['/a', '1.5'], ['–', '1e-09']]
    """
    corner = table.select(range(min(table.num_columns, COLUMNS))).slice(0, rows)
    columns = [[text(value) for value in column.to_pylist()] for column in corner.columns]
    return Preview(
        names=[short(name) for name in corner.column_names],
        numeric=numbers(corner.schema),
        rows=[list(row) for row in zip(*columns, strict=True)],
        total=table.num_rows,
    )


def text(value: Any, letters: int = LETTERS) -> str:
    """One value for people to read: short, and the same width when it can be.

    Example:
        >>> text(0.1 + 0.2), text(1234567.0), text(None), text(b"x")
        ('0.3', '1,234,567', '–', "b'x'")
    """
    if value is None:
        return "–"
    if isinstance(value, float):
        plain = 1e-3 <= abs(value) < 1e15
        return f"{value:,.4f}".rstrip("0").rstrip(".") if plain else f"{value:.4g}"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="milliseconds")
    return short(str(value), letters)


def short(value: str, letters: int = LETTERS) -> str:
    """The beginning of a long text."""
    return value if len(value) <= letters else value[: letters - 1] + "…"


def html(title: str, corner: Preview | None, picture: str = "") -> str:
    """What needs no script: a table under a picture, if there is one, for exported, untrusted and
    remote notebooks."""
    caption = f"<p><b>{escape(title)}</b></p>"
    if corner is None:
        return f"{caption}<p>A live view; there was no data yet when this was saved.</p>"
    head = "".join(f"<th>{escape(name)}</th>" for name in corner.names)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in corner.rows
    )
    count = f"<p>{len(corner.rows)} of {corner.total:,} rows</p>"
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return caption + picture + table + count
