"""From streams of Python objects, lines or tables to frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pyarrow as pa

from livebatch.closures import builtin, ship
from livebatch.columns import from_rows
from livebatch.errors import DefinitionError
from livebatch.frames import run
from livebatch.frames.drift import SKIP, check_policy
from livebatch.frames.frame import Frame, check_names, known, method
from livebatch.frames.framed import framed
from livebatch.frames.readers import READERS
from livebatch.schema import Columns, written
from livebatch.stream import DStream, operator

INFER = "infer"


@operator
def to_frame(
    self: DStream[Any],
    schema: pa.Schema | Mapping[str, Any] | str | None = None,
    format: str = "rows",
    on_drift: str = SKIP,
) -> Frame:
    """Return a frame of this stream's records.

    Streams change: a record that lacks a column has NULL there; what it has besides is ignored,
    which is logged once. One with a value that is not of its column's type is left out, counted
    and kept with the stream's ``errors``; ``on_drift`` says whether too many of them fail a batch.

    Args:
        schema: the columns' names and types, those of SQL (``{"page": "VARCHAR"}``) or of Arrow.
            Streams that give tables know theirs: it need not be said. ``"infer"``: as in the
            newest batch of this stream, which must have a name and have run for a while.
        format: ``"rows"``: records are dicts, dataclasses, named tuples, or tuples and single
            values, whose columns are taken in order; ``"json"``: lines with a JSON object each;
            ``"csv"``: lines of values with commas between them.
        on_drift: ``"skip"``: go on without records that do not fit, however many they are;
            ``"fail"``: they are as records that functions raise on, of which over 1 % fail a batch.

    Raises:
        DefinitionError: the columns are not known, or there is no such type, format or policy.

    Example:
        >>> from livebatch.testing import ManualContext, collected
        >>> with ManualContext("1s") as ssc:
        ...     lines = ssc.queue_stream([['{"page": "a", "ms": 5}', '{"page": "b"}']])
        ...     rows = collected(lines.to_frame({"page": "VARCHAR", "ms": "BIGINT"}, "json"))
        ...     ssc.start()
        ...     ssc.advance("1s")
        ...     rows
        [[{'page': 'a', 'ms': 5}, {'page': 'b', 'ms': None}]]
    """
    if isinstance(self, Frame) and schema is None:
        return self
    if format not in READERS:
        raise DefinitionError(f"format is one of {', '.join(READERS)}, not {format!r}")
    check_policy(on_drift)
    columns = check_names(_columns(self, schema, format))
    said = "" if schema is None else ", ".join(f"{name} {kind}" for name, kind in columns)
    label = f"to_frame({said})"
    function = builtin(framed, format, columns, on_drift)
    return known(Frame([self], self.slide, label, columns, function))


def _columns(stream: DStream[Any], schema: Any, format: str) -> Columns:
    if schema is None:
        if stream.schema is None:
            raise DefinitionError(
                'the columns of this stream are not known: say them, as in to_frame({"page": '
                f'"VARCHAR", "ms": "BIGINT"}}), or have them found out with to_frame("{INFER}")'
            )
        return written(stream.schema)
    if schema != INFER if isinstance(schema, str) else True:
        return written(schema)
    rows = stream.latest().collect()
    if format == "csv":
        raise DefinitionError("lines of CSV do not tell the names of their columns: say a schema")
    if not rows:
        raise DefinitionError("the newest batch has no rows to tell the columns from")
    return written(from_rows([msgspec.json.decode(row) for row in rows]
                             if format == "json" else rows).schema)  # fmt: skip


@method
def map_frames(
    self: Frame,
    func: Callable[[Any], Any],
    schema: pa.Schema | Mapping[str, Any] | None = None,
) -> Frame:
    """Apply a function of pandas to each partition.

    Args:
        func: takes a DataFrame and gives one.
        schema: the columns of what it gives; those of this frame if not told.

    Example:
        ``frame.map_frames(lambda df: df.assign(ms=df.ms.clip(upper=1000)))``

    Raises:
        ClosureError: ``func`` cannot be sent to the workers.
    """
    columns = self.columns if schema is None else check_names(written(schema))
    shipped = ship(func)
    function = builtin(run.mapped, shipped, self.columns, columns)
    return known(Frame([self], self.slide, f"map_frames({shipped.name})", columns, function))
