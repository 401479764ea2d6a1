"""Accumulators: what counts, and how often; and what a task can know of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livebatch.accumulator import PLAIN, AccumulatorParam
from livebatch.engine.accumulators import MANY
from livebatch.engine.executors.inline import InlineExecutor
from livebatch.errors import DefinitionError, JobFailed
from livebatch.taskcontext import TaskContext
from livebatch.testing import local_executor
from tests.model.conftest import Cluster
from tests.model.harness import context, watch
from tests.model.killing import KillingExecutor


class Together(AccumulatorParam[set[Any]]):
    """Sets, united."""

    def zero(self, value: set[Any]) -> set[Any]:
        return set()

    def add_in_place(self, value1: set[Any], value2: set[Any]) -> set[Any]:
        value1 |= value2
        return value1


def test_every_record_counts_once_however_many_outputs_there_are(cluster: Cluster) -> None:
    with context(cluster.executor(2)) as ssc:
        seen, total = ssc.accumulator(0), ssc.accumulator(0.5)

        def count(n: int) -> int:
            nonlocal seen
            seen += 1
            total.add(n)
            return n

        counted = ssc.queue_stream([[1, 2], [3], []]).map(count).cache()
        watch(counted)
        watch(counted.repartition(3))
        watch(counted.window(2))
        inside: list[Any] = []
        counted.foreach_rdd(lambda rdd: inside.append(rdd.count()), on="kernel")
        ssc.start()
        ssc.advance(3)
        assert (seen.value, total.value) == (3, 6.5)
        assert inside == [2, 1, 0]


def test_what_a_failed_attempt_added_does_not_count() -> None:
    with context() as ssc:
        tried = ssc.accumulator(0)

        def picky(n: int) -> int:
            tried.add(1)
            return 6 // n

        seen = watch(ssc.queue_stream([[*range(1, 300), 0], [0]]).map(picky))
        ssc.start()
        ssc.advance(2)
        assert tried.value == 300  # the second batch failed as a whole
    assert len(seen[1]) == 299
    assert 2 not in seen


@pytest.mark.process
def test_what_a_worker_added_before_it_died_does_not_count(local: Any) -> None:
    executor = KillingExecutor(local, {2, 5, 9})
    with context(executor) as ssc:
        seen = ssc.accumulator(0)
        counted = ssc.queue_stream([range(100)] * 4).repartition(3)
        watch(counted.map(lambda n: (seen.add(1), n)[1]).map(lambda n: (n % 5, n)).group_by_key())
        ssc.start()
        ssc.advance(4)
        assert seen.value == 400
    assert executor.killed


@pytest.mark.usefixtures("every_block_stored")
def test_what_is_computed_again_counts_no_second_time() -> None:
    executor = InlineExecutor()
    with context(executor) as ssc:
        seen = ssc.accumulator(0)
        kept = ssc.queue_stream([[1, 2], [3], [4]]).map(lambda n: (seen.add(1), n)[1]).cache()
        windows = watch(kept.window(3))
        ssc.start()
        ssc.advance(2)
        for block in list(executor.store.ids()):
            executor.store.delete(block)
        ssc.advance(1)
        assert sorted(windows[3]) == [1, 2, 3, 4]
        assert seen.value == 4


def test_every_action_on_a_batch_rdd_counts() -> None:
    with context() as ssc:
        seen = ssc.accumulator(0)
        rdd = ssc.parallelize(range(10)).map(lambda n: (seen.add(1), n)[1])
        rdd.count()
        rdd.map(lambda n: (n, 1)).group_by_key().count()
        assert seen.value == 20


@settings(max_examples=20)
@given(st.lists(st.lists(st.integers(-2, 2) | st.just(PLAIN - 1), max_size=5), max_size=5))
def test_sums_are_exact_whatever_their_size(batches: list[list[int]]) -> None:
    with context() as ssc:
        total: Any = ssc.accumulator(PLAIN - 2)
        for batch in batches:
            ssc.parallelize(batch).foreach(total.add)
        assert total.value == PLAIN - 2 + sum(map(sum, batches))


def test_other_values_are_added_up_by_a_param_and_kept_small() -> None:
    with context() as ssc:
        words: Any = ssc.accumulator({"first"}, Together())
        watch(ssc.queue_stream(default=["a", "b"]).map(lambda w: words.add({w})))
        ssc.start()
        ssc.advance(2 * MANY)
        assert words.value == {"first", "a", "b"}
        assert len(ssc.runner.pieces_of(words.aid)) <= MANY


def test_numbers_that_do_not_travel_as_such_are_kept_small_too() -> None:
    with context() as ssc:
        total: Any = ssc.accumulator(1j)
        large: Any = ssc.accumulator(0)
        for _ in range(MANY + 5):
            total += 1j
            large += PLAIN
        assert (total.value, large.value) == (1j * (MANY + 6), PLAIN * (MANY + 5))
        ssc.stepped.run()  # the driver adds up
        assert len(ssc.runner.pieces_of(total.aid)) < 10


def test_functions_on_rdds_read_and_set_it(tmp_path: Path) -> None:
    said = tmp_path / "said"
    with context() as ssc:
        rows = ssc.accumulator(0)

        def note(rdd: Any) -> None:
            rdd.foreach(lambda row: rows.add(1))
            rows.add(10)
            with said.open("a") as file:
                print(rows.value, file=file)

        ssc.queue_stream([[1, 2], [3]]).foreach_rdd(note)
        ssc.start()
        ssc.advance(1)
        rows.value = 100
        ssc.advance(1)
        ssc.await_termination(timeout=0)
    assert said.read_text().split() == ["12", "111"]


def test_what_accumulators_refuse() -> None:
    with context() as ssc:
        with pytest.raises(DefinitionError, match="give an AccumulatorParam"):
            ssc.accumulator("text")
        seen = ssc.accumulator(0)
        with pytest.raises(JobFailed, match="outside of tasks only"):
            ssc.parallelize([1]).map(lambda n: seen.value).collect()


# -- the context of a task -------------------------------------------------------------------


def whereabouts(row: Any) -> Any:
    task = TaskContext.get()
    assert task is not None
    time = task.batch_time()
    return task.stage_id(), task.partition_id(), task.attempt_number(), task.task_attempt_id(), time


def test_a_task_knows_where_it_is(cluster: Cluster) -> None:
    with context(cluster.executor(2)) as ssc:
        found = ssc.parallelize([0] * 3, 3).map(whereabouts).collect()
        assert {stage for stage, *_ in found} == {found[0][0]}
        assert [partition for _, partition, *_ in found] == [0, 1, 2]
        assert len({attempt for *_, attempt, _ in found}) == 3
        assert {(before, time) for _, _, before, _, time in found} == {(0, None)}
        other = ssc.parallelize([0], 1).map(whereabouts).collect()
        assert other[0][0] > found[0][0]
        assert TaskContext.get() is None


def test_every_task_of_a_batch_knows_the_batchs_time(cluster: Cluster) -> None:
    def when(row: Any) -> int:
        return int(whereabouts(row)[-1].timestamp()) % 100

    with context(cluster.executor(2)) as ssc:
        zero = ssc.clock.now() // 1000 % 100
        times = ssc.queue_stream([[1], [2]]).map(lambda n: (n, when(n)))
        seen = watch(times.group_by_key(2).map(lambda row: (row[1][0] - zero, when(row) - zero)))
        inside: Any = ssc.accumulator(0)

        def check(time: Any, rdd: Any) -> None:
            jobs = rdd.map(lambda row: when(row) == int(time.timestamp()) % 100).collect()
            inside.add(jobs == [True])

        times.foreach_rdd(check)
        ssc.start()
        ssc.advance(2)
        ssc.await_termination(timeout=0)
        assert inside.value == 2
    assert seen == {1: [(1, 1)], 2: [(2, 2)]}


@pytest.mark.process
def test_a_task_knows_how_often_it_was_tried(runtime_directory: str) -> None:
    with local_executor(workers=1) as one, context(KillingExecutor(one, {1})) as ssc:
        while not one.ready:
            one.poll(0.1)
        found = ssc.parallelize([0], 1).map(whereabouts).collect()
    assert found[0][2] == 1
