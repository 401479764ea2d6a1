"""The DuckDB of a process: a query gives the same from its plan as when it is planned anew."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livebatch.frames import kernel as kernels
from livebatch.frames.kernel import Kernel

QUERIES = [
    "SELECT k, sum(n) AS n FROM this GROUP BY k",
    "SELECT k, n FROM this WHERE n > 3 ORDER BY k LIMIT 2",
    "SELECT a.k, b.n FROM this AS a JOIN this AS b USING (k) WHERE a.n < b.n",
    "WITH keys AS (SELECT DISTINCT k FROM this) SELECT count(*) AS n FROM keys",
]
TABLES = st.lists(st.tuples(st.sampled_from("abcdefg"), st.integers(0, 9)), max_size=30)


def table(rows: list[tuple[str, int]]) -> pa.Table:
    columns = [[k for k, _ in rows], [n for _, n in rows]]
    return pa.table(columns, schema=pa.schema([("k", pa.string()), ("n", pa.int64())]))


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(QUERIES), st.lists(TABLES, max_size=4))
def test_rows_and_their_order_are_the_same_from_a_plan(
    sql: str, batches: list[list[tuple[str, int]]]
) -> None:
    again = Kernel()
    for rows in batches:
        anew = Kernel().run(sql, {"this": table(rows)})
        assert again.run(sql, {"this": table(rows)}).equals(anew)


def test_columns_of_other_types_have_a_plan_of_their_own() -> None:
    some, sql = Kernel(), "SELECT max(n) AS n FROM this"
    for n in (1, "x", 2, "y"):
        assert some.run(sql, {"this": pa.table({"n": [n]})}).to_pylist() == [{"n": n}]


def test_few_plans_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "MOST", 2)
    some = Kernel()
    for n in (1, 2, 3, 1):
        assert some.run(
            f"SELECT n + {n} AS n FROM this", {"this": pa.table({"n": [1]})}
        ).to_pydict() == {"n": [n + 1]}
    assert len(some._prepared) == 2


def test_large_results_are_not_copied_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "FEW", 3)
    some, sql = Kernel(), "SELECT n FROM this"
    for count in (2, 5, 5, 1):
        found = some.run(sql, {"this": pa.table({"n": range(count)})})
        assert found.column("n").to_pylist() == list(range(count))
        assert bool(some._prepared) == (count < 3)


def test_queries_over_small_tables_are_planned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "SMALL", 3)
    some, sql = Kernel(), "SELECT sum(n * m) AS x FROM this JOIN that USING (k)"
    for count in (5, 2, 1, 5):
        this = pa.table({"k": range(count), "n": [1] * count})
        that = pa.table({"k": [0, 4], "m": [10, 7]})
        found = some.run(sql, {"this": this, "that": that})
        assert found.column("x").to_pylist() == [17 if count == 5 else 10]
        if count == 2:
            [plan] = some._prepared.values()
    assert list(some._prepared.values()) == [plan]


def test_a_plan_calls_the_function_that_has_the_name_now() -> None:
    some, found, one = Kernel(), list[Any](), {"this": pa.table({"n": [1]})}
    for key, function in (("twice", lambda n: n * 2), ("thrice", lambda n: n * 3)):
        some.keep_function("times", key, function, ["BIGINT"], "BIGINT", False)
        found += [some.run("SELECT times(n) AS n FROM this", one).to_pydict() for _ in range(2)]
    assert found == [{"n": [2]}, {"n": [2]}, {"n": [3]}, {"n": [3]}]


def test_a_query_that_fails_does_not_spoil_its_plan() -> None:
    some, sql = Kernel(), "SELECT CAST(s AS BIGINT) AS n FROM this"
    for text, expected in (("1", 1), ("x", None), ("2", 2)):
        given_table = {"this": pa.table({"s": [text]})}
        if expected is None:
            with pytest.raises(Exception, match="Could not convert"):
                some.run(sql, given_table)
        else:
            assert some.run(sql, given_table).to_pylist() == [{"n": expected}]


def test_a_plan_that_is_used_again_warns_of_nothing(recwarn: pytest.WarningsRecorder) -> None:
    kernel, table = Kernel(), pa.table({"n": [1, 2]})
    for _ in range(3):
        kernel.run("SELECT max(n) AS n FROM this", {"this": table})
    assert not recwarn.list
