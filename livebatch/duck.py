"""DuckDB, closed to the world, and what it says of a query that it refuses.

DuckDB is imported when it is first needed: by workers and by whoever asks, never by the engine.
"""

from __future__ import annotations

import atexit
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import ref

if TYPE_CHECKING:
    import duckdb

CLOSED: dict[str, Any] = {
    "python_enable_replacements": False,
    "enable_external_access": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
"""A DuckDB with these settings sees the tables it is given: no file, network or variable."""

PLACE = re.compile(r"\n\nLINE (?P<line>\d+): (?P<text>.*)\n(?P<caret>.*)", re.DOTALL)
"""Where in a query an error is, at the end of what DuckDB says."""


def closed(**settings: Any) -> duckdb.DuckDBPyConnection:
    """Return a connection to a database of its own, whose clocks show UTC.

    >>> closed(threads=1).sql("SELECT 1 + 1").fetchall()
    [(2,)]
    """
    import duckdb

    connection = duckdb.connect(config=CLOSED | settings)
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    connection.execute("SET GLOBAL lock_configuration = true")
    atexit.register(_close, ref(connection))  # one with functions complains if it is left open
    return connection


def _close(connection: ref[duckdb.DuckDBPyConnection]) -> None:
    if (found := connection()) is not None:
        found.close()


def create_function(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    function: Callable[..., Any],
    parameters: Sequence[str],
    returns: str,
    vectorized: bool,
) -> None:
    """Have SQL call a Python function, in place of the one that has the name.

    Args:
        connection: whose SQL.
        name: what it is called there.
        function: takes values, or Arrow arrays if it is ``vectorized``.
        parameters, returns: their SQL types.
        vectorized: whether it is called with arrays.
    """
    import duckdb

    with suppress(duckdb.Error):
        connection.remove_function(name)
    kind: Any = "arrow" if vectorized else "native"
    types: Any = [duckdb.sqltype(parameter) for parameter in parameters]
    connection.create_function(name, function, types, duckdb.sqltype(returns), type=kind)


def quoted(name: str) -> str:
    """Return a name as SQL writes it, whatever is in it.

    >>> print(quoted('my "column"; DROP TABLE x'))
    "my ""column""; DROP TABLE x"
    """
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def moved(refused: str, lines: int) -> str:
    """Return what an error says, with the place so many lines further down."""
    place = PLACE.search(refused)
    if place is None:
        return refused
    before, after = f"LINE {place['line']}: ", f"LINE {int(place['line']) + lines}: "
    margin = len(after) - len(before)
    caret = " " * margin + place["caret"] if margin >= 0 else place["caret"][-margin:]
    return f"{refused[: place.start()]}\n\n{after}{place['text']}\n{caret}"
