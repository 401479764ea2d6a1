"""Aggregates bit by bit: queries that make partial states, merge them, and finish them.

::

    SELECT page, avg(ms) / 2 AS h FROM this WHERE ok GROUP BY page ORDER BY h LIMIT 3

    partial  SELECT page AS k0, avg(ms) EXPORT_STATE AS s0 FROM this WHERE ok GROUP BY page
    merge    SELECT k0, combine_aggr(s0) AS s0 FROM (states) GROUP BY k0
    finish   SELECT k0 AS page, s0 / 2 AS h FROM (merge, with finalize(s0)) ORDER BY h LIMIT 3
    last     SELECT page, h FROM this ORDER BY h LIMIT 3

A partial state is made of each partition of a batch, or of many batches' states.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from livebatch.duck import quoted
from livebatch.errors import QueryError
from livebatch.frames.check import Shapes, columns_of, narrowed
from livebatch.frames.functions import give_nulls
from livebatch.frames.kernel import kernel
from livebatch.frames.run import THIS
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

SAME = {
    "min": "min",
    "max": "max",
    "sum": "sum",
    "bool_and": "bool_and",
    "bool_or": "bool_or",
    "bit_and": "bit_and",
    "bit_or": "bit_or",
    "bit_xor": "bit_xor",
    "count": "sum",
    "count_star": "sum",
    "count_if": "sum",
    "countif": "sum",
    "regr_count": "sum",
}
"""Aggregates whose value is all of their state, and those that merge such values."""

COUNTS = {"count", "count_star", "regr_count"}
"""Aggregates that are 0 of no rows."""

ROWS_ONLY = {"last": "the last row is not known of states", "reservoir_quantile": "it is sampled"}
"""Aggregates whose exported states are not to be trusted, and why."""

_CONSTANT = "VALUE_CONSTANT"


class InRows(Exception):
    """A query cannot be computed bit by bit; says why."""


@dataclass(frozen=True)
class Plan:
    """How a query with aggregates is computed bit by bit.

    Attributes:
        query: the query itself.
        columns: of its result.
        partial, merge, finish: see above; what they are over is called ``this``.
        keys: what states are divided by, as SQL lists it; empty if there is one group.
        states: name of an empty table that keeps the types of the states.
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
    last: str = ""
    finished: Columns = ()

    def __str__(self) -> str:
        steps = [("partial", self.partial), ("merge", self.merge), ("finish", self.finish)]
        if self.last:
            steps.append(("last", self.last))
        return "\n".join(f"{name + ':':9}{sql}" for name, sql in steps)


def planned(
    sql: str, columns: Columns, statics: Shapes, inner: str = "", source: Columns = ()
) -> Plan | str:
    """Return how a query over a frame is computed bit by bit, or why it cannot be.

    Args:
        sql: one SELECT over ``this``, known to be right.
        columns: of the frame.
        statics: of the other tables that it uses.
        inner: the query that gives ``this`` from another ``this``, if one does.
        source: the columns of that.

    Example:
        >>> print(planned("SELECT sum(n) AS n FROM this", (("n", "DOUBLE"),), {}))
        partial: SELECT sum(n) AS s0 FROM this
        merge:   SELECT CAST(sum(s0) AS DOUBLE) AS s0 FROM this
        finish:  SELECT s0 AS n FROM (SELECT CAST(sum(s0) AS DOUBLE) AS s0 FROM this) AS merged
        >>> planned("SELECT count(DISTINCT n) FROM this", (("n", "DOUBLE"),), {})
        'count(DISTINCT n) has no states that can be merged'
    """
    import duckdb

    try:
        plan = _Planner(sql, columns, statics, inner).plan()
        plan = replace(plan, finished=_try_out(plan, source or columns, statics))
    except InRows as reason:
        return str(reason)
    except (duckdb.Error, QueryError) as error:  # such as: there is no form of the states to export
        return f"its states cannot be kept: {str(error).splitlines()[0]}"
    return plan


class _Planner:
    """Takes one SELECT apart.

    Attributes:
        keys: the expressions that it groups by.
        calls: the aggregates in it, each once.
    """

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
        orders = [self._ordered(order, items) for order in _orders(self.select)]
        if not self.calls and not self.keys:
            raise InRows("it has no aggregates")
        types = dict(columns_of(self._partial(), self.tables))
        partial = within(self.inner, self._partial())
        states = f"states_{hashlib.blake2b(partial.encode(), digest_size=8).hexdigest()}"
        merges = [_merge(call, f"s{i}", types[f"s{i}"]) for i, call in enumerate(self.calls)]
        exported = "AGGREGATE_STATE" in types.values()
        source = f"(SELECT * FROM {states} UNION ALL SELECT * FROM {THIS})" if exported else THIS
        merge = self._grouped([merge for merge, _ in merges], source)
        final = self._grouped([final for _, final in merges], source)
        finish, last = _finish(final, items, having, orders, _limit(self.select), columns)
        finish, columns = narrowed(finish, columns)
        keys = ", ".join(self._key_names())
        return Plan(self.sql, columns, partial, merge, finish, keys, states, last)

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
        if key["type"] == _CONSTANT and key["literal"]["kind"] == "INTEGER":
            return items[int(key["literal"]["text"]) - 1]
        return key if self._is_column(key) else _aliased(key, items) or key

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
        _check_call(call)
        same = fingerprint(call)
        for i, known in enumerate(self.calls):
            if fingerprint(known) == same:
                return f"s{i}"
        self.calls.append(call)
        return f"s{len(self.calls) - 1}"

    def _ordered(self, order: Node, items: list[Node]) -> Node:
        """Return an item of ORDER BY in terms of states."""
        by = order["expression"]
        if by["type"] == _CONSTANT and by["literal"]["kind"] == "INTEGER":
            found = items[int(by["literal"]["text"]) - 1]
        else:
            found = _aliased(by, items) or self._of_states(by)
        return order | {"expression": found}

    def _partial(self) -> str:
        keys = [key | {"alias": f"k{i}"} for i, key in enumerate(self.keys)]
        calls = [
            call | {"alias": f"s{i}", "export_state": not _is_its_state(call)}
            for i, call in enumerate(self.calls)
        ]
        bare = [key | {"alias": ""} for key in self.keys]
        rest: Node = {"having": None, "modifiers": [], "aggregate_handling": "STANDARD_HANDLING"}
        sets = [list(range(len(bare)))] if bare else []
        return written(
            self.select
            | rest
            | {"select_list": [*keys, *calls], "group_expressions": bare, "group_sets": sets}
        )

    def _grouped(self, expressions: list[str], source: str) -> str:
        """Return the query that gives the keys with one expression for each state."""
        names = self._key_names()
        states = [f"{expression} AS s{i}" for i, expression in enumerate(expressions)]
        group = f" GROUP BY {', '.join(names)}" if names else ""
        return f"SELECT {', '.join([*names, *states])} FROM {source}{group}"


def within(inner: str, sql: str) -> str:
    """Return a query over what another query makes of ``this``."""
    return f"WITH {THIS} AS ({inner}) {sql}" if inner else sql


def check_shape(select: Node) -> None:
    """Check that what a SELECT gives of some rows and of others can be put together.

    Raises:
        InRows: it cannot; says why.
    """
    if select["type"] != "SELECT_NODE":
        raise InRows("it is more than one SELECT")
    for part in ("sample", "qualify"):
        if select[part]:
            raise InRows(f"{part.upper()} looks at all rows")
    if select["cte_map"]["map"]:
        raise InRows("WITH is not taken apart")
    if len(select["group_sets"]) > 1:
        raise InRows("it groups in several ways")
    kinds = {modifier["type"] for modifier in select["modifiers"]}
    if kinds - {"ORDER_MODIFIER", "LIMIT_MODIFIER"}:
        raise InRows("DISTINCT looks at all rows")
    if not is_linear(select):
        raise InRows("it does not look at each row of the stream by itself")


def is_linear(select: Node) -> bool:
    """Return whether FROM and WHERE give of two sets of rows what they give of each."""
    tables = [node for node in walk(select) if node.get("type") == "BASE_TABLE"]
    if sum(node["table_name"].lower() == THIS for node in tables) != 1:
        return False
    node = select["from_table"]
    while node["type"] == "JOIN":
        if node["join_type"] not in ("INNER", "LEFT") or node["right"]["type"] != "BASE_TABLE":
            return False
        here = node["right"]["table_name"].lower() == THIS
        if here and (node["join_type"] != "INNER" or node["left"]["type"] != "BASE_TABLE"):
            return False
        node = node["right"] if here else node["left"]
    return bool(node["type"] == "BASE_TABLE" and node["table_name"].lower() == THIS)


def _check_call(call: Node) -> None:
    name, shown = call["function_name"].lower(), written_expression(call)
    if any(part.get("class") == "STAR" for part in walk(call)):
        raise InRows(f"{shown} stands for several aggregates")
    if call["distinct"]:
        raise InRows(f"{shown} has no states that can be merged")
    if call["order_bys"]["orders"]:
        raise InRows(f"{shown} depends on the order of all rows")
    if name in ROWS_ONLY:
        raise InRows(f"{shown}: {ROWS_ONLY[name]}")


def written_expression(node: Node) -> str:
    """Return an expression as text."""
    select = parse("SELECT 1") | {"select_list": [node | {"alias": ""}]}
    return written(select).removeprefix("SELECT ")


def _is_its_state(call: Node) -> bool:
    name, arguments = call["function_name"].lower(), len(call["arguments"])
    return name in SAME and (arguments < 2 or name == "regr_count")


def _merge(call: Node, state: str, kind: str) -> tuple[str, str]:
    """Return the expressions that merge an aggregate's states, and that finish them too."""
    if not _is_its_state(call):
        return f"combine_aggr({state})", f"finalize(combine_aggr({state}))"
    name = call["function_name"].lower()
    value = f"{SAME[name]}({state})"
    if name in COUNTS:
        value = f"coalesce({value}, 0)"
    return f"CAST({value} AS {kind})", f"CAST({value} AS {kind})"


def _aliased(node: Node, items: list[Node]) -> Node | None:
    """Return the item that a name is the alias of."""
    if node["class"] != "COLUMN_REF" or len(node["column_names"]) != 1:
        return None
    name = node["column_names"][0].lower()
    return next((item for item in items if item["alias"].lower() == name), None)


def _orders(select: Node) -> list[Node]:
    found = (m["orders"] for m in select["modifiers"] if m["type"] == "ORDER_MODIFIER")
    return next(found, [])


def _limit(select: Node) -> Node | None:
    found = (m for m in select["modifiers"] if m["type"] == "LIMIT_MODIFIER")
    return next(found, None)


def _finish(
    final: str,
    items: list[Node],
    having: Node | None,
    orders: list[Node],
    limit: Node | None,
    columns: Columns,
) -> tuple[str, str]:
    """Return the query that finishes states, and the one that puts partitions in order."""
    hidden = [order["expression"] | {"alias": f"o{i}"} for i, order in enumerate(orders)]
    select = parse(f"SELECT 1 FROM ({final}) AS merged") | {
        "select_list": [*items, *hidden],
        "where_clause": having,
    }
    if not orders and limit is None:
        return written(select), ""
    by = [order | {"expression": column(f"o{i}")} for i, order in enumerate(orders)]
    modifiers: list[Node] = [{"type": "ORDER_MODIFIER", "orders": by}] if by else []
    first_cut = limit is not None and limit["offset"] is None
    modifiers += [limit] if limit is not None else []
    names = ", ".join(quoted(name) for name, _ in columns)
    last = parse(f"SELECT {names} FROM {THIS}") | {"modifiers": modifiers}
    return written(select | ({"modifiers": modifiers} if first_cut else {})), written(last)


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
