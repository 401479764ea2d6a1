"""A query gives what the same SQL gives over a plain table of the same rows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebatch.columns import conform, from_rows, unified
from livebatch.sql import adhoc, query
from livebatch.testing import START, ManualContext

QUERIES = [
    "SELECT * FROM {t}",
    "SELECT batch_time, count(*), sum(n), max(s), min(x) FROM {t} GROUP BY ALL",
    "SELECT s, count(*), avg(n), sum(x) FROM {t} GROUP BY s",
    "SELECT count(*), count(n), count(DISTINCT s) FROM {t} WHERE n > 0 OR s < 'm'",
    "SELECT a.s, count(*) FROM {t} a JOIN {t} b USING (batch_time, n) GROUP BY ALL",
    "SELECT * FROM {t} WHERE batch_time = (SELECT max(batch_time) FROM {t} WHERE n IS NOT NULL)",
    "SELECT batch_time, n - lag(n) OVER (PARTITION BY s ORDER BY batch_time, n, x) FROM {t}",
    "SELECT date_trunc('minute', batch_time), list(DISTINCT s ORDER BY s) FROM {t} GROUP BY 1",
    "SELECT s, n FROM {t} WHERE batch_time IN (SELECT batch_time FROM {t} WHERE x IS NULL)",
    "(SELECT s FROM {t} EXCEPT SELECT s FROM {t} WHERE n < 0) INTERSECT SELECT s FROM {t}",
    "WITH w AS (SELECT batch_time AS t, n FROM {t}) SELECT t, n FROM w ORDER BY t, n LIMIT 3",
]

numbers = st.none() | st.integers(-(2**40), 2**40)
halves = st.none() | st.integers(-100, 100).map(lambda n: n / 2)  # their sums are exact
texts = st.none() | st.text(max_size=3) | st.sampled_from("ab")
rows = st.fixed_dictionaries({"n": numbers, "s": texts, "x": halves})
times = pa.timestamp("us", tz="UTC")
schema = pa.schema([("batch_time", times), ("n", "int64"), ("s", "string"), ("x", "float64")])


@given(
    batches=st.lists(st.lists(rows, max_size=6), min_size=1, max_size=5).filter(any),
    sql=st.sampled_from(QUERIES),
    share=st.sampled_from([0, 300, 1 << 30]),
)
def test_the_same_as_over_a_table(batches: list[list[Any]], sql: str, share: int) -> None:
    with ManualContext("1s") as ssc, pytest.MonkeyPatch.context() as patched:
        patched.setattr(adhoc, "memory_share", lambda: share)
        ssc.register("stream", ssc.queue_stream(batches))
        ssc.start()
        ssc.advance(len(batches))
        found = query(sql.format(t="stream"), context=ssc).to_arrow()
    assert in_any_order(found) == in_any_order(oracle(sql, batches))


def oracle(sql: str, batches: list[list[Any]]) -> pa.Table:
    dated = [
        {"batch_time": datetime.fromtimestamp(START / 1000 + i + 1, UTC), **row}
        for i, batch in enumerate(batches)
        for row in batch
    ]
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("plain", pa.Table.from_pylist(dated, schema=schema))
        return connection.sql(sql.format(t="plain")).to_arrow_table()


def in_any_order(table: pa.Table) -> list[str]:
    """The rows, as text that does not say which of the types that hold a number holds it."""
    return sorted(
        repr(sorted((name, _plain(value)) for name, value in row.items()))
        for row in table.to_pylist()
    )


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.timestamp()
    return value if value is None or isinstance(value, (str, list)) else float(value)


# -- rows of any shape ---------------------------------------------------------------------------

leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.binary(max_size=2)
values = st.recursive(
    leaves | st.floats() | st.dates() | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=4,
)


@given(st.lists(st.lists(values, min_size=1, max_size=4), min_size=1, max_size=4))
def test_no_value_is_lost_and_none_is_made_up(batches: list[list[Any]]) -> None:
    tables = [from_rows([(value,) for value in batch]) for batch in batches]
    common = unified(table.schema for table in tables)
    for table, batch in zip(tables, batches, strict=True):
        column = conform(table, common).column("_1").to_pylist()
        assert [value is None for value in column] == [value is None for value in batch]


@given(
    st.lists(st.booleans() | st.integers() | st.text(max_size=3), min_size=1, max_size=8), st.data()
)
def test_text_is_the_same_however_rows_are_batched(values: list[Any], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(values)))
    halves = [from_rows([(v,) for v in part]) for part in (values[:cut], values[cut:]) if part]
    common = unified(half.schema for half in halves)
    whole = from_rows([(v,) for v in values])
    if pa.types.is_string(common.field("_1").type) and pa.types.is_string(
        whole.schema.field("_1").type
    ):
        pieces = [v for half in halves for v in conform(half, common).column("_1").to_pylist()]
        assert pieces == whole.column("_1").to_pylist()
