"""Chains of operations on frames give what DuckDB gives of each batch at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from livebatch.engine.executors.inline import InlineExecutor
from livebatch.testing import ManualContext

COLUMNS = {"a": "BIGINT", "b": "BIGINT"}
SCHEMA = pa.schema({"a": pa.int64(), "b": pa.int64()})
TABLE = pa.table({"a": [0, 1, 1, 3, None], "c": [1, 2, 3, 4, 5]})
"""It does not stream."""


class Step(NamedTuple):
    """An operation on a frame with the columns a and b, which it has again; the query of each batch
    that does the same, or how many batches the rows are of."""

    on_frame: Callable[[Any], Any]
    on_batch: str | int


def sql(query: str) -> Step:
    return Step(lambda frame: frame.sql(query), query)


def grouped(key: str, aggregate: str) -> Step:
    return Step(
        lambda frame: frame.group_by(f"{key} AS a").agg(b=f"({aggregate})::BIGINT"),
        f"SELECT {key} AS a, ({aggregate})::BIGINT AS b FROM this GROUP BY {key}",
    )


STEPS = {
    "filter": Step(lambda frame: frame.filter("b % 3 > 0"), "SELECT * FROM this WHERE b % 3 > 0"),
    "select": Step(lambda f: f.select("b AS a, a + b AS b"), "SELECT b AS a, a + b AS b FROM this"),
    "distinct": Step(lambda frame: frame.distinct(), "SELECT DISTINCT * FROM this"),
    "first": Step(
        lambda frame: frame.order_by("a, b").limit(3), "SELECT * FROM this ORDER BY a, b LIMIT 3"
    ),
    "sums": grouped("a", "sum(b)"),
    "counts": grouped("b % 2", "count(*)"),
    "means": grouped("a", "round(avg(b))"),
    "modes": grouped("b", "count(DISTINCT a)"),
    "largest": sql("SELECT max(a) AS a, max(b) AS b FROM this"),
    "having": sql("SELECT b AS a, count(a) AS b FROM this GROUP BY ALL HAVING count(*) > 1"),
    "twice": Step(
        lambda frame: frame.union(frame.filter("a > 1")),
        "SELECT * FROM this UNION ALL SELECT * FROM this WHERE a > 1",
    ),
    "joined": Step(
        lambda frame: frame.join(TABLE, "a").select("c AS a, b"),
        "SELECT c AS a, b FROM this JOIN stands USING (a)",
    ),
    "objects": Step(
        lambda frame: frame.rows().filter(lambda row: row["a"]).to_frame(COLUMNS),
        "SELECT * FROM this WHERE a <> 0",
    ),
    "two batches": Step(lambda frame: frame.window("2s"), 2),
    "three batches": Step(lambda frame: frame.window("3s"), 3),
}
few = st.none() | st.integers(0, 4)
all_batches = st.lists(st.lists(st.tuples(few, few), max_size=12), min_size=1, max_size=5)


@given(all_batches, st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=5))
@example([[(n, n % 3) for n in range(9)]], ["sums", "counts"])
def test_chains_of_operations(batches: list[list[Any]], names: list[str]) -> None:
    steps = [STEPS[name] for name in names]
    with ManualContext("1s", executor=InlineExecutor(2)) as ssc:
        frame: Any = ssc.queue_stream().to_frame(COLUMNS)
        for step in steps:
            frame = step.on_frame(frame)
        found = [[tuple(row.values()) for row in rows] for _, rows in ssc.run_batch(frame, batches)]
    expected = [pa.Table.from_pylist([{"a": a, "b": b} for a, b in batch], SCHEMA)
                for batch in batches]  # fmt: skip
    for step in steps:
        expected = done(step.on_batch, expected)
    for mine, right in zip(found, expected, strict=True):
        assert sorted(mine, key=str) == sorted(
            map(tuple, map(dict.values, right.to_pylist())), key=str
        )


def done(what: str | int, batches: list[pa.Table]) -> list[pa.Table]:
    """Return what a step makes of all batches."""
    if isinstance(what, int):
        windows = (batches[max(0, end - what) : end] for end in range(1, len(batches) + 1))
        return list(map(pa.concat_tables, windows))
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("stands", TABLE)
        return [
            connection.from_arrow(batch).query("this", what).to_arrow_table() for batch in batches
        ]
