"""What a SELECT with aggregates is taken apart into."""

from __future__ import annotations

import re

from livebatch.duck import quoted
from livebatch.frames.run import THIS
from livebatch.frames.syntax import Node, column, parse, walk, written
from livebatch.schema import Columns

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

CONSTANT = "VALUE_CONSTANT"


class InRows(Exception):
    """A query cannot be computed bit by bit; says why."""


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


def check_call(call: Node) -> None:
    name, shown = call["function_name"].lower(), written_expression(call)
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


def is_its_state(call: Node) -> bool:
    name, arguments = call["function_name"].lower(), len(call["arguments"])
    return name in SAME and (arguments < 2 or name == "regr_count")


def merge_of(call: Node, state: str, kind: str) -> tuple[str, str]:
    """Return the expressions that merge an aggregate's states, and that finish them too."""
    if not is_its_state(call):
        return f"combine_aggr({state})", f"finalize(combine_aggr({state}))"
    name = call["function_name"].lower()
    value = f"{SAME[name]}({state})"
    if name in COUNTS:
        value = f"coalesce({value}, 0)"
    return f"CAST({value} AS {kind})", f"CAST({value} AS {kind})"


def aliased(node: Node, items: list[Node]) -> Node | None:
    """Return the item that a name is the alias of."""
    if node["class"] != "COLUMN_REF" or len(node["column_names"]) != 1:
        return None
    name = node["column_names"][0].lower()
    return next((item for item in items if item["alias"].lower() == name), None)


def orders_of(select: Node) -> list[Node]:
    found = (m["orders"] for m in select["modifiers"] if m["type"] == "ORDER_MODIFIER")
    return next(found, [])


def limit_of(select: Node) -> Node | None:
    found = (m for m in select["modifiers"] if m["type"] == "LIMIT_MODIFIER")
    return next(found, None)


def leading_of(orders: list[Node], limit: Node | None) -> tuple[str, int] | None:
    """Return the column that rows are ordered by first, falling, and how many are kept; None if
    that is not so."""
    if not orders or limit is None or not _cuts_first(limit):
        return None
    by, most = orders[0]["expression"], limit["limit"]
    if orders[0]["type"] != "DESCENDING" or by["class"] != "COLUMN_REF":
        return None
    name, whole = by["column_names"][-1], most["type"] == CONSTANT
    if len(by["column_names"]) > 1 or not re.fullmatch(r"s\d+", name) or not whole:
        return None
    literal = most["literal"]
    return (name, int(literal["text"])) if literal["kind"] == "INTEGER" else None


def finishing(
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
    modifiers += [limit] if limit is not None else []
    names = ", ".join(quoted(name) for name, _ in columns)
    last = parse(f"SELECT {names} FROM {THIS}") | {"modifiers": modifiers}
    cut = {"modifiers": modifiers} if limit is not None and _cuts_first(limit) else {}
    return written(select | cut), written(last)


def _cuts_first(limit: Node) -> bool:
    """Return whether a limit of what it leaves of each part is one of all."""
    return limit["offset"] is None and limit["limit_type"] == "ROW_COUNT"
