"""Queries of an engine that is a process of its own, while it goes on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

import livebatch as lb
from livebatch.engine.store import SharedMemoryStore
from livebatch.events import EngineStatus
from livebatch.sql import query
from livebatch.sql.adhoc import store_of
from livebatch.sql.recent import Recent
from livebatch.sql.span import Span
from tests.helpers import eventually

pytestmark = pytest.mark.process

LARGE = 50_000


@pytest.fixture(scope="module")
def ssc() -> Iterator[lb.StreamingContext]:
    """A context with a stream of large blocks, one of small ones and one of pickled rows."""
    with lb.StreamingContext("100ms", workers=2) as ssc:
        numbers = ssc.queue_stream(default=range(LARGE))
        ssc.register("numbers", numbers, "10s")
        ssc.register("totals", numbers.reduce(lambda a, b: a + b))
        ssc.register("odd", numbers.filter(lambda n: n % 10_000 == 0).map(lambda n: {"n": {n}}))
        ssc.start()
        eventually(lambda: all(stream.batches >= 3 for stream in ssc.status().streams))
        yield ssc


def test_rows_of_every_stream(ssc: lb.StreamingContext) -> None:
    sql = "SELECT count(*) AS n, sum(value) AS s, count(DISTINCT batch_time) AS b FROM numbers"
    (row,) = query(sql, batches=3, context=ssc)
    assert row == {"n": 3 * LARGE, "s": 3 * LARGE * (LARGE - 1) // 2, "b": 3}
    assert list(query("SELECT DISTINCT value FROM totals", context=ssc)) == [
        {"value": LARGE * (LARGE - 1) // 2}
    ]
    odd = query("SELECT DISTINCT unnest(n) AS n FROM odd ORDER BY 1", context=ssc)
    assert [row["n"] for row in odd] == list(range(0, LARGE, 10_000))


def test_streams_are_joined_by_batch(ssc: lb.StreamingContext) -> None:
    sql = (
        "SELECT n.batch_time, any_value(t.value) = sum(n.value) AS same FROM numbers n "
        "JOIN totals t USING (batch_time) GROUP BY ALL"
    )
    rows = list(query(sql, last="1s", context=ssc))
    assert len(rows) >= 2
    assert all(row["same"] for row in rows)


def test_large_blocks_are_mapped(ssc: lb.StreamingContext) -> None:
    store = store_of(ssc.connection)
    assert isinstance(store, SharedMemoryStore)
    status = ssc.status()
    assert isinstance(status, EngineStatus)
    (numbers,) = (stream for stream in status.streams if stream.name == "numbers")
    batches = Span(limit=2).fetch(numbers, ssc.connection)
    before = pa.total_allocated_bytes()
    recent = Recent(batches, store, 1 << 30)
    assert recent.nbytes >= 2 * LARGE * 8
    assert pa.total_allocated_bytes() - before < LARGE


def test_another_process_may_ask(ssc: lb.StreamingContext) -> None:
    other = lb.StreamingContext.attach(ssc.status().name)
    try:
        (row,) = query("SELECT max(value) AS n FROM numbers", batches=1, context=other)
    finally:
        other.detach()
    assert row == {"n": LARGE - 1}


def test_batches_go_on_while_a_query_runs(ssc: lb.StreamingContext) -> None:
    def newest() -> int:
        return max(stream.last or 0 for stream in ssc.status().streams)

    before = newest()
    sql = "SELECT count(*) AS n FROM numbers a, totals b WHERE a.value % 7 = b.value % 7"
    seen = np.array([query(sql, batches=2, context=ssc).origins[0].last for _ in range(10)])
    assert (np.diff(seen) >= 0).all()
    eventually(lambda: newest() > max(before, int(seen.max())))
