"""Aggregates over random batches and windows, against one query over the window's rows."""

from __future__ import annotations

import atexit
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from livebatch.engine.executors.base import Executor
from livebatch.engine.executors.inline import InlineExecutor
from livebatch.engine.executors.local import LocalExecutor
from livebatch.interval import from_datetime
from livebatch.schema import arrow_schema
from livebatch.testing import START, ManualContext
from tests.frames.aggregates import COLUMNS, FROM_ROWS, INCREMENTAL

ALL = INCREMENTAL | FROM_ROWS
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)

rows = st.tuples(
    st.sampled_from(["", "a", "ß", None]),
    st.none() | st.integers(-50, 50),
    st.none() | st.floats(-1e6, 1e6, width=32) | st.just(float("nan")),
    st.none() | st.booleans(),
    st.none() | st.decimals(-99, 99, places=2),
    st.none() | st.integers(0, 99).map(lambda n: EPOCH + timedelta(hours=n)),
    st.none() | st.sampled_from(["x", "yy", "ü"]),
)
batches = st.lists(st.lists(rows, max_size=9), min_size=1, max_size=9)
calls = st.lists(st.sampled_from(sorted(ALL)), min_size=1, max_size=4, unique=True)
Window = tuple[int, int]
windows = st.tuples(st.integers(1, 6), st.integers(1, 3))


def wanted(sql: str, given_rows: Sequence[Any]) -> list[dict[str, Any]]:
    """What DuckDB gives of some rows, all at once."""
    schema = arrow_schema(tuple(COLUMNS.items()))
    columns = zip(*given_rows, strict=True) if given_rows else [[] for _ in schema]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    with database().cursor() as connection:
        connection.register("this", pa.table(arrays, schema=schema))
        found: list[dict[str, Any]] = connection.sql(sql).to_arrow_table().to_pylist()
    return found


@cache
def database() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1}).execute("SET GLOBAL TimeZone = 'UTC'")
    atexit.register(connection.close)
    return connection


def played(
    sql: str, given_batches: list[list[Any]], window: Window, executor: Executor
) -> dict[int, list[dict[str, Any]]]:
    """What a window gives, by the second."""
    found: dict[int, list[dict[str, Any]]] = {}
    with ManualContext("1s", executor=executor) as ssc:
        frame = ssc.queue_stream(given_batches).to_frame(COLUMNS)
        result = frame.window(*window).sql(sql)

        def note(time: datetime, rdd: Any) -> None:
            found[(from_datetime(time) - START) // 1000] = rdd.collect()

        result.foreach_rdd(note, on="kernel")
        ssc.start()
        ssc.advance(len(given_batches))
        ssc.await_termination(timeout=0)
    return found


def check(
    sql: str, names: list[str], given_batches: list[list[Any]], window: Window, executor: Executor
) -> None:
    found = played(sql, given_batches, window, executor)
    length, slide = window
    assert list(found) == list(range(slide, len(given_batches) + 1, slide))
    for at, results in found.items():
        inside = given_batches[max(0, at - length) : at]
        expected = wanted(sql, [row for batch in inside for row in batch])
        assert len(results) == len(expected)
        by_key = {row.get("k"): row for row in results}
        for row in expected:
            for i, name in enumerate(names):
                value = by_key[row.get("k")][f"v{i}"]
                assert ALL[name](value, row[f"v{i}"]), (name, value, row[f"v{i}"])


def written(names: list[str], keyed: bool) -> str:
    items = ", ".join(f"{name} AS v{i}" for i, name in enumerate(names))
    return f"SELECT k, {items} FROM this GROUP BY k" if keyed else f"SELECT {items} FROM this"


@settings(max_examples=15)
@given(calls, st.booleans(), batches, windows, st.integers(1, 3))
def test_windows_are_as_one_query_over_their_rows(
    names: list[str], keyed: bool, given_batches: list[list[Any]], window: Window, slots: int
) -> None:
    if not keyed:  # whose first row in the window it is, nobody promises
        names = [name for name in names if "k" not in name] or ["count(*)"]
    check(written(names, keyed), names, given_batches, window, InlineExecutor(slots))


def test_every_aggregate_in_worker_processes(local: LocalExecutor) -> None:
    given_batches = [
        [("a" if n % 3 else "b", n * at % 17 - 5, n / 4, n % 2 == 0, Decimal(n) / 4,
          EPOCH + timedelta(days=n * at), "xyz"[n % 3]) for n in range(11)]
        for at in range(7)
    ]  # fmt: skip
    names = sorted(ALL)
    for i in range(0, len(names), 9):
        some = names[i : i + 9]
        check(written(some, True), some, given_batches, (4, 1), local)
