"""Aggregates: over batches and windows, by key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from livebatch.duck import quoted
from livebatch.errors import DefinitionError, QueryError
from livebatch.frames import run
from livebatch.frames.check import columns_of
from livebatch.frames.chosen import chosen_window
from livebatch.frames.exchange import states_of
from livebatch.frames.frame import Frame, Statics, gathered, known, method, query, shapes, source_of
from livebatch.frames.parts import is_linear
from livebatch.frames.plan import Plan, planned
from livebatch.frames.select import check
from livebatch.frames.sliding import highest_level, rows_by_key, slid_window, states_window
from livebatch.frames.static import statics_of
from livebatch.frames.syntax import Node, expressions, is_rowwise, parse
from livebatch.interval import Duration, format_millis


@dataclass(frozen=True)
class GroupedFrame:
    """A frame whose rows are grouped by key, for `agg`."""

    frame: Frame
    keys: tuple[str, ...]

    def window(
        self, window_duration: Duration, slide_duration: Duration | None = None
    ) -> GroupedFrame:
        """Group the rows of a window; see `StreamingDataFrame.window`."""
        return GroupedFrame(self.frame.window(window_duration, slide_duration), self.keys)

    def agg(self, *exprs: str, **named: str) -> Frame:
        """Return a frame with the keys and these aggregates, a row for each key.

        Args:
            exprs: SQL expressions, or lists of them: ``"count(*) AS n, avg(ms) AS ms"``.
            named: more of them, by the name of their column.

        Raises:
            QueryError: one is wrong; the message points at the word.

        Example:
            ``frame.group_by("page").agg(n="count(*)", p99="approx_quantile(ms, 0.99)")``
        """
        aliased = (f"{text} AS {quoted(name)}" for name, text in named.items())
        items, keys = [*exprs, *aliased], ", ".join(self.keys)
        if not items:
            raise DefinitionError("agg needs at least one aggregate")
        count = sum(len(expressions(key)) for key in self.keys)
        for name, text in [*((None, text) for text in exprs), *named.items()]:
            self._check(text, keys, count, name is not None)
        group = f" GROUP BY {', '.join(map(str, range(1, count + 1)))}" if count else ""
        sql = f"SELECT {', '.join([*self.keys, *items])} FROM {run.THIS}{group}"
        by = f"group_by({keys})." if keys else ""
        return aggregated(self.frame, f"{by}agg({', '.join(items)})", sql, {})

    def count(self) -> Frame:
        """Return a frame with the keys and ``count``, the number of their rows."""
        return self.agg(count="count(*)")

    def _check(self, text: str, keys: str, count: int, alone: bool) -> None:
        """Check that an expression is right beside the keys, and point at what is not."""
        found = len(expressions(text))
        if alone and found != 1:
            raise QueryError(f"one expression is needed here, not {found}: {text}")
        group = ", ".join(str(found + 1 + i) for i in range(count))
        rest = f", {keys} FROM {run.THIS} GROUP BY {group}" if count else f" FROM {run.THIS}"
        columns_of(f"SELECT\n{text}\n{rest}", shapes(self.frame, {}), 1)


@method
def group_by(self: Frame, *keys: str) -> GroupedFrame:
    """Return the frame with its rows grouped, for ``agg``.

    Args:
        keys: columns or SQL expressions, or lists of them; none: all rows are one group.

    Raises:
        QueryError: one is wrong; the message points at the word.

    Example:
        ``frame.group_by("page, date_trunc('minute', ts) AS minute").agg(n="count(*)")``
    """
    for key in keys:
        check(self, key)
    return GroupedFrame(self, keys)


@method
def agg(self: Frame, *exprs: str, **named: str) -> Frame:
    """Return a frame of one row for each batch or window: aggregates of all its rows.

    Example:
        ``frame.agg(n="count(*)", p99="approx_quantile(ms, 0.99)")``
    """
    return GroupedFrame(self, ()).agg(*exprs, **named)


@method
def sql(self: Frame, query_text: str, **tables: Any) -> Frame:
    """Return the frame of a whole query.

    Args:
        query_text: a SELECT over ``this``, the rows of each batch or window.
        tables: tables that do not stream, by the name that they have in the query: Arrow tables,
            data frames, or `ssc.table`.

    Raises:
        QueryError: it is wrong; the message points at the word.

    Example:
        ``frame.sql("SELECT page, count(*) AS n FROM this GROUP BY page HAVING n > 10")``
    """
    statics = statics_of(tables)
    select = parse(query_text)
    columns_of(query_text, shapes(self, statics))
    label = f"sql({query_text})"
    if select["type"] == "SELECT_NODE" and _is_of_each_row(select):
        return query(self, label, query_text, statics)
    return aggregated(self, label, query_text, statics)


def _is_of_each_row(select: Node) -> bool:
    """Return whether a SELECT can be computed of some rows and of others, and put together."""
    whole = ("modifiers", "group_expressions", "group_sets", "having", "qualify", "sample")
    if any(select[part] for part in whole) or select["cte_map"]["map"] or not is_linear(select):
        return False
    return all(map(is_rowwise, select["select_list"]))


def aggregated(frame: Frame, label: str, sql: str, statics: Statics) -> Frame:
    """Return the frame of a query with aggregates, computed bit by bit where that can be."""
    rows = frame if frame.sliding is None else frame.sliding.frame
    source = source_of(rows, statics)
    others = {name: static.columns for name, static in source.statics.items()}
    about = (sql, rows.columns, others, source.inner, source.frame.columns)
    states, of_rows = planned(*about), planned(*about, rows=True)
    reason = f", since {states}" if isinstance(states, str) else ""
    plan = of_rows if isinstance(states, str) else states
    if isinstance(plan, str):
        made = gathered(frame, label, sql, statics)
        made.notes = f"{_window(frame)}computed from all rows together{reason}\nquery:   {sql}"
        return made
    if frame.sliding is None:
        made = known(states_of(source, plan, label, plan.finished, finish=True))
    elif plan.slide:
        made = slid_window(source, plan, label, frame.sliding)
    elif plan.rows:
        divided = rows_by_key(source, plan, label)
        made = states_window(divided, source, plan, label, frame.sliding)
    elif isinstance(of_rows, str):
        level = highest_level(source, plan, label, frame.sliding)
        made = states_window(level, source, plan, label, frame.sliding)
    else:
        made = chosen_window(source, plan, of_rows, label, frame.sliding)
    made.notes = f"{_window(frame)}{_how(plan, frame)}{reason}\n{plan}"
    return ordered(made, plan)


def _how(plan: Plan, frame: Frame) -> str:
    if plan.rows:
        return f"computed from {'rows' if frame.sliding is None else 'window rows'}, divided by key"
    if frame.sliding is None:
        return "computed by key, from partial states of each partition"
    if plan.slide:
        return "incremental: batches that enter the window are added, those that leave taken off"
    return (
        "incremental: merged from states of batches that slides share, as long as computing from "
        "window rows does not cost less"
    )


def ordered(frame: Frame, plan: Plan) -> Frame:
    """Return a frame of what the partitions have given, put in order and cut off."""
    if not plan.last:
        return frame
    made = gathered(frame, "order_by()", plan.last)
    made.notes = frame.notes
    return made


def _window(frame: Frame) -> str:
    if frame.sliding is None:
        return ""
    length, slide = map(format_millis, frame.sliding[1:])
    return f"window of {length} every {slide}, "
