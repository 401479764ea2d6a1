"""Tables that do not stream, joined to frames that do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from livebatch.clock import stopwatch
from livebatch.closures import ship_value
from livebatch.duck import quoted
from livebatch.errors import DefinitionError
from livebatch.frames import run
from livebatch.frames.frame import Frame, Static, Statics, check_names, method, query
from livebatch.schema import Columns, arrow_schema, written


def statics_of(tables: Mapping[str, Any]) -> Statics:
    """Return tables that a user gives, by their names.

    Raises:
        DefinitionError: one is no table, or is called ``this``.
    """
    for name in tables:
        if name.lower() == run.THIS:
            raise DefinitionError(f"{run.THIS} is the frame itself: give the table another name")
    return {name: static(table, name) for name, table in tables.items()}


def static(data: Any, name: str = "the table") -> Static:
    """Return a table that a user gives: an Arrow table, a data frame, or a dict of columns.

    Raises:
        DefinitionError: it is no table.
    """
    if isinstance(data, Static):
        return data
    try:
        table = pa.table(data)
    except (TypeError, pa.ArrowException) as error:
        kind = type(data).__name__
        raise DefinitionError(f"{name} must be a table, not {kind} ({error})") from error
    columns = check_names(written(table.schema))
    table = table.cast(arrow_schema(columns))
    return Static(columns, ship_value(Held(table), name))


class Held:
    """A table on its way to the workers, which call it to have it."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __call__(self) -> pa.Table:
        return self._table


class Reloaded:
    """A table that each worker loads anew when it has had it for a while."""

    def __init__(self, load: Callable[[], Any], columns: Columns, seconds: float) -> None:
        self._load, self._columns, self._seconds = load, columns, seconds
        self._table: pa.Table | None = None
        self._loaded = 0.0

    def __call__(self) -> pa.Table:
        if self._table is None or stopwatch() - self._loaded >= self._seconds:
            names = [name for name, _ in self._columns]
            table = pa.table(self._load()).select(names)
            self._table, self._loaded = table.cast(arrow_schema(self._columns)), stopwatch()
        return self._table


def reloaded(load: Callable[[], Any], seconds: float) -> Static:
    """Return a table that a function of the user's gives, whenever it is old; see
    `StreamingContext.table`.

    Raises:
        DefinitionError: it gives no table.
    """
    columns = static(load()).columns
    return Static(columns, ship_value(Reloaded(load, columns, seconds), "the table"))


@method
def join(self: Frame, other: Any, on: str, how: str = "inner") -> Frame:
    """Join the rows of each batch with a table that does not stream.

    Args:
        other: an Arrow table, a data frame, a dict of columns, or `ssc.table`.
        on: the columns that must be equal: ``"page"`` or ``"page, country"``; or a condition, in
            which the two are called ``this`` and ``other``: ``"this.page = other.id"``.
        how: ``"inner"`` or ``"left"``.

    Raises:
        QueryError: a column is not there, or the condition is wrong.
        DefinitionError: ``other`` is no table, or there is no such kind of join.

    Example:
        >>> from livebatch.testing import ManualContext
        >>> with ManualContext() as ssc:
        ...     frame = ssc.queue_stream().to_frame({"page": "VARCHAR"})
        ...     frame.join({"page": ["a"], "title": ["About"]}, "page").columns
        (('page', 'VARCHAR'), ('title', 'VARCHAR'))
    """
    if how not in ("inner", "left"):
        raise DefinitionError(f'how is "inner" or "left", not {how!r}')
    statics = {"other": static(other, "other")}
    names = [name.strip() for name in on.split(",")]
    known = {name.casefold() for name, _ in statics["other"].columns}
    equal = all(name.casefold() in known for name in names)
    how_on = f"USING ({', '.join(map(quoted, names))})" if equal else f"ON (\n{on}\n)"
    sql = f"SELECT * FROM {run.THIS} {how.upper()} JOIN other {how_on}"
    return query(self, f"join({on})", sql, statics, above=0 if equal else 1)
