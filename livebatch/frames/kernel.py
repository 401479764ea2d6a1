"""The DuckDB of a process that runs tasks: one connection, one thread, closed to the world."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from threading import RLock
from typing import Any

import pyarrow as pa

from livebatch import scratch
from livebatch.duck import closed, create_function, quoted
from livebatch.frames.prepared import Prepared, Seat
from livebatch.rdd.data import Flow

SHARE = 0.5
"""The part of a process's memory that its DuckDB may take; past it, it goes on in files."""


FEW = 10_000
"""To copy fewer rows once more costs less than to plan their query again."""

SMALL = 100_000
"""Tables of fewer rows are joined as well by a plan that does not know how many there are."""

MOST = 128
"""So many plans are kept."""


class Kernel:
    """Runs queries over the tables that it is given, one at a time.

    Example:
        >>> numbers = pa.table({"n": [1, 2]})
        >>> Kernel().run("SELECT max(n) AS n FROM this", {"this": numbers}).to_pylist()
        [{'n': 2}]
    """

    def __init__(self) -> None:
        limit, settings = scratch.memory.limit, dict[str, Any](threads=1)
        if limit is not None:
            settings["memory_limit"] = f"{int(SHARE * limit)}B"
        if scratch.memory.directory is not None:
            settings["temp_directory"] = scratch.memory.directory
        self._connection = closed(**settings)
        self._lock = RLock()
        self._typed: set[str] = set()
        self._functions: dict[str, str] = {}
        self._prepared: dict[tuple[Any, ...], Prepared] = {}  # the last used last

    def run(self, sql: str, tables: Mapping[str, Any]) -> pa.Table:
        """Return the result of a query over tables by their names."""
        with ExitStack() as stack:
            for table in tables.values():
                if isinstance(table, Flow):
                    stack.enter_context(table)
            if len(tables) == 1 or all(map(_is_small, tables.values())):
                return self._run_again(sql, tables)
            stack.enter_context(self._seeing(tables))  # how large each is matters for the plan
            return self._connection.sql(sql).to_arrow_table()

    def _run_again(self, sql: str, tables: Mapping[str, Any]) -> pa.Table:
        """Return the result of a query, from its plan if it has given few rows."""
        key = sql, *((name, table.schema) for name, table in tables.items())
        with self._lock:
            known = self._prepared.pop(key, None)
            if known is not None:
                found = known.run(tables)
            else:
                with self._seeing({name: Seat(table) for name, table in tables.items()}):
                    found = self._connection.sql(sql).to_arrow_table()
            if len(found) < FEW:
                self._prepared[key] = known or Prepared(self._connection.cursor(), sql, tables)
                if len(self._prepared) > MOST:
                    self._prepared.pop(next(iter(self._prepared))).close()
        return found

    def keep_type(self, name: str, sql: str, tables: Mapping[str, Any]) -> None:
        """Have an empty table of a query's columns: the states of aggregates, which are plain
        values in Arrow, are states again beside it in a union.

        Args:
            name: of that table; the same for the same query.
            sql: the query.
            tables: what it is over, by their names.
        """
        if name in self._typed:
            return
        with self._seeing(tables):
            columns = f"SELECT * FROM ({sql}) LIMIT 0"
            self._connection.execute(f"CREATE OR REPLACE TABLE {quoted(name)} AS {columns}")
        self._typed.add(name)

    def keep_function(
        self,
        name: str,
        key: str,
        function: Callable[..., Any],
        parameters: Sequence[str],
        returns: str,
        vectorized: bool,
    ) -> None:
        """Have SQL call a function, unless it does already; ``key`` tells one from others."""
        if self._functions.get(name) != key:
            with self._lock:
                create_function(self._connection, name, function, parameters, returns, vectorized)
                self._prepared.clear()
            self._functions[name] = key

    @contextmanager
    def _seeing(self, tables: Mapping[str, Any]) -> Iterator[None]:
        with self._lock:
            try:
                for name, table in tables.items():
                    self._connection.register(name, table)
                yield
            finally:  # what is mapped must not stay so
                for name in tables:
                    self._connection.unregister(name)


def _is_small(table: Any) -> bool:
    return isinstance(table, pa.Table) and len(table) < SMALL


@cache
def kernel() -> Kernel:
    """Return the kernel of this process."""
    return Kernel()
