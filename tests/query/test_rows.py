"""Rows of every shape are columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from tests.query.conftest import Ask

Feed = Callable[..., None]


@dataclass(frozen=True)
class View:
    page: str
    ms: int


@dataclass
class Slotted:
    __slots__ = ("page",)
    page: str


class Hit(NamedTuple):
    page: str
    ms: int


def columns(ask: Ask) -> dict[str, str]:
    """The columns of the stream ``rows``, with their types."""
    described = {row["column_name"]: row["column_type"] for row in ask("DESCRIBE rows")}
    assert described.pop("batch_time") == "TIMESTAMP WITH TIME ZONE"
    return described


def values(ask: Ask, column: str = "value") -> list[Any]:
    return [row["v"] for row in ask(f'SELECT "{column}" AS v FROM rows')]


@pytest.mark.parametrize(
    ("rows", "types", "first"),
    [
        ([{"page": "a", "ms": 1}], {"page": "VARCHAR", "ms": "BIGINT"}, ("a", 1)),
        ([View("a", 1)], {"page": "VARCHAR", "ms": "BIGINT"}, ("a", 1)),
        ([Hit("a", 1)], {"page": "VARCHAR", "ms": "BIGINT"}, ("a", 1)),
        ([("a", 1)], {"_1": "VARCHAR", "_2": "BIGINT"}, ("a", 1)),
        ([Slotted("a")], {"page": "VARCHAR"}, ("a",)),
        (["a"], {"value": "VARCHAR"}, ("a",)),
        ([1.5], {"value": "DOUBLE"}, (1.5,)),
        ([True], {"value": "BOOLEAN"}, (True,)),
        ([b"a"], {"value": "BLOB"}, (b"a",)),
        ([date(2026, 1, 2)], {"value": "DATE"}, (date(2026, 1, 2),)),
        ([Decimal("1.50")], {"value": "DECIMAL(3,2)"}, (Decimal("1.50"),)),
        ([[1, 2]], {"value": "BIGINT[]"}, ([1, 2],)),
        ([("a", ("b", 1))], {"_1": "VARCHAR", "_2": "VARCHAR"}, ("a", '["b", 1]')),
        ([{"spot": {"x": 1}}], {"spot": "STRUCT(x BIGINT)"}, ({"x": 1},)),
        ([{1: "a"}], {"1": "VARCHAR"}, ("a",)),
        ([None, 1], {"value": "BIGINT"}, (None,)),
        ([{"a": 1}, {"b": 2}], {"a": "BIGINT", "b": "BIGINT"}, (1, None)),
        ([("a",), ("a", 2)], {"_1": "VARCHAR", "_2": "BIGINT"}, ("a", None)),
        ([{"a": 1, "A": 2}], {"a": "BIGINT", "A_1": "BIGINT"}, (1, 2)),
        ([{"batch_time": 5}], {"batch_time_1": "BIGINT"}, (5,)),
        ([1, "x"], {"value": "VARCHAR"}, ("1",)),
        ([True, 1], {"value": "VARCHAR"}, ("true",)),
        ([{"a": [1]}, {"a": 1}], {"a": "VARCHAR"}, ("[1]",)),
        ([{1, 2}], {"value": "BIGINT[]"}, ([1, 2],)),
        ([3 + 4j], {"value": "VARCHAR"}, ("(3+4j)",)),
        ([2**64], {"value": "VARCHAR"}, (str(2**64),)),
        (["\ud800", "x"], {"value": "VARCHAR"}, ("\\ud800",)),
    ],
)
def test_one_batch(
    rows: list[Any], types: dict[str, str], first: tuple[Any, ...], feed: Feed, ask: Ask
) -> None:
    feed(rows=[rows])
    assert columns(ask) == types
    assert ask("FROM rows").to_arrow().num_rows == len(rows)
    row = next(iter(ask("SELECT * EXCLUDE batch_time FROM rows")))
    assert tuple(row.values()) == first


@pytest.mark.parametrize(
    ("batches", "kind", "seen"),
    [
        ([[1], [2.5]], "DOUBLE", [1.0, 2.5]),
        ([[None], [1]], "BIGINT", [None, 1]),
        ([[None], [None]], '"NULL"', [None, None]),
        ([[1], ["x"], [None]], "VARCHAR", ["1", "x", None]),
        ([["x"], [True]], "VARCHAR", ["x", "true"]),
        ([[1], [True]], "VARCHAR", ["1", "true"]),
        ([[[1]], [[2.5]]], "DOUBLE[]", [[1.0], [2.5]]),
        ([[[1]], ["x"]], "VARCHAR", ["[1]", "x"]),
        ([[1], [2**64]], "VARCHAR", ["1", str(2**64)]),
        ([[2**60], [0.5]], "DOUBLE", [float(2**60), 0.5]),
        ([[b"\xff"], [1]], "VARCHAR", ["b'\\xff'", "1"]),
        ([[date(2026, 1, 2)], ["x"]], "VARCHAR", ["2026-01-02", "x"]),
        ([[Decimal("1.5")], [2]], "DECIMAL(38,1)", [Decimal("1.5"), Decimal("2.0")]),
    ],
)
def test_batches_of_different_types(
    batches: list[list[Any]], kind: str, seen: list[Any], feed: Feed, ask: Ask
) -> None:
    feed(rows=batches)
    assert columns(ask) == {"value": kind}
    assert values(ask) == seen


def test_structs_that_differ_are_merged_or_json(feed: Feed, ask: Ask) -> None:
    feed(rows=[[{"spot": {"x": 1}}], [{"spot": {"y": "a"}}]])
    assert columns(ask) == {"spot": "STRUCT(x BIGINT, y VARCHAR)"}
    assert values(ask, "spot") == [{"x": 1, "y": None}, {"x": None, "y": "a"}]


def test_structs_that_clash_are_json(feed: Feed, ask: Ask) -> None:
    feed(rows=[[{"spot": {"x": 1}}], [{"spot": {"x": "a"}}, {"spot": None}]])
    assert columns(ask) == {"spot": "VARCHAR"}
    found = ask("SELECT spot->>'x' AS v FROM rows")
    assert [row["v"] for row in found] == ["1", "a", None]


def test_batches_of_different_shapes(feed: Feed, ask: Ask) -> None:
    feed(rows=[[View("a", 1)], [("b",)], [], [3, {"page": "c", "n": 4}]])
    assert columns(ask) == {
        "page": "VARCHAR", "ms": "BIGINT", "_1": "VARCHAR", "value": "BIGINT", "n": "BIGINT",
    }  # fmt: skip
    assert values(ask, "page") == ["a", None, None, "c"]
    assert values(ask, "_1") == [None, "b", None, None]


def test_empty_batches_have_no_columns(feed: Feed, ask: Ask) -> None:
    feed(rows=[[], []])
    assert columns(ask) == {}
    assert len(ask("FROM rows")) == 0


def test_rows_without_fields_count(feed: Feed, ask: Ask) -> None:
    feed(rows=[[{}, {}], [{}]])
    assert values(ask) == [None, None, None]


def test_what_has_no_text_of_its_own(feed: Feed, ask: Ask) -> None:
    loop: list[Any] = []
    loop.append(loop)
    feed(rows=[[{"a": loop}, {"a": {(1, 2): 3}}, {"a": {"k": 4j}}, {"a": 1}]])
    assert values(ask, "a") == ["[[...]]", "{(1, 2): 3}", '{"k": "4j"}', "1"]
