"""The records that a stream lacks are a stream themselves."""

from __future__ import annotations

from typing import Any

import pytest

from livebatch.testing import START
from tests.model.conftest import Cluster
from tests.model.harness import context, watch

BATCHES = [[*range(400)], [*range(1, 400)], [*range(-1, 400), 0], []]


def inverse(n: int) -> int:
    return 100 // n


def test_bad_records_come_with_the_next_batch(cluster: Cluster) -> None:
    with context(cluster.executor(2)) as ssc:
        stream = ssc.queue_stream(BATCHES).map(inverse)
        seen, good = watch(stream.errors), watch(stream)
        ssc.start()
        ssc.advance("4s")
    assert {at: [row["record"] for row in rows] for at, rows in seen.items()} == {
        1: [], 2: ["0"], 3: [], 4: ["0", "0"],
    }  # fmt: skip
    assert [len(rows) for rows in good.values()] == [399, 399, 400, 0]
    error = seen[2][0]
    assert (error["error"], error["time"].timestamp() * 1000) == ("ZeroDivisionError", START + 1000)
    assert "integer division or modulo by zero" in error["message"]
    assert "return 100 // n" in error["traceback"]
    assert error["traceback"].endswith("for the record 0")


def test_each_stream_tells_of_its_own_errors_whatever_else_is_computed_from_it() -> None:
    with context() as ssc:
        first = ssc.queue_stream(BATCHES).map(inverse)
        second_ = ssc.register("second", first.map(lambda n: [100][n == 100] if n != 99 else n))
        bad_at_first, bad_later = watch(first.errors), watch(second_.errors)
        assert watch(second_.errors.count()) == {}
        total = watch(first.map(lambda n: (0, n)).reduce_by_key(max))
        ssc.start()
        ssc.advance("2s")
    assert [row["record"] for row in bad_at_first[2]] == ["0"]
    assert [row["record"] for row in bad_later[2]] == ["100"]
    assert total[1] == [(0, 100)]


def test_errors_on_the_way_through_a_shuffle_are_found(cluster: Cluster) -> None:
    with context(cluster.executor(2)) as ssc:
        stream = ssc.queue_stream(BATCHES).map(lambda n: (n % 2, inverse(n))).reduce_by_key(max)
        seen = watch(stream.errors)
        ssc.start()
        ssc.advance("2s")
    assert [row["record"] for row in seen[2]] == ["0"]


def test_errors_are_a_stream_like_any_other() -> None:
    with context() as ssc:
        stream = ssc.register("ratios", ssc.queue_stream(BATCHES).map(inverse))
        bad = ssc.register("bad", stream.errors)
        counts = watch(bad.window("4s").map(lambda e: e["error"]).count_by_value())
        ssc.start()
        ssc.advance("4s")
        found = ssc.query("SELECT record, error, count(*) AS n FROM bad GROUP BY ALL").to_pandas()
        assert bad.schema.names == ["record", "error", "message", "traceback", "time"]
        assert ssc.explain(bad).startswith("bad = errors")
        run = ssc.run_batch(bad, BATCHES)
    assert counts[4] == [("ZeroDivisionError", 3)]
    assert found.values.tolist() == [["0", "ZeroDivisionError", 3]]
    assert [len(rows) for rows in run.batches] == [0, 1, 0, 2]


def test_up_to_a_hundred_of_a_batch_are_told_of() -> None:
    with context() as ssc:
        stream = ssc.queue_stream([[0] * 150 + [1] * 20_000]).map(inverse)
        seen = watch(stream.errors)
        ssc.start()
        ssc.advance("2s")
    assert len(seen[2]) == 100


def test_who_watches_goes_with_the_errors() -> None:
    with context() as ssc:
        stream = ssc.queue_stream(BATCHES).map(inverse)
        ssc.register("bad", stream.errors)
        ssc.start()
        ssc.advance("2s")
        ssc.remove("bad")
        graph = ssc.stepped.engine.graph
        assert (graph.outputs, graph.nodes) == ({}, {})


def test_errors_follow_a_stream_that_is_replaced() -> None:
    with context() as ssc:
        numbers = ssc.register("numbers", ssc.queue_stream([[1]] * 9))
        ssc.register("ratios", numbers.map(inverse))
        seen = watch(ssc.streams["ratios"].errors)
        ssc.start()
        ssc.advance("1s")
        ssc.register("ratios", numbers.flat_map(lambda n: range(400)).map(inverse))
        ssc.advance("2s")
    assert [len(rows) for rows in seen.values()] == [0, 0, 1]


def test_a_stream_of_longer_slide_has_its_errors_at_its_own_batches() -> None:
    with context() as ssc:
        stream = ssc.queue_stream([[*range(300)], [], [], []]).window("2s", "2s").map(inverse)
        seen: dict[int, Any] = watch(stream.errors.map(lambda e: e["record"]))
        ssc.start()
        ssc.advance("4s")
    assert seen == {2: [], 4: ["0"]}


@pytest.mark.process
def test_errors_reach_a_context_of_an_engine_process() -> None:
    import livebatch as lb
    from tests.helpers import eventually

    with lb.StreamingContext("100ms", workers=1) as ssc:
        stream = ssc.queue_stream([[*range(300)]]).map(inverse)
        bad = ssc.register("bad", stream.errors)
        ssc.start()
        eventually(lambda: any(rdd.collect() for rdd in ssc.settled(bad)))
