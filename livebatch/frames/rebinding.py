"""A named frame that is replaced by one with other columns: whose queries that would break."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from livebatch.closures import Builtin
from livebatch.errors import DefinitionError, QueryError
from livebatch.frames.check import columns_of
from livebatch.frames.frame import Frame
from livebatch.frames.run import THIS
from livebatch.schema import Columns
from livebatch.stream import DStream

QUERIES = {"queried", "queried_beside"}
"""Functions of tasks that carry out a query, their first argument, on the rows of a frame."""


def check_replacement(name: str, new: DStream[Any], streams: Mapping[str, DStream[Any]]) -> None:
    """Check that the queries over a named frame mean the same over what replaces it.

    Args:
        name: of the frame.
        new: what replaces it.
        streams: the named streams.

    Raises:
        DefinitionError: they do not; the message names the streams whose queries they are.
    """
    old = streams.get(name)
    if not isinstance(old, Frame):
        return
    columns = new.columns if isinstance(new, Frame) else ()
    if columns == old.columns:
        return
    broken = [
        child
        for child, stream in streams.items()
        if child != name
        and not all(_same(sql, old.columns, columns) for sql in _over(name, stream))
    ]
    if broken:
        now = ", ".join(f"{column} {kind}" for column, kind in columns) or "none that are known"
        raise DefinitionError(
            f"{name} would have other columns ({now}), with which the queries of "
            f"{', '.join(broken)} are not what they were: stop those first, or keep the columns"
        )


def _over(name: str, stream: DStream[Any]) -> Iterator[str]:
    """Yield the queries over a named frame that a stream is computed by, itself and what has no
    name of its own."""
    stack, seen = [stream], {stream.id}
    while stack:
        node = stack.pop()
        if any(parent.name == name for parent in node.parents):
            yield from _queries(vars(node).values())
        fresh = [p for p in node.parents if p.name is None and p.id not in seen]
        seen.update(parent.id for parent in fresh)
        stack.extend(fresh)


def _queries(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        if isinstance(value, Builtin):
            if value.name in QUERIES:
                yield value.args[0]
            yield from _queries(value.args)


def _same(sql: str, old: Columns, new: Columns) -> bool:
    """Return whether a query gives the same columns over other ones."""
    try:
        before = columns_of(sql, {THIS: old})
    except QueryError:  # it is over other tables, too
        return set(old) <= set(new)
    try:
        return columns_of(sql, {THIS: new}) == before
    except QueryError:
        return False
