"""What DuckDB makes of a query, found out where the query is written, on tables without rows."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING

from livebatch.duck import closed, moved, quoted
from livebatch.errors import QueryError
from livebatch.schema import Columns, arrow_schema

if TYPE_CHECKING:
    import duckdb

Shapes = Mapping[str, Columns]
"""The columns of tables, by the tables' names."""

lock = Lock()
"""Held while the database is used."""


def columns_of(sql: str, tables: Shapes, above: int = 0) -> Columns:
    """Return the columns of a query's result.

    Args:
        sql: the query.
        tables: what it may be over.
        above: so many lines of the query were not written by the user.

    Raises:
        QueryError: the query is wrong; the message points at the word.

    Example:
        >>> columns_of("SELECT page, avg(ms) AS ms FROM this GROUP BY page",
        ...            {"this": (("page", "VARCHAR"), ("ms", "BIGINT"))})
        (('page', 'VARCHAR'), ('ms', 'DOUBLE'))
    """
    import duckdb

    with lock:
        connection = database()
        try:
            for name, columns in tables.items():
                connection.register(name, arrow_schema(columns).empty_table())
            relation = connection.sql(sql)
            return tuple(zip(relation.columns, map(str, relation.types), strict=True))
        except duckdb.Error as error:
            raise QueryError(moved(_placed(error, sql, connection), -above)) from None
        finally:
            for name in tables:
                connection.unregister(name)


def narrowed(sql: str, columns: Columns) -> tuple[str, Columns]:
    """Return a query, and its columns, with plain integers for sums of such, which are HUGEINT.

    A sum that is too large for a BIGINT is an error.
    """
    wide = [name for name, kind in columns if kind == "HUGEINT"]
    if not wide:
        return sql, columns
    casts = ", ".join(f"CAST({quoted(name)} AS BIGINT) AS {quoted(name)}" for name in wide)
    narrow = tuple((name, "BIGINT" if name in wide else kind) for name, kind in columns)
    return f"SELECT * REPLACE ({casts}) FROM ({sql})", narrow


def _placed(error: duckdb.Error, sql: str, connection: duckdb.DuckDBPyConnection) -> str:
    """Return what an error says, with the place in the query."""
    if "\n\nLINE " in str(error):
        return str(error)
    try:
        connection.execute(sql).fetchall()  # which tells the place
    except Exception as again:
        return str(again)
    return str(error)


@cache
def database() -> duckdb.DuckDBPyConnection:
    """Return the database in which this process looks what queries would give."""
    return closed(threads=1)
