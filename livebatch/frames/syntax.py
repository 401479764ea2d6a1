"""SQL as a tree, read and written by DuckDB itself, so that all of its SQL is understood."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, TypeAlias

from livebatch.duck import moved
from livebatch.errors import QueryError
from livebatch.frames.check import database

Node: TypeAlias = dict[str, Any]
"""An expression or a SELECT, as DuckDB writes it in JSON."""

_NO_SELECT = "only a SELECT can be the query of a stream"
_PLACES = ("query_location", "query_location_length", "alias")


def parse(sql: str) -> Node:
    """Return the tree of a SELECT.

    Raises:
        QueryError: it is none, or is more than one statement; the message points at the word.

    >>> parse("SELECT a FROM t")["from_table"]["table_name"]
    't'
    """
    [(text,)] = _database().execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchall()
    found = json.loads(text)
    if found["error"]:
        raise QueryError(_explained(found, sql))
    if len(found["statements"]) != 1:
        raise QueryError(f"one SQL statement is needed, not {len(found['statements']) or 'none'}")
    node: Node = found["statements"][0]["node"]
    return node


def expressions(text: str) -> list[Node]:
    """Return the expressions of a list such as ``"page, ms / 1000 AS s"``.

    Raises:
        QueryError: it is no list of expressions.
    """
    try:
        node = parse(f"SELECT\n{text}\n")
    except QueryError as error:
        raise QueryError(moved(str(error), -1)) from None
    if node["type"] != "SELECT_NODE" or not _is_list(node):
        raise QueryError(f"a list of expressions is needed, not more of a query: {text}")
    found: list[Node] = node["select_list"]
    return found


def _is_list(node: Node) -> bool:
    rest = ("where_clause", "having", "qualify", "sample", "group_expressions", "modifiers")
    return node["from_table"]["type"] == "EMPTY" and not any(node[part] for part in rest)


def written(node: Node) -> str:
    """Return a SELECT as text.

    >>> written(parse('select "a b"+1 from t'))
    'SELECT ("a b" + 1) FROM t'
    """
    whole = {"error": False, "statements": [{"node": node, "named_param_map": []}]}
    sql = "SELECT json_deserialize_sql(?::JSON)"
    [(text,)] = _database().execute(sql, [json.dumps(whole)]).fetchall()
    return str(text)


def walk(node: Any) -> Iterator[Node]:
    """Yield all parts of a tree that are trees, the whole first."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from walk(value)
    elif isinstance(node, list):
        for item in node:
            yield from walk(item)


def replaced(node: Any, change: Callable[[Node], Node | None]) -> Any:
    """Return a tree in which ``change`` has said what stands for some of its expressions."""
    if isinstance(node, list):
        return [replaced(item, change) for item in node]
    if not isinstance(node, dict):
        return node
    if "class" in node and (instead := change(node)) is not None:
        return instead | {"alias": node["alias"]}
    return {key: replaced(value, change) for key, value in node.items()}


def replaced_tables(node: Any, names: Mapping[str, str]) -> Any:
    """Return a tree whose tables have other names; what they are called in it stays.

    >>> written(replaced_tables(parse("SELECT a.x FROM a"), {"a": "this"}))
    'SELECT a.x FROM this AS a'
    """
    if isinstance(node, list):
        return [replaced_tables(item, names) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("type") == "BASE_TABLE" and node["table_name"] in names:
        name = node["table_name"]
        path = {"path": [names[name]]}
        alias = node["alias"] or name
        return node | {"table_name": names[name], "alias": alias, "qualified_name": path}
    return {key: replaced_tables(value, names) for key, value in node.items()}


def fingerprint(node: Node) -> str:
    """Return a text that is the same for expressions that are, wherever they stand."""

    def plain(part: Any) -> Any:
        if isinstance(part, dict) and "column_names" in part:  # whose case does not matter
            return [name.lower() for name in part["column_names"]]
        if isinstance(part, dict):
            return {k: plain(v) for k, v in part.items() if k not in _PLACES}
        return [plain(item) for item in part] if isinstance(part, list) else part

    return json.dumps(plain(node), sort_keys=True)


def column(name: str) -> Node:
    """Return the expression that is a column."""
    where = dict.fromkeys(_PLACES[:2], 0)
    return {"class": "COLUMN_REF", "type": "COLUMN_REF", "alias": "", **where,
            "column_names": [name]}  # fmt: skip


@cache
def aggregates() -> frozenset[str]:
    """Return the names of all aggregate functions."""
    sql = "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'aggregate'"
    return frozenset(name for (name,) in _database().execute(sql).fetchall())


def is_aggregate(node: Node) -> bool:
    """Return whether an expression is the call of an aggregate function."""
    return node.get("class") == "FUNCTION" and node["function_name"].lower() in aggregates()


def is_rowwise(node: Node) -> bool:
    """Return whether an expression looks at one row of ``this`` at a time."""
    if node.get("type") == "BASE_TABLE":
        return bool(node["table_name"].lower() != "this")
    if node.get("class") == "WINDOW" or is_aggregate(node):
        return False
    inside = [value for value in node.values() if isinstance(value, (dict, list))]
    if node.get("class") == "SUBQUERY":  # its aggregates are its own
        return not any(n.get("table_name", "").lower() == "this" for n in walk(inside))
    return all(is_rowwise(part) for value in inside for part in _nearest(value))


def _nearest(value: Any) -> list[Node]:
    if isinstance(value, dict):
        return [value]
    return [part for item in value for part in _nearest(item)] if isinstance(value, list) else []


def _explained(found: dict[str, Any], sql: str) -> str:
    if found.get("error_type") != "parser":
        return _NO_SELECT
    at = len(sql.encode()[: int(found.get("position", 0))].decode(errors="ignore"))
    line = sql.count("\n", 0, at)
    text = sql.split("\n")[line]
    number = f"LINE {line + 1}: "
    caret = " " * (len(number) + at - (sql.rfind("\n", 0, at) + 1)) + "^"
    return f"Parser Error: {found['error_message']}\n\n{number}{text}\n{caret}"


def _database() -> Any:
    return database().cursor()
