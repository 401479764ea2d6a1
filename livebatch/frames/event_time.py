"""Windows of event time: rows belong to the time that they are stamped with.

A watermark follows the times that have been seen. A window is finished by the first batch whose
watermark has passed its end; rows of windows that an earlier batch has finished are late. What is
late depends on batches, not on the order of rows within them. ::

    rows ──▶ Marks: the latest times so far
      │        │
      ├──▶ late: rows whose windows the marks of the batch before had passed
      └──▶ the others, as states by window and key ──▶ OpenWindows ──▶ ClosedWindows: finished
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from livebatch.closures import Builtin, Function, builtin
from livebatch.duck import quoted
from livebatch.errors import DefinitionError, QueryError
from livebatch.frames import run
from livebatch.frames.check import columns_of
from livebatch.frames.exchange import states_of
from livebatch.frames.frame import Frame, Source, known, method, shapes
from livebatch.frames.parts import within
from livebatch.frames.plan import Plan, planned
from livebatch.frames.select import check
from livebatch.frames.syntax import expressions
from livebatch.interval import Duration, Millis, format_millis, to_millis
from livebatch.rdd import RDD
from livebatch.rdd.operation import Stored, Tabled
from livebatch.schema import Columns
from livebatch.stream import DStream

Stream = DStream[Any]
START, END = "window_start", "window_end"
KINDS = ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE")


class Marks(DStream[Any]):
    """The latest times of all rows so far, in one row."""

    cuts_lineage = True

    def __init__(
        self, parents: Sequence[Stream], slide: Millis, label: str, columns: Columns, step: Function
    ) -> None:
        super().__init__(parents, slide, label, columns, step)
        self.label, self.columns, self.step = label, columns, step

    def compute(self, time: Millis) -> RDD[Any] | None:
        tops = self.parents[0].rdd_at(time)
        if tops is None:
            return None
        together: RDD[Any] = RDD(Tabled(builtin(run.whole, self.columns), gathers=True), [tops])
        return RDD(Tabled(self.step), [_before(self, time), together])


class Judged(Frame):
    """Rows that a query finds to be late, or not, by the marks of the batch before.

    The parents are the rows and the marks.
    """

    reaches_back = False

    def __init__(self, *params: Any) -> None:
        super().__init__(*params)
        self.parents[0].persisted = True  # the marks are of them, too

    def compute(self, time: Millis) -> RDD[Any] | None:
        rows, marks = self.parents
        found = rows.rdd_at(time)
        if found is None:
            return None
        marks.rdd_at(time)  # goes on from each batch
        return RDD(Tabled(self.function, shared=1), [found, _before(marks, time)])


class OpenWindows(DStream[Any]):
    """The states of the windows that are not finished.

    The parents are the new states and the marks.
    """

    exports_states = True
    cuts_lineage = True

    def __init__(
        self, parents: Sequence[Stream], slide: Millis, label: str, merge: Function
    ) -> None:
        super().__init__(parents, slide, label, merge)
        self.label, self.merge = label, merge
        parents[0].persisted = True  # they are finished, too

    def compute(self, time: Millis) -> RDD[Any] | None:
        parts = states_and_marks(self, time)
        return None if parts is None else RDD(Tabled(self.merge, True, shared=1), parts)


class ClosedWindows(Frame):
    """What the windows finish as that the watermark has passed; the parent has the open ones."""

    reaches_back = False

    def compute(self, time: Millis) -> RDD[Any] | None:
        open_windows = self.parents[0]
        open_windows.rdd_at(time)
        parts = states_and_marks(open_windows, time)
        return None if parts is None else RDD(Tabled(self.function, shared=1), parts)


def states_and_marks(windows: Stream, time: Millis) -> list[RDD[Any]] | None:
    """Return the states from before a batch and of it, and the batch's marks."""
    new, marks = (parent.rdd_at(time) for parent in windows.parents)
    if new is None or marks is None:
        return None
    earlier = windows.newest_before(time)
    return [new, marks] if earlier is None else [windows.generated[earlier], new, marks]


def _before(marks: Stream, time: Millis) -> RDD[Any]:
    """Return the marks from before a batch."""
    earlier = marks.newest_before(time)
    if earlier is not None:
        return marks.generated[earlier]
    return RDD(Stored(((),)), runner=marks.parents[0].runner)


@dataclass(frozen=True)
class EventWindow:
    """A frame divided into windows of event time; see `StreamingDataFrame.window_on`.

    Attributes:
        late: the frame of the rows that came too late for their window, or have no time.
        on_time: the frame of the other rows.
    """

    late: Frame
    on_time: Frame
    marks: Marks
    column: str
    size: Millis
    mark: str
    keys: tuple[str, ...] = ()

    def group_by(self, *keys: str) -> EventWindow:
        """Group the rows of each window by columns or SQL expressions; see `agg`.

        Raises:
            QueryError: one is wrong; the message points at the word.
        """
        for key in keys:
            check(self.on_time, key)
        fields = (self.late, self.on_time, self.marks, self.column, self.size, self.mark)
        return EventWindow(*fields, keys)

    def agg(self, *exprs: str, **named: str) -> Frame:
        """Return a frame with ``window_start``, ``window_end``, the keys and these aggregates: a
        row for each key of each window, in the batch whose watermark has passed the window's end.

        Args:
            exprs: SQL expressions, or lists of them.
            named: more of them, by the name of their column.

        Raises:
            QueryError: one is wrong, or is none whose states can be merged.
        """
        items = [*exprs, *(f"{text} AS {quoted(name)}" for name, text in named.items())]
        if not items:
            raise DefinitionError("agg needs at least one aggregate")
        count = 1 + sum(len(expressions(key)) for key in self.keys)
        rest = f", {', '.join([START, *self.keys])} FROM {run.THIS} GROUP BY "
        for text in (*exprs, *named.values()):
            found = len(expressions(text))
            group = ", ".join(str(found + 1 + i) for i in range(count))
            columns_of(f"SELECT\n{text}\n{rest}{group}", shapes(self.on_time, {}), 1)
        by = ", ".join(map(str, range(1, count + 1)))
        end = f"{START} + to_milliseconds({self.size}) AS {END}"
        listed = ", ".join([START, *self.keys, end, *items])
        plan = planned(f"SELECT {listed} FROM {run.THIS} GROUP BY {by}", self.on_time.columns, {})
        if isinstance(plan, str):
            raise QueryError(f"over event time only states that can be merged are kept: {plan}")
        return self._finished(plan, f"agg({', '.join([*self.keys, *items])})")

    def _finished(self, plan: Plan, label: str) -> Frame:
        source = Source(self.on_time, "", {})
        states = states_of(source, plan, f"states of {label}", (), finish=False)
        passed = f"k0 + to_milliseconds({self.size}) <= ({self.mark})"
        merge = self._merging(plan, within(_where(f"NOT {passed}"), plan.merge))
        finish = self._merging(plan, within(_where(passed), plan.finish))
        slide = self.on_time.slide
        windows = OpenWindows([states, self.marks], slide, f"open windows of {label}", merge)
        made = known(ClosedWindows([windows], slide, label, plan.columns, finish))
        made.notes = (
            f"tumbling windows of {format_millis(self.size)} of {self.column}, incremental\n{plan}"
        )
        return made

    def _merging(self, plan: Plan, sql: str) -> Builtin:
        columns = self.on_time.columns, self.marks.columns
        return builtin(run.merged_beside, sql, plan.states, plan.partial, *columns)


def _where(condition: str) -> str:
    return f"SELECT * FROM {run.THIS} WHERE {condition}"


@method
def window_on(
    self: Frame,
    column: str,
    size: Duration,
    watermark: Duration | None = None,
    outliers: int = 1,
) -> EventWindow:
    """Divide rows into tumbling windows of the time that they are stamped with.

    A window is finished when a time has been seen that is ``watermark`` past its end. Rows that
    come for it after that are not dropped: they are the frame ``late``.

    Args:
        column: a column of times.
        size: how long a window is, such as ``"10s"``.
        watermark: how long to wait for rows that come late; not at all if not told.
        outliers: so many rows may be stamped far in the future without making others late.

    Raises:
        DefinitionError: there is no such column of times.

    Example:
        >>> from livebatch.testing import ManualContext, collected
        >>> with ManualContext("1s") as ssc:
        ...     rows = [["2026-01-01 00:00:0" + s for s in batch] for batch in ("01", "778", "1")]
        ...     frame = ssc.queue_stream(rows).to_frame({"ts": "TIMESTAMP"})
        ...     windows = frame.window_on("ts", "5s", watermark="1s")
        ...     counts, late = collected(windows.agg(n="count(*)")), collected(windows.late)
        ...     ssc.start()
        ...     ssc.advance("3s")
        >>> [[row["n"] for row in batch] for batch in counts], [len(batch) for batch in late]
        ([[], [2], []], [0, 0, 1])
    """
    kind = dict(self.columns).get(column)
    if kind not in KINDS:
        found = "there is no such column" if kind is None else f"it is of type {kind}"
        raise DefinitionError(f'"{column}" must be a column of {" or ".join(KINDS)}: {found}')
    if {START, END} & {name.casefold() for name, _ in self.columns}:
        raise DefinitionError(f"the columns {START} and {END} are made here: rename this frame's")
    length, wait = to_millis(size, "the window"), 0
    if watermark is not None:
        wait = to_millis(watermark, "the watermark")
    marks, mark = _marks(self, column, kind, wait, outliers + 1)
    start = f"time_bucket(to_milliseconds({length}), {quoted(column)})"
    fresh = f"coalesce({start} + to_milliseconds({length}) > ({mark}), false)"
    label = f"window_on({column}, {format_millis(length)})"
    late = f"SELECT * FROM {run.THIS} WHERE NOT {fresh}"
    on_time = f"SELECT *, {start} AS {START} FROM {run.THIS} WHERE {fresh}"
    columns = (*self.columns, (START, kind))
    return EventWindow(
        _judged(self, marks, f"{label}.late", late, self.columns),
        _judged(self, marks, label, on_time, columns),
        marks,
        column,
        length,
        mark,
    )


def _marks(frame: Frame, column: str, kind: str, wait: Millis, count: int) -> tuple[Marks, str]:
    """Return the stream of the latest times, and the query of the watermark among them."""
    name, columns = quoted(column), (("tops", f"{kind}[]"),)
    first = f"SELECT max({name}, {count}) FILTER (isfinite({name})) AS tops FROM {run.THIS}"
    step = f"SELECT max(t, {count}) AS tops FROM (SELECT unnest(tops) AS t FROM {run.THIS})"
    tops = Frame(
        [frame],
        frame.slide,
        "latest times",
        columns,
        builtin(run.queried, first, frame.columns, ()),
    )
    marks = Marks([tops], frame.slide, "watermark", columns, builtin(run.marked, step, columns))
    nothing = f"CAST('-infinity' AS {kind})"
    known_time = f"max(tops[{count}] - to_milliseconds({wait}))"
    return marks, f"SELECT coalesce({known_time}, {nothing}) FROM {run.MARKS}"


def _judged(frame: Frame, marks: Marks, label: str, sql: str, columns: Columns) -> Judged:
    function = builtin(run.queried_beside, sql, frame.columns, marks.columns)
    return known(Judged([frame, marks], frame.slide, label, columns, function))
