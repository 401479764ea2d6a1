"""Queries that are planned once, however many batches they are over."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    import duckdb


class Seat:
    """What a query has for its table: another one each time, of the same columns.

    That it does not say how many rows there are keeps the plan, and with it the order of what comes
    out, the same for all of them.
    """

    def __init__(self, table: Any) -> None:
        self.schema: pa.Schema = table.schema
        self.table = table

    def __arrow_c_schema__(self) -> object:
        return self.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)


class Prepared:
    """A query over tables.

    Args:
        connection: of its own, so that no other query's table has the same name.
        sql: the query.
        tables: some with the same columns, by their names.

    Example:
        >>> from livebatch.duck import closed
        >>> tables = [pa.table({"n": numbers}) for numbers in ([1, 2], [3])]
        >>> query = Prepared(closed(), "SELECT max(n) AS n FROM this", {"this": tables[0]})
        >>> [query.run({"this": table}).to_pylist() for table in tables]
        [[{'n': 2}], [{'n': 3}]]
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, sql: str, tables: Mapping[str, Any]
    ) -> None:
        self._connection = connection
        self._seats = {name: Seat(table) for name, table in tables.items()}
        for name, seat in self._seats.items():
            connection.register(name, seat)
        connection.execute(f"PREPARE query AS {sql}")
        self._clear()

    def run(self, tables: Mapping[str, Any]) -> pa.Table:
        """Return the result over tables; of large ones this makes one more copy."""
        for name, seat in self._seats.items():
            seat.table = tables[name]
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Arrow output on a DB-API result")
                return self._connection.execute("EXECUTE query").to_arrow_table()
        finally:
            self._clear()

    def _clear(self) -> None:
        """Let go of the tables: what is mapped must not stay so."""
        for seat in self._seats.values():
            seat.table = None

    def close(self) -> None:
        """Forget the plan."""
        self._connection.close()
