"""Random programs over batch RDDs: equal to plain Python, on every executor, whoever dies."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livebatch.engine.executors.base import Executor
from livebatch.engine.executors.local import LocalExecutor
from tests.helpers import eventually
from tests.model.harness import context
from tests.model.killing import KillingExecutor
from tests.model.programs import ACTIONS, OPERATIONS, ROWS, Program, Step, programs

ACTION = st.sampled_from(sorted(ACTIONS))


def check(program: Program, action: str, executor: Executor | None = None) -> None:
    """Check an action on the last dataset of a program, then, the rows of all."""
    lists = program.on_lists()
    on_rdd, on_list = ACTIONS[action]
    collected, counted = ACTIONS["collect"]
    with context(executor) as ssc:
        rdds = program.on_rdds(ssc)
        assert on_rdd(rdds[-1]) == on_list(lists[-1])
        for rdd, rows in zip(rdds, lists, strict=True):
            assert collected(rdd) == counted(rows)
        for rdd in rdds:
            rdd.unpersist()
        assert collected(rdds[-1]) == counted(lists[-1])


@settings(max_examples=150)
@given(programs(), ACTION)
def test_a_program_gives_what_plain_python_gives(program: Program, action: str) -> None:
    check(program, action)


@pytest.mark.parametrize("name", OPERATIONS)
@settings(max_examples=15)
@given(data=st.data())
def test_an_operation_gives_what_plain_python_gives(name: str, data: st.DataObject) -> None:
    arity = OPERATIONS[name].arity
    inputs = [(data.draw(ROWS), data.draw(st.integers(1, 4))) for _ in range(arity)]
    step = Step(name, tuple(range(arity)), data.draw(st.none() | st.integers(1, 3)))
    check(Program(tuple(inputs), (step,)), "collect")


@pytest.mark.process
@settings(max_examples=15)
@given(programs(), ACTION)
def test_workers_give_what_plain_python_gives(
    local: LocalExecutor, program: Program, action: str
) -> None:
    check(program, action, local)


@pytest.mark.process
@settings(max_examples=8)
@given(programs(), ACTION, st.integers(1, 3), st.sets(st.integers(4, 15), max_size=2))
def test_killed_workers_change_no_answer(
    local: LocalExecutor, program: Program, action: str, first: int, later: set[int]
) -> None:
    executor = KillingExecutor(local, {first, *later})
    check(program, action, executor)
    assert executor.killed
    eventually(lambda: local.poll(0.05) or not set(executor.killed) & set(local.pids()))


@given(ROWS, st.integers(1, 4), st.floats(0, 1), st.integers(0, 99))
def test_a_sample_is_some_of_the_rows_and_the_same_again(
    rows: list[Any], parts: int, fraction: float, seed: int
) -> None:
    with context() as ssc:
        rdd = ssc.parallelize(list(enumerate(rows)), parts)
        drawn = rdd.sample(False, fraction, seed).collect()
        assert drawn == [row for row in enumerate(rows) if row in drawn]
        assert rdd.sample(False, fraction, seed).collect() == drawn


@given(ROWS, st.integers(1, 4), st.integers(1, 3), st.booleans())
def test_sorted_rows_come_in_order(rows: list[Any], parts: int, into: int, ascending: bool) -> None:
    with context() as ssc:
        found = ssc.parallelize(rows, parts).sort_by(lambda row: row[1], ascending, into)
        numbers = [value for _, value in found.collect()]
    assert numbers == sorted((value for _, value in rows), reverse=not ascending)
