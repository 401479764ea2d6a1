"""Blocks that vanish from the store are computed again, from what they were computed from."""

from __future__ import annotations

from collections.abc import Callable
from operator import add, itemgetter, sub
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livebatch.engine.executors.local import LocalExecutor
from livebatch.errors import JobFailed
from livebatch.interval import to_datetime
from livebatch.testing import START, ManualContext
from tests.model.harness import bags, context, history, watch

pytestmark = pytest.mark.usefixtures("every_block_stored")

BATCHES = [[("a", n), ("b", -n), (n, n)] for n in range(8)]


def counted(key: Any, value: Any, state: Any) -> Any:
    if not state.is_timing_out():
        state.update(state.get(0) + 1)
    return key, state.get(0)


EXPRESSIONS: dict[str, Callable[[Any], Any]] = {
    "window": lambda s: s.map_values(abs).window(4),
    "window of windows": lambda s: s.map_values(abs).window(2, 2).window(4, 2).count(),
    "inverse window": lambda s: s.reduce_by_key_and_window(add, sub, 4, 1, 2),
    "merged window": lambda s: s.reduce_by_key_and_window(max, None, 7, 1, 2),
    "grouped window": lambda s: s.group_by_key_and_window(4, 2).map_values(sorted),
    "sketched window": lambda s: s.count_approx_distinct_by_window(7),
    "counts by window": lambda s: s.count_by_value_and_window(3),
    "state": lambda s: s.update_state_by_key(lambda new, n: (n or 0) + len(new), 2),
    "mapped state": lambda s: s.map_with_state(counted, timeout=2, num_partitions=2),
    "snapshots": lambda s: s.map_with_state(counted).state_snapshots(),
    "sessions": lambda s: s.session_window(2, 0, add).map(itemgetter(0, 1)),
    "transform": lambda s: s.transform(lambda rdd: rdd.union(rdd)).window(3).reduce_by_key(add),
}


def stored(ssc: ManualContext) -> list[str]:
    return sorted(ssc.stepped.executor.store.ids())  # type: ignore[attr-defined]


def delete(ssc: ManualContext, *blocks: str) -> None:
    for block in blocks:
        ssc.stepped.executor.store.delete(block)


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_lost_blocks_change_no_answer(name: str) -> None:
    build = EXPRESSIONS[name]
    expected = bags(build(history(BATCHES)).batches)

    @settings(max_examples=15)
    @given(st.lists(st.tuples(st.integers(1, 8), st.integers(0, 99)), max_size=20))
    def check(losses: list[tuple[int, int]]) -> None:
        with context() as ssc:
            seen = watch(build(ssc.queue_stream(BATCHES)))
            ssc.start()
            for at in range(1, 9):
                ssc.advance(1)
                blocks = stored(ssc) or ["none"]
                delete(ssc, *(blocks[i % len(blocks)] for when, i in losses if when == at))
            ssc.await_termination(timeout=0)
        assert bags(seen) == expected

    check()


def test_a_query_of_a_lost_batch_computes_it_again() -> None:
    with context() as ssc:
        named = ssc.register("pairs", ssc.queue_stream(BATCHES).map_values(abs))
        ssc.start()
        ssc.advance(3)
        delete(ssc, *stored(ssc)[:2])
        for at in (1, 2, 3):
            time = named.at(_seconds(ssc, at))
            assert sorted(map(str, time.collect())) == sorted(map(str, _absolute(at)))


def test_a_query_of_batches_that_were_lost_and_forgotten_says_so() -> None:
    with context() as ssc:
        pairs = ssc.register("pairs", ssc.queue_stream(BATCHES), retain="1s")
        ssc.start()
        ssc.advance(1)
        old = pairs.latest()
        ssc.advance(5)
        with pytest.raises(JobFailed, match=r"BlockLost: block .* is no longer in the store"):
            old.collect()
        assert pairs.latest().collect() == BATCHES[5]


def test_a_block_is_lost_under_a_query_with_a_shuffle() -> None:
    with context() as ssc:
        pairs = ssc.register("pairs", ssc.queue_stream(BATCHES).map_values(abs))
        ssc.start()
        ssc.advance(4)
        delete(ssc, stored(ssc)[0], stored(ssc)[-1])
        sums = pairs.last("4s").filter(lambda pair: pair[0] in ("a", "b")).reduce_by_key(add, 3)
        assert sums.collect_as_map() == {"a": 6, "b": 6}


@pytest.mark.process
def test_a_file_that_vanishes_is_computed_again(local: LocalExecutor) -> None:
    text = "x" * 100_000  # more than travels inside a message
    batches = [[(n, text)] for n in range(4)]
    with context(local) as ssc:
        seen = watch(ssc.queue_stream(batches).map_values(len).flat_map_values(
            lambda n: ["y" * n]).window(3).map_values(len))  # fmt: skip
        ssc.start()
        for _ in batches:
            ssc.advance(1)
            delete(ssc, stored(ssc)[-1])
        ssc.await_termination(timeout=0)
    assert {at: sorted(rows) for at, rows in seen.items()} == {
        1: [(0, 100_000)],
        2: [(0, 100_000), (1, 100_000)],
        3: [(n, 100_000) for n in range(3)],
        4: [(n, 100_000) for n in range(1, 4)],
    }


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_all_blocks_may_be_lost_at_once(name: str) -> None:
    build = EXPRESSIONS[name]
    with context() as ssc:
        seen = watch(build(ssc.queue_stream(BATCHES)))
        ssc.start()
        ssc.advance(7)
        delete(ssc, *stored(ssc))
        ssc.advance(1)
        ssc.await_termination(timeout=0)
    assert bags({8: seen[8]}) == bags({8: build(history(BATCHES)).batches[8]})


def _seconds(ssc: ManualContext, at: int) -> Any:
    return to_datetime(START + at * 1000)


def _absolute(at: int) -> list[Any]:
    return [(key, abs(value)) for key, value in BATCHES[at - 1]]
