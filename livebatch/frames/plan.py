"""Aggregates bit by bit: queries that make partial states, merge them, and finish them.

::

    SELECT page, avg(ms) / 2 AS h FROM this WHERE ok GROUP BY page ORDER BY h LIMIT 3

    partial  SELECT page AS k0, avg(ms) EXPORT_STATE AS s0 FROM this WHERE ok GROUP BY page
    merge    SELECT k0, combine_aggr(s0) AS s0 FROM (states) GROUP BY k0
    finish   SELECT k0 AS page, s0 / 2 AS h FROM (merge, with finalize(s0)) ORDER BY h LIMIT 3
    last     SELECT page, h FROM this ORDER BY h LIMIT 3

A partial state is made of each partition of a batch, or of many batches' states. Where there are no
states that can be merged, what the aggregates need of each row takes their place::

    SELECT page, mode(ms + 1) FROM this GROUP BY page

    partial  SELECT page AS k0, ms + 1 AS a0 FROM this
    finish   SELECT k0 AS page, s0 FROM (SELECT k0, mode(a0) AS s0 FROM this GROUP BY k0)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from livebatch.errors import QueryError
from livebatch.frames.check import Shapes, columns_of, narrowed
from livebatch.frames.functions import give_nulls
from livebatch.frames.kernel import kernel
from livebatch.frames.parts import (
    CONSTANT,
    COUNTS,
    InRows,
    aliased,
    check_call,
    check_shape,
    finishing,
    is_its_state,
    leading_of,
    limit_of,
    merge_of,
    orders_of,
    within,
    written_expression,
)
from livebatch.frames.run import ALL, GONE, THIS
from livebatch.frames.syntax import (
    Node,
    column,
    fingerprint,
    is_aggregate,
    parse,
    replaced,
    walk,
    written,
)
from livebatch.schema import Columns, arrow_schema
from livebatch.schema import written as written_columns


@dataclass(frozen=True)
class Plan:
    """How a query with aggregates is computed bit by bit.

    Attributes:
        query: the query itself.
        columns: of its result.
        partial, merge, finish: see above; what they are over is called ``this``.
        keys: what states are divided by, as SQL lists it; empty if there is one group.
        states: name of an empty table that keeps the types of the states.
        rows: whether rows take the place of states.
        slide: for counts, which are exact: adds states of ``this`` and takes off those of ``gone``,
            and keeps the keys that are left; empty if there are other aggregates.
        slid: finishes what that gives; it has each key once.
        leading: by which state that orders first, falling, and how many it keeps, if it does.
        last: orders and cuts off what the partitions have given; empty if nothing is to be done.
        finished: the columns that ``finish`` gives; those that ``last`` orders by are besides.
    """

    query: str
    columns: Columns
    partial: str
    merge: str
    finish: str
    keys: str
    states: str
    rows: bool
    slide: str = ""
    slid: str = ""
    leading: tuple[str, int] | None = None
    last: str = ""
    finished: Columns = ()

    def __str__(self) -> str:
        steps = [("partial", self.partial)]
        if self.slide:
            steps += [("merge", self.merge), ("slide", self.slide), ("finish", self.slid)]
        else:
            steps += [] if self.rows else [("merge", self.merge)]
            steps.append(("finish", self.finish))
        if self.last:
            steps.append(("last", self.last))
        return "\n".join(f"{name + ':':9}{sql}" for name, sql in steps)


def planned(
    sql: str,
    columns: Columns,
    statics: Shapes,
    inner: str = "",
    source: Columns = (),
    rows: bool = False,
) -> Plan | str:
    """Return how a query over a frame is computed bit by bit, or why it cannot be.

    Args:
        sql: one SELECT over ``this``, known to be right.
        columns: of the frame.
        statics: of the other tables that it uses.
        inner: the query that gives ``this`` from another ``this``, if one does.
        source: the columns of that.
        rows: have rows take the place of states.

    Example:
        >>> print(planned("SELECT sum(n) AS n FROM this", (("n", "DOUBLE"),), {}))
        partial: SELECT sum(n) AS s0 FROM this
        merge:   SELECT CAST(sum(s0) AS DOUBLE) AS s0 FROM this
        finish:  SELECT s0 AS n FROM (SELECT CAST(sum(s0) AS DOUBLE) AS s0 FROM this) AS merged
        >>> planned("SELECT count(DISTINCT n) FROM this", (("n", "DOUBLE"),), {})
        'count(DISTINCT n) has no states that can be merged'
    """
    import duckdb

    kind = _RowsPlanner if rows else _Planner
    try:
        plan = kind(sql, columns, statics, inner).plan()
        plan = replace(plan, finished=_try_out(plan, source or columns, statics))
        if plan.slide and not _is_same_in_arrow(plan, source or columns, statics):
            plan = replace(plan, slide="", slid="", leading=None)
    except InRows as reason:
        return str(reason)
    except (duckdb.Error, QueryError) as error:  # such as: there is no form of the states to export
        return f"its states cannot be kept: {str(error).splitlines()[0]}"
    return plan


def _is_same_in_arrow(plan: Plan, columns: Columns, statics: Shapes) -> bool:
    """Return whether Arrow gives keys back as what they were: only then is their hash the same."""
    types = columns_of(plan.partial, {**statics, THIS: columns})
    return written_columns(arrow_schema(types)) == types


class _Planner:
    """Takes one SELECT apart.

    Attributes:
        keys: the expressions that it groups by.
        calls: the aggregates in it, each once.
    """

    rows = False

    def __init__(self, sql: str, columns: Columns, statics: Shapes, inner: str) -> None:
        self.sql, self.inner = sql, inner
        self.tables = {**statics, THIS: columns}
        self.select = parse(sql)
        check_shape(self.select)
        self.keys = self._keys()
        self.calls: list[Node] = []

    def plan(self) -> Plan:
        columns = columns_of(self.sql, self.tables)
        items = [
            self._of_states(item) | {"alias": name}
            for item, (name, _) in zip(self.select["select_list"], columns, strict=True)
        ]
        having = self._of_states(self.select["having"])
        orders = [self._ordered(order, items) for order in orders_of(self.select)]
        if not self.calls and not self.keys:
            raise InRows("it has no aggregates")
        counts = self._counts()
        types = dict(columns_of(self._partial(), self.tables))
        if any(kind.startswith("ENUM") for name, kind in types.items() if name[0] in "as"):
            raise InRows("Arrow gives an ENUM back without its order")
        partial = within(self.inner, self._partial())
        states = f"states_{hashlib.blake2b(partial.encode(), digest_size=8).hexdigest()}"
        merge, final = self._merges(types, states)
        limit = limit_of(self.select)
        finish, last = finishing(final, items, having, orders, limit, columns)
        slid, _ = finishing(ALL, items, having, orders, limit, columns)
        (finish, narrow), (slid, _) = narrowed(finish, columns), narrowed(slid, columns)
        keys, slide = ", ".join(self._key_names()), self._slide() if counts else ""
        leading = leading_of(orders, limit) if counts and having is None else None
        return Plan(self.sql, narrow, partial, merge, finish, keys, states, self.rows,
                    slide, slid if counts else "", leading, last)  # fmt: skip

    def _counts(self) -> bool:
        """Return whether all aggregates are counts by key; the last is one of rows then."""
        if not self.keys or any(call["function_name"].lower() not in COUNTS for call in self.calls):
            return False
        [rows] = parse("SELECT count(*)")["select_list"]
        if [fingerprint(call) for call in self.calls[-1:]] != [fingerprint(rows)]:
            self.calls.append(rows)  # tells which keys are left
        return True

    def _slide(self) -> str:
        keys, states = self._key_names(), [f"s{i}" for i in range(len(self.calls))]
        gone = ", ".join([*keys, *(f"-{state} AS {state}" for state in states)])
        sums = [f"CAST(sum({state}) AS BIGINT) AS {state}" for state in states]
        signed = f"SELECT * FROM {THIS} UNION ALL SELECT {gone} FROM {GONE}"
        return (
            f"SELECT {', '.join([*keys, *sums])} FROM ({signed}) GROUP BY {', '.join(keys)} "
            f"HAVING sum({states[-1]}) > 0"
        )

    def _merges(self, types: dict[str, str], states: str) -> tuple[str, str]:
        """Return the queries that merge states, and that also finish each of them.

        Args:
            types: of the states, by their names.
            states: name of the table that keeps those.
        """
        merges = [merge_of(call, f"s{i}", types[f"s{i}"]) for i, call in enumerate(self.calls)]
        exported = "AGGREGATE_STATE" in types.values()
        source = f"(SELECT * FROM {states} UNION ALL SELECT * FROM {THIS})" if exported else THIS
        merge = self._grouped([merge for merge, _ in merges], source)
        return merge, self._grouped([final for _, final in merges], source)

    def _key_names(self) -> list[str]:
        return [f"k{i}" for i in range(len(self.keys))]

    def _keys(self) -> list[Node]:
        items = self.select["select_list"]
        if self.select["aggregate_handling"] == "FORCE_AGGREGATES":  # GROUP BY ALL
            found = [item for item in items if not any(map(is_aggregate, walk(item)))]
        else:
            found = [self._key(key) for key in self.select["group_expressions"]]
        return list({fingerprint(key): key for key in found}.values())

    def _key(self, key: Node) -> Node:
        """Return the expression that GROUP BY means by a number or an alias."""
        items: list[Node] = self.select["select_list"]
        if key["type"] == CONSTANT and key["literal"]["kind"] == "INTEGER":
            return items[int(key["literal"]["text"]) - 1]
        return key if self._is_column(key) else aliased(key, items) or key

    def _is_column(self, node: Node) -> bool:
        names = {name.lower() for columns in self.tables.values() for name, _ in columns}
        return node["class"] == "COLUMN_REF" and node["column_names"][-1].lower() in names

    def _of_states(self, node: Any) -> Any:
        """Return an expression in terms of keys and finished states."""
        known = {fingerprint(key): f"k{i}" for i, key in enumerate(self.keys)}

        def change(part: Node) -> Node | None:
            if (name := known.get(fingerprint(part))) is not None:
                return column(name)
            if part["class"] in ("SUBQUERY", "WINDOW", "STAR"):
                raise InRows(f"{part['class'].lower()} expressions are not taken apart")
            return column(self._state(part)) if is_aggregate(part) else None

        return replaced(node, change)

    def _state(self, call: Node) -> str:
        """Return the name of an aggregate's state."""
        if any(part.get("class") == "STAR" for part in walk(call)):
            raise InRows(f"{written_expression(call)} stands for several aggregates")
        self._check(call)
        same = fingerprint(call)
        for i, known in enumerate(self.calls):
            if fingerprint(known) == same:
                return f"s{i}"
        self.calls.append(call)
        return f"s{len(self.calls) - 1}"

    def _ordered(self, order: Node, items: list[Node]) -> Node:
        """Return an item of ORDER BY in terms of states."""
        by = order["expression"]
        if by["type"] == CONSTANT and by["literal"]["kind"] == "INTEGER":
            found = items[int(by["literal"]["text"]) - 1]
        else:
            found = aliased(by, items) or self._of_states(by)
        return order | {"expression": found}

    def _check(self, call: Node) -> None:
        check_call(call)

    def _partial(self) -> str:
        calls = [
            call | {"alias": f"s{i}", "export_state": not is_its_state(call)}
            for i, call in enumerate(self.calls)
        ]
        return self._written([*self._named_keys(), *calls], self.keys)

    def _named_keys(self) -> list[Node]:
        return [key | {"alias": f"k{i}"} for i, key in enumerate(self.keys)]

    def _written(self, items: list[Node], groups: list[Node]) -> str:
        """Return the query's FROM and WHERE with other columns and groups."""
        bare = [key | {"alias": ""} for key in groups]
        other: Node = {
            "select_list": items,
            "group_expressions": bare,
            "group_sets": [list(range(len(bare)))] if bare else [],
            "aggregate_handling": "STANDARD_HANDLING",
            "having": None,
            "modifiers": [],
        }
        return written(self.select | other)

    def _grouped(self, expressions: list[str], source: str) -> str:
        """Return the query that gives the keys with one expression for each state."""
        names = self._key_names()
        states = [f"{expression} AS s{i}" for i, expression in enumerate(expressions)]
        group = f" GROUP BY {', '.join(names)}" if names else ""
        return f"SELECT {', '.join([*names, *states])} FROM {source}{group}"


class _RowsPlanner(_Planner):
    """Has what aggregates need of each row take the place of states."""

    rows = True

    def _counts(self) -> bool:
        return False

    def _check(self, call: Node) -> None:
        """Any aggregate will do."""

    def _partial(self) -> str:
        needed = [node | {"alias": name} for name, node in self._needed().items()]
        items = [*self._named_keys(), *needed]
        return self._written(items or parse("SELECT 1 AS a0")["select_list"], [])

    def _merges(self, types: dict[str, str], states: str) -> tuple[str, str]:
        known = {fingerprint(node): name for name, node in self._needed().items()}

        def change(part: Node) -> Node | None:
            name = known.get(fingerprint(part))
            return None if name is None else column(name)

        calls = [written_expression(_on_inputs(call, change)) for call in self.calls]
        return ALL, self._grouped(calls, THIS)

    def _needed(self) -> dict[str, Node]:
        """Return what the aggregates are called on, but for constants, each once."""
        inputs = {
            fingerprint(node): node
            for call in self.calls
            for node in _inputs(call)
            if any(part.get("class") == "COLUMN_REF" for part in walk(node))
        }
        return {f"a{i}": node for i, node in enumerate(inputs.values())}


def _inputs(call: Node) -> list[Node]:
    """Return the expressions of columns in an aggregate's call."""
    arguments = [argument["expression"] for argument in call["arguments"]]
    orders = [order["expression"] for order in call["order_bys"]["orders"]]
    return [*arguments, *orders, *([call["filter"]] if call["filter"] else [])]


def _on_inputs(call: Node, change: Callable[[Node], Node | None]) -> Node:
    """Return an aggregate's call on other expressions."""
    parts = ("arguments", "order_bys", "filter")
    return call | {part: replaced(call[part], change) for part in parts}


def _try_out(plan: Plan, columns: Columns, statics: Shapes) -> Columns:
    """Check that DuckDB can carry a plan out, on one row of NULLs; return what finishing gives.

    Raises:
        InRows: it gives other types than the query.
        duckdb.Error: it cannot.
    """
    give_nulls()
    schema = arrow_schema(columns)
    empty = {name: arrow_schema(found).empty_table() for name, found in statics.items()}
    nulls = pa.table([pa.nulls(1, kind) for kind in schema.types], schema=schema)
    table = kernel().run(plan.partial, {**empty, THIS: nulls})
    kernel().keep_type(plan.states, plan.partial, {**empty, THIS: nulls})
    finished = kernel().run(plan.finish, {THIS: kernel().run(plan.merge, {THIS: table})})
    result = kernel().run(plan.last, {THIS: finished}) if plan.last else finished
    if result.schema.types != arrow_schema(plan.columns).types:
        raise InRows("its states are finished as other types")
    return written_columns(finished.schema)
