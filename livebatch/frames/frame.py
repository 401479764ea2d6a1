"""StreamingDataFrame: a live stream of tables whose columns are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from livebatch.closures import Builtin, Function, builtin
from livebatch.errors import DefinitionError
from livebatch.frames import run
from livebatch.frames.check import Shapes, columns_of, narrowed
from livebatch.frames.functions import calling
from livebatch.frames.parts import within
from livebatch.interval import Millis
from livebatch.rdd import RDD
from livebatch.rdd.operation import Tabled
from livebatch.schema import Columns, arrow_schema
from livebatch.stream import DStream, context_of, lift


class Static(NamedTuple):
    """A table that does not stream: its columns, and a function that gives it."""

    columns: Columns
    function: Function


Statics = Mapping[str, Static]


class Source(NamedTuple):
    """What a frame's rows can be computed from within another query.

    Attributes:
        frame: the frame whose rows are ``this`` in the query.
        inner: the query; empty if the rows are that frame's own.
        statics: the other tables that it uses.
    """

    frame: StreamingDataFrame
    inner: str
    statics: Statics


class Sliding(NamedTuple):
    """A window: how far back it looks over which frame, and how often, in milliseconds."""

    frame: StreamingDataFrame
    length: Millis
    slide: Millis


class StreamingDataFrame(DStream[dict[str, Any]]):
    """A live stream of Arrow tables, whose columns are known where it is written.

    Frames come from `DStream.to_frame` and from the methods of other frames. Expressions are SQL
    (DuckDB's); a wrong name or type is refused where it is written. Whatever a frame has as a
    stream works too: rows that a Python function sees are dicts.

    Attributes:
        columns: names and SQL types.
        source: what its rows can be computed from in one query, where they can.
        sliding: the window that it is, if it is one.
        notes: how it is computed, in words and queries, for `explain`.

    Example:
        >>> from livebatch.testing import ManualContext, collected
        >>> with ManualContext("1s") as ssc:
        ...     views = ssc.queue_stream([[("a", 10), ("b", 20), ("a", 50)]])
        ...     frame = views.to_frame({"page": "VARCHAR", "ms": "BIGINT"})
        ...     slow = collected(frame.filter("ms > 15").group_by("page").agg(ms="max(ms)"))
        ...     ssc.start()
        ...     ssc.advance("1s")
        ...     sorted(slow[0], key=str)
        [{'page': 'a', 'ms': 50}, {'page': 'b', 'ms': 20}]
    """

    reaches_back = True

    def __init__(
        self,
        parents: Sequence[DStream[Any]],
        slide: Millis,
        label: str,
        columns: Columns,
        function: Function,
        gathers: bool = False,
    ) -> None:
        super().__init__(parents, slide, label, columns, function, gathers)
        self.label, self.columns = label, columns
        self.function, self.gathers = function, gathers
        self.source: Source | None = None
        self.sliding: Sliding | None = None
        self.notes = ""

    def compute(self, time: Millis) -> RDD[Any] | None:
        rdds = [rdd for parent in self.parents if (rdd := parent.rdd_at(time)) is not None]
        if len(rdds) < len(self.parents):
            return None
        return RDD(Tabled(self.function, False, self.gathers), rdds)

    def rows(self) -> DStream[dict[str, Any]]:
        """Return the stream of this frame's rows, each a dict, for functions of Python.

        Example:
            ``frame.rows().map(lambda row: row["page"].upper())``
        """
        return lift(self, "union")

    def explain(self) -> None:
        """Print how this frame is computed: the streams, and the queries of its aggregates."""
        super().explain()  # type: ignore[misc]
        if self.notes:
            context_of(self).write(self.notes)

    def __repr__(self) -> str:
        columns = ", ".join(f"{name} {kind}" for name, kind in self.columns)
        return f"<StreamingDataFrame {self.name or self.id}: {columns}>"


Frame = StreamingDataFrame
F = TypeVar("F", bound=Callable[..., Any])
Made = TypeVar("Made", bound=StreamingDataFrame)


def method(function: F) -> F:
    """Make a function whose first argument is a frame a method of every frame."""
    setattr(StreamingDataFrame, function.__name__, function)
    return function


def known(frame: Made) -> Made:
    """Return a frame that knows its Arrow schema, which takes DuckDB: not for the engine."""
    frame.schema = arrow_schema(frame.columns)
    return frame


def shapes(frame: Frame, statics: Statics) -> Shapes:
    """Return the columns of all tables that a query over a frame may use."""
    return {**{name: static.columns for name, static in statics.items()}, run.THIS: frame.columns}


def given(statics: Statics) -> run.Statics:
    """Return static tables in the form in which they travel."""
    return [(name, static.function) for name, static in statics.items()]


def queried(sql: str, columns: Columns, statics: Statics) -> Builtin:
    """Return the task's function that carries out a query over rows with these columns."""
    return calling(sql, builtin(run.queried, sql, columns, given(statics)))


def source_of(frame: Frame, statics: Statics) -> Source:
    """Return what a frame's rows are computed from in the same query as what is made of them.

    A frame with a name is computed anyhow, so what is made of it begins there.
    """
    source = frame.source
    if source is None or frame.name is not None:
        return Source(frame, "", statics)
    clash = [name for name in statics if source.statics.get(name, statics[name]) != statics[name]]
    if clash:
        return Source(frame, "", statics)
    return Source(source.frame, source.inner, {**source.statics, **statics})


def query(
    frame: Frame, label: str, sql: str, statics: Statics | None = None, above: int = 0
) -> Frame:
    """Return the frame of a query that looks at each row by itself.

    Args:
        frame: what is called ``this`` in the query.
        label: how the user wrote it.
        sql: the query.
        statics: the other tables in it.
        above: so many lines of the query were not written by the user.

    Raises:
        QueryError: it is wrong; the message points at the word.
    """
    used = statics or {}
    columns = columns_of(sql, shapes(frame, used), above)
    if frame.sliding is not None:  # of a window as of each of its batches
        rows, length, slide = frame.sliding
        made: Frame = query(rows, label, sql, used).window(length / 1000, slide / 1000)
        return made
    source = source_of(frame, used)
    sql, columns = narrowed(sql, columns)
    whole = within(source.inner, sql)
    function = queried(whole, source.frame.columns, source.statics)
    made = Frame([source.frame], frame.slide, _label(frame, source, label), columns, function)
    made.source = Source(source.frame, whole, source.statics)
    return known(made)


def gathered(frame: Frame, label: str, sql: str, statics: Statics | None = None) -> Frame:
    """Return the frame of a query that looks at all rows of a batch together.

    Raises:
        QueryError: it is wrong; the message points at the word.
    """
    used = statics or {}
    sql, columns = narrowed(sql, columns_of(sql, shapes(frame, used)))
    function = queried(sql, frame.columns, used)
    return known(Frame([frame], frame.slide, label, columns, function, True))


def _label(frame: Frame, source: Source, label: str) -> str:
    """Return how a chain of methods was written that is computed in one query."""
    return label if frame is source.frame else f"{frame.label}.{label}"


def check_names(columns: Columns) -> Columns:
    """Return columns if SQL can tell them apart.

    Raises:
        DefinitionError: it cannot.
    """
    seen: dict[str, str] = {}
    for name, _ in columns:
        if (other := seen.setdefault(name.casefold(), name)) is not name:
            raise DefinitionError(f'SQL cannot tell the columns "{other}" and "{name}" apart')
    return columns
