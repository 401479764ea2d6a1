"""Tasks that are carried out piece by piece give what they give at once."""

from __future__ import annotations

import tracemalloc
from pickle import loads
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from livebatch import scratch
from livebatch.block import encode, read_parts
from livebatch.closures import builtin, ship
from livebatch.engine.dag import make_task, plan_answer, plan_keep
from livebatch.engine.store import MemoryStore
from livebatch.engine.task import run_task
from livebatch.frames.framed import framed
from livebatch.rdd import RDD, stored
from livebatch.rdd.operation import Read, Tabled
from livebatch.tasks import Done, Failed, Task
from tests.engine.lineages import COLLECT, kept

CHAINS: dict[str, Any] = {
    "by record": lambda rdd: rdd.map(lambda n: n + 1).filter(lambda n: n % 3).flat_map(range),
    "values": lambda rdd: rdd.map(lambda n: (n, n)).map_values(str),
    "side by side": lambda rdd: rdd.union(rdd).map(lambda n: n + 1).coalesce(1),
    "whole partitions": lambda rdd: rdd.map(abs).map_partitions(lambda rows: [sum(rows)]),
    "a frame": lambda rdd: RDD(
        Tabled(builtin(framed, "rows", (("n", "BIGINT"), ("m", "VARCHAR")), "fail")),
        [rdd.map(lambda n: {"n": n})],
    ),
    "shuffled": lambda rdd: rdd.map(lambda n: (n % 2, n)).repartition(3),
}


def task_of(rdd: RDD[Any], answers: bool) -> Task:
    stages = plan_answer("job", rdd, COLLECT) if answers else plan_keep(kept(rdd))
    return make_task(stages[0], 0, 1, {}, True)


def result(task: Task, store: MemoryStore, pieces: int) -> Any:
    outcome = run_task(replace(task, pieces=pieces), store)
    assert isinstance(outcome, Done), outcome
    if outcome.block is None:
        assert outcome.answer is not None
        return [*loads(outcome.answer)]
    index = outcome.block.index
    parts = [outcome.block.at(i) for i in range(len(index) - 1)] or [outcome.block]
    return outcome.block.format, [[*read_parts(part, store)] for part in parts]


@pytest.mark.parametrize("answers", [True, False])
@pytest.mark.parametrize("chain", CHAINS)
@settings(max_examples=20)
@given(
    st.lists(st.lists(st.integers(0, 20), max_size=20), min_size=1, max_size=2),
    st.sampled_from([2, 8, 64]),
)
def test_pieces_change_no_result(
    chain: str, answers: bool, blocks: list[list[int]], pieces: int
) -> None:
    store = MemoryStore()
    refs = tuple(store.put(encode(rows), f"b{i}") for i, rows in enumerate(blocks))
    rdd = CHAINS[chain](stored([refs[0]]))
    task = task_of(rdd, answers)
    assert result(task, store, pieces) == result(task, store, 1)


def peak(task: Task, store: MemoryStore, pieces: int) -> int:
    """The bytes of Python objects that a task needs at once."""
    tracemalloc.start()
    try:
        result(task, store, pieces)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_pieces_take_less_memory() -> None:
    store, columns = MemoryStore(), (("s", "VARCHAR"),)
    rows = stored([store.put(encode([*range(4000)]), "b")]).map(lambda n: {"s": f"{n:01000}"})
    task = task_of(RDD(Tabled(builtin(framed, "rows", columns, "fail")), [rows]).map(len), True)
    assert peak(task, store, 8) < 0.4 * peak(task, store, 1)


def exhausted() -> Any:
    raise MemoryError


def test_a_task_without_memory_says_so_and_names_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "memory", scratch.Memory(512 << 20))
    task = task_of(RDD(Read((ship(exhausted),))), True)
    failed = run_task(task, MemoryStore())
    assert isinstance(failed, Failed)
    assert (failed.memory, failed.failure.kind) == (True, "MemoryError")
    assert "memory limit of 512 MiB" in failed.failure.message


def test_records_are_left_out_for_want_of_memory_only_at_the_second_try() -> None:
    def hungry(n: int) -> int:
        if n == 3:
            raise MemoryError
        return n

    store = MemoryStore()
    rdd = stored([store.put(encode([*range(10)]), "b")]).map(hungry)
    task = replace(task_of(rdd, False), strict=False)
    assert isinstance(run_task(task, store), Failed)
    done = run_task(replace(task, pieces=8), store)
    assert isinstance(done, Done)
    assert done.bad is not None
    assert done.bad.count == 1
