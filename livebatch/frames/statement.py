"""Whole SELECTs over streams and tables that go by their own names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from livebatch.errors import DefinitionError, NotRunning, QueryError
from livebatch.frames.check import columns_of
from livebatch.frames.convert import INFER
from livebatch.frames.frame import Frame
from livebatch.frames.run import THIS
from livebatch.frames.static import static
from livebatch.frames.syntax import Node, parse, replaced_tables, walk, written
from livebatch.interval import Duration
from livebatch.stream import DStream


def stream_of_sql(
    text: str,
    names: Mapping[str, Any],
    window: Duration | None = None,
    slide: Duration | None = None,
) -> Frame:
    """Return the frame of a SELECT over one stream, and tables that do not stream.

    Args:
        text: the SELECT.
        names: what its tables may be: streams, Arrow tables, data frames.
        window: what it is over, such as ``"30s"``; each batch if not told.
        slide: how often; every batch if not told.

    Raises:
        QueryError: it is wrong; the message points at the word.
        DefinitionError: the columns of its stream are not known.

    Example:
        >>> from livebatch.testing import ManualContext
        >>> with ManualContext() as ssc:
        ...     views = ssc.queue_stream().to_frame({"page": "VARCHAR", "ms": "BIGINT"})
        ...     sql = "SELECT page, max(ms) AS ms FROM views GROUP BY page"
        ...     stream_of_sql(sql, {"views": views}, "30s", "1s").columns
        (('page', 'VARCHAR'), ('ms', 'BIGINT'))
    """
    tree = parse(text)
    used = {name: _named(name, names) for name in _tables(tree)}
    streams = {name: found for name, found in used.items() if isinstance(found, DStream)}
    if len(streams) != 1:
        found = ", ".join(streams) or "none"
        raise QueryError(f"a stream's query is over one stream, and tables: it names {found}")
    [(name, stream)] = streams.items()
    frame = _framed(stream)
    tables = {key: static(value, key) for key, value in used.items() if key != name}
    shapes = {key: table.columns for key, table in tables.items()}
    columns_of(text, {**shapes, name: frame.columns})
    if window is not None:
        frame = frame.window(window, slide)
    sql = written(replaced_tables(tree, {name: THIS}))
    made: Frame = frame.sql(sql, **tables)
    return made


def _tables(tree: Node) -> Iterable[str]:
    """Return the names of a query's tables, each once, but for those that it makes itself."""
    own = {entry["key"].casefold() for node in walk(tree) if "map" in node for entry in node["map"]}
    found = (node["table_name"] for node in walk(tree) if node.get("type") == "BASE_TABLE")
    return dict.fromkeys(name for name in found if name.casefold() not in own)


def _named(name: str, names: Mapping[str, Any]) -> Any:
    """Return what a query means by the name of a table, whatever its case."""
    if name in names:
        return names[name]
    alike = [key for key in names if key.casefold() == name.casefold()]
    if len(alike) == 1:
        return names[alike[0]]
    streams = ", ".join(key for key, found in names.items() if isinstance(found, DStream))
    raise QueryError(f"there is no stream or table {name}; streams: {streams or 'none'}")


def _framed(stream: DStream[Any]) -> Frame:
    """Return a stream as a frame: its columns are known, or those of its newest batch."""
    if isinstance(stream, Frame) or stream.schema is not None:
        return stream.to_frame()  # type: ignore[no-any-return]
    try:
        found: Frame = stream.to_frame(INFER)
    except (NotRunning, DefinitionError) as error:
        raise DefinitionError(
            f"the columns of {stream.name} are not known yet ({error}): make a frame of it, as "
            f'{stream.name}.to_frame({{"page": "VARCHAR"}})'
        ) from None
    return found
