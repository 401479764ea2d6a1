"""DuckDB for one query: closed to the world, interruptible, and explaining what it refuses."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from tempfile import TemporaryDirectory
from threading import Thread
from types import TracebackType
from typing import Any

import duckdb
import pyarrow as pa

from livebatch.duck import CLOSED, PLACE, moved
from livebatch.engine.limits import cpu_count, memory_limit
from livebatch.errors import QueryError

Find = Callable[[str], Any]
"""Gives what DuckDB can scan as Arrow, by its name."""

SHARE = 0.25
"""The part of the memory that a query may use; past it, it goes on in temporary files."""

INTERRUPT_EVERY = 0.05
"""Seconds after which a query that was interrupted, and still runs, is interrupted again."""

_MISSING = re.compile(r"Catalog Error: Table with name (.*) does not exist!")
_BEFORE_IT_RUNS = (duckdb.BinderException, duckdb.CatalogException)
_HUGEINT = pa.decimal128(38, 0)


class Database:
    """A DuckDB that sees the tables it is given and nothing else: no file, network or variable.

    Args:
        find: gives the table of a name that a query uses; a `QueryError` of it is shown to the
            user with the place in the query.

    Example:
        >>> with Database({"words": pa.table({"word": ["to", "be"]})}.__getitem__) as database:
        ...     database.run("SELECT max(word) AS last FROM words").to_pylist()
        [{'last': 'to'}]
    """

    def __init__(self, find: Find) -> None:
        self._find = find
        self._found: set[str] = set()
        self._spill = TemporaryDirectory(prefix="livebatch-")
        self._connection = duckdb.connect(config=_settings(self._spill.name))

    def run(self, sql: str) -> pa.Table:
        """Return the result of a query.

        Raises:
            QueryError: it is written wrongly, cannot be carried out, or is not one statement.
            KeyboardInterrupt: it was interrupted, and has ended.
        """
        statement = self._statement(sql)
        above = sql[: max(0, sql.rfind(statement))].count("\n")
        # Which tables a query needs only DuckDB itself knows for sure, and says one by one.
        while True:
            try:
                return _plain(self._execute(statement))
            except duckdb.Error as error:
                name = self._missing(error)
                refused = moved(self._placed(error, statement), above)
            if name is None:
                raise QueryError(_advice(refused))
            self._add(name, refused)

    def close(self) -> None:
        """Forget the tables and remove the temporary files."""
        self._connection.close()
        self._spill.cleanup()

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _statement(self, sql: str) -> str:
        """Return a statement without what is above it, which DuckDB would count wrongly."""
        try:
            found = self._connection.extract_statements(sql)
        except duckdb.Error as error:
            raise QueryError(str(error)) from None
        if len(found) != 1:
            raise QueryError(f"a query is one SQL statement, not {len(found) or 'none'}")
        return str(found[0].query)

    def _missing(self, error: duckdb.Error) -> str | None:
        """Return the name of the table that was not there, unless it was looked for already."""
        match = _MISSING.match(str(error))
        return None if match is None or match[1] in self._found else match[1]

    def _placed(self, error: duckdb.Error, sql: str) -> str:
        """Return what an error says, with the place in the query."""
        if isinstance(error, _BEFORE_IT_RUNS) and not PLACE.search(str(error)):
            try:
                self._connection.execute(sql)  # which tells the place, but copies results
            except duckdb.Error as again:
                return str(again)
        return str(error)

    def _add(self, name: str, refused: str) -> None:
        self._found.add(name)
        try:
            self._connection.register(name, self._find(name))
        except QueryError as error:
            place = PLACE.search(refused)
            raise QueryError(f"{error}{place[0] if place else ''}") from None
        except duckdb.Error as error:
            raise QueryError(f"{name} cannot be queried: {error}") from None

    def _execute(self, sql: str) -> pa.Table:
        # In a thread of its own, since DuckDB looks for signals only between long steps.
        answer: Future[pa.Table] = Future()
        try:
            Thread(target=self._answer, args=[sql, answer], daemon=True).start()
            return answer.result()
        except KeyboardInterrupt:
            if not answer.cancel():
                self._interrupt(answer)
            raise KeyboardInterrupt("the query was interrupted") from None

    def _answer(self, sql: str, answer: Future[pa.Table]) -> None:
        if not answer.set_running_or_notify_cancel():
            return
        try:
            relation: Any = self._connection.sql(sql)
            answer.set_result(pa.table({}) if relation is None else relation.to_arrow_table())
        except BaseException as error:
            answer.set_exception(error)

    def _interrupt(self, answer: Future[pa.Table]) -> None:
        """End the query that runs; whoever interrupts again must wait for that too."""
        while not answer.done():
            with suppress(KeyboardInterrupt):
                # What comes before DuckDB has begun is lost, so once is not enough.
                self._connection.interrupt()
                wait([answer], INTERRUPT_EVERY)


def memory_share() -> int:
    """Return how many bytes a query may use."""
    return int(memory_limit() * SHARE)


def _settings(spill: str) -> dict[str, Any]:
    return {
        **CLOSED,
        "lock_configuration": True,
        "temp_directory": spill,
        "threads": max(1, cpu_count() // 2),
        "memory_limit": f"{memory_share()}B",
    }


def _plain(table: pa.Table) -> pa.Table:
    """Return a table with plain integers where sums of them are not too large."""
    for place, field in enumerate(table.schema):
        if field.type == _HUGEINT:
            try:
                numbers = table.column(place).cast(pa.int64())
            except pa.ArrowInvalid:
                continue
            table = table.set_column(place, field.name, numbers)
    return table


def _advice(refused: str) -> str:
    if not refused.startswith("Out of Memory"):
        return refused
    return f"{refused}\nAsk for fewer batches: last=, batches=."
