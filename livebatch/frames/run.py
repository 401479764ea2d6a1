"""What runs inside a task on behalf of frames: tables in, a table out.

Each takes what it is to do first and the rows of partitions last, so that it travels as a
`Builtin`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from livebatch.block import Tables
from livebatch.closures import Function, load
from livebatch.frames.kernel import kernel
from livebatch.rdd.data import Data, Flow
from livebatch.schema import Columns, arrow_schema

THIS = "this"
"""What the rows of a frame are called in SQL."""

ALL = f"SELECT * FROM {THIS}"
"""The query that leaves rows as they are."""

GONE = "gone"
"""What the states are called that leave a window."""

MARKS = "marks"
"""What the table is called by which rows are found to be late."""

Statics = Sequence[tuple[str, Function]]
"""Tables that do not stream: their names, and functions that give them."""


def queried(sql: str, columns: Columns, statics: Statics, rows: Data) -> pa.Table:
    """The result of a query over rows that have these columns."""
    this = rows if isinstance(rows, Flow) else table_of(rows, columns)
    return kernel().run(sql, {**opened(statics), THIS: this})


def whole(columns: Columns, rows: Data) -> pa.Table:
    """All rows, as they are."""
    return table_of(rows, columns)


def mapped(function: Any, columns: Columns, result: Columns, rows: Data) -> pa.Table:
    """What a function of the user's makes of rows as a DataFrame."""
    frame = function(table_of(rows, columns).to_pandas())
    return pa.Table.from_pandas(frame, arrow_schema(result), preserve_index=False)


def merged(
    sql: str,
    states: str,
    partial: str,
    columns: Columns,
    statics: Statics,
    alone: bool,
    *parts: Data,
) -> pa.Table:
    """The result of a query over the states of aggregates.

    Args:
        sql: the query; it reads the states from ``this``, their types from the table ``states``.
        states: name of that table.
        partial: the query that made the states.
        columns, statics: what that one was over.
        alone: the states of a single part are as they are to be.
        parts: the states, in the order in which they are merged.
    """
    tables = [table for part in parts if isinstance(part, Tables) for table in part.tables]
    if alone and len(tables) == 1:
        return tables[0]
    empty = {**opened(statics), THIS: arrow_schema(columns).empty_table()}
    kernel().keep_type(states, partial, empty)
    # Without any, it is as if there had been a partition without rows.
    this = pa.concat_tables(tables) if tables else kernel().run(partial, empty)
    return this if sql == ALL else kernel().run(sql, {THIS: this})


def queried_beside(
    sql: str, columns: Columns, beside: Columns, rows: Data, marks: Data
) -> pa.Table:
    """The result of a query over rows, and over the table of watermarks beside them."""
    return kernel().run(sql, {THIS: table_of(rows, columns), MARKS: table_of(marks, beside)})


def merged_beside(
    sql: str, states: str, partial: str, columns: Columns, beside: Columns, *parts: Data
) -> pa.Table:
    """The result of a query over states, and over the watermarks, which are the last part."""
    kernel().keep_type(states, partial, {THIS: arrow_schema(columns).empty_table()})
    tables = [table for part in parts[:-1] for table in part.tables]  # type: ignore[union-attr]
    marks = table_of(parts[-1], beside)
    return kernel().run(sql, {THIS: pa.concat_tables(tables), MARKS: marks})


def marked(sql: str, columns: Columns, before: Data, tops: Data) -> pa.Table:
    """The latest times of those known before and of a batch's."""
    tables = [table_of(part, columns) for part in (before, tops)]
    return kernel().run(sql, {THIS: pa.concat_tables(tables)})


def without_last(count: int, function: Any, *parts: Data) -> pa.Table:
    """What a function makes of all parts but the last, which are only to be kept."""
    table: pa.Table = function(*parts[:-count])
    return table


def divided(function: Any, count: int, rows: Data) -> list[pa.Table]:
    """Tables for so many partitions, of what a function makes of rows: its last column is a hash,
    which decides and is left out."""
    *names, hashes = (table := function(rows)).column_names
    part = table.column(hashes).to_numpy() % count
    return [table.select(names).filter(pa.array(part == i)) for i in range(count)]


def table_of(rows: Data, columns: Columns) -> pa.Table:
    """Rows that lie in tables, as one table."""
    tables = rows.tables if isinstance(rows, Tables) else ()
    return pa.concat_tables(tables) if tables else arrow_schema(columns).empty_table()


def opened(statics: Statics) -> dict[str, Any]:
    """Static tables by their names."""
    return {name: load(function)() for name, function in statics}
