"""Broadcast variables: which batch sees which value, and what is sent."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from livebatch.closures import codes
from livebatch.engine.executors.inline import InlineExecutor
from livebatch.errors import ClosureError, DefinitionError, JobFailed, NotRunning
from livebatch.testing import local_executor
from tests.model.conftest import Cluster
from tests.model.harness import context, watch


class Loaded:
    """A value that notes in a file when a process unpickles it."""

    def __init__(self, log: Path, value: int) -> None:
        self.log, self.value = log, value

    def __reduce__(self) -> Any:
        return noted, (self.log, self.value)


def noted(log: Path, value: int) -> Loaded:
    with log.open("a") as file:
        print(os.getpid(), value, file=file)
    return Loaded(log, value)


def test_a_batch_sees_the_value_that_there_was_when_it_began(cluster: Cluster) -> None:
    with context(cluster.executor(2)) as ssc:
        factor = ssc.broadcast(1)
        numbers = ssc.queue_stream([[1, 2]] * 6)
        scaled = watch(numbers.map(lambda n: n * factor.value))
        late = watch(numbers.map(lambda n: n).repartition(2).filter(lambda n: n < factor.value))
        ssc.start()
        for second in range(1, 4):
            ssc.advance(1)
            factor.refresh(10 * second)
        later = watch(numbers.map(lambda n: n + factor.value))
        ssc.advance(1)
        assert factor.value == 30
    assert scaled == {1: [1, 2], 2: [10, 20], 3: [20, 40], 4: [30, 60]}
    assert {at: sorted(rows) for at, rows in late.items()} == {
        1: [],
        2: [1, 2],
        3: [1, 2],
        4: [1, 2],
    }
    assert later == {4: [31, 32]}


def test_functions_on_rdds_and_what_they_define_see_the_batchs_value(cluster: Cluster) -> None:
    with context(cluster.executor(2)) as ssc:
        name = ssc.broadcast("a")
        numbers = ssc.queue_stream([[1], [2]])
        made = numbers.transform(
            lambda rdd: rdd.map(lambda n, outer=name.value: (n, outer, name.value))
        )
        seen = watch(made)
        totals: Any = ssc.accumulator(0)

        def check(rdd: Any) -> None:
            inner = rdd.map(lambda n: (n, name.value)).collect()
            totals.add(inner == [(1, "a")] or inner == [(2, "b")])

        numbers.foreach_rdd(check)
        ssc.start()
        ssc.advance(1)
        name.refresh("b")
        ssc.advance(1)
        assert totals.value == 2
    assert seen == {1: [(1, "a", "a")], 2: [(2, "b", "b")]}


@pytest.mark.usefixtures("every_block_stored")
def test_a_batch_that_is_computed_again_sees_the_value_that_it_had() -> None:
    executor = InlineExecutor()
    with context(executor) as ssc:
        factor = ssc.broadcast(1)
        numbers = ssc.register("numbers", ssc.queue_stream([[1, 2], [3], [4]]))
        scaled = numbers.map(lambda n: n * factor.value).cache()
        seen = watch(scaled.window(3))
        ssc.start()
        ssc.advance(2)
        factor.refresh(100)
        for block in list(executor.store.ids()):
            if block.startswith(scaled.id):
                executor.store.delete(block)
        ssc.advance(1)
    assert sorted(seen[3]) == [1, 2, 3, 400]


def test_functions_on_batch_rdds_keep_the_value_that_they_were_given() -> None:
    with context() as ssc:
        word = ssc.broadcast("old")
        before = ssc.parallelize([1]).map(lambda n: word.value)
        word.refresh("new")
        after = ssc.parallelize([1]).map(lambda n: word.value)
        assert (before.collect(), after.collect()) == (["old"], ["new"])


@pytest.mark.process
def test_a_value_is_sent_and_unpickled_once_for_each_process(
    tmp_path: Path, runtime_directory: str
) -> None:
    log = tmp_path / "log"
    with local_executor(workers=2) as executor, context(executor) as ssc:
        shared = ssc.broadcast(Loaded(log, 7))
        for _ in range(3):
            rdd = ssc.parallelize(range(8), 4)
            assert rdd.map(lambda n: n + shared.value.value).sum() == 84
            assert rdd.filter(lambda n: n > shared.value.value).count() == 0
        first = log.read_text().splitlines()
        shared.unpersist()
        assert ssc.parallelize(range(8), 4).map(lambda n: n + shared.value.value).sum() == 84
        assert set(executor.pids()) >= {int(line.split()[0]) for line in first}
        assert len(first) == len(set(first)) <= 2
        assert len(log.read_text().splitlines()) > len(first)


def test_what_is_destroyed_cannot_be_used_any_more() -> None:
    with context(on_error="raise") as ssc:
        gone = ssc.broadcast([1])
        seen = watch(ssc.queue_stream([[1], [2]]).map(lambda n: (n, gone.value)))
        ssc.start()
        ssc.advance(1)
        gone.destroy()
        ssc.advance(1)
        with pytest.raises(NotRunning, match="has been destroyed"):
            _ = gone.value
        with pytest.raises(JobFailed, match="has been destroyed"):
            ssc.await_termination(timeout=0)
    assert seen == {1: [(1, [1])]}


def test_a_variable_is_refreshed_on_a_timer_for_whole_batches(
    tmp_path: Path, cluster: Cluster
) -> None:
    source = tmp_path / "source"
    source.write_text("0")
    with context(cluster.executor(2)) as ssc:
        shared = ssc.broadcast(lambda: int(source.read_text()), refresh_every="2s")
        seen = watch(ssc.queue_stream([[0, 0, 0]] * 6).repartition(3).map(lambda n: shared.value))
        ssc.start()
        for second in range(1, 7):
            source.write_text(str(second))
            ssc.advance(1)
        assert shared.value == 6
    assert seen == {at: [value] * 3 for at, value in enumerate([0, 0, 2, 2, 4, 4], 1)}


def test_a_loader_that_raises_leaves_the_value_and_is_told_of(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("1")
    with context() as ssc:
        shared = ssc.broadcast(source.read_text, refresh_every="1s")
        seen = watch(ssc.queue_stream([[0]] * 2).map(lambda n: shared.value))
        source.unlink()
        ssc.start()
        ssc.advance(2)
        with pytest.raises(JobFailed, match="FileNotFoundError"):
            ssc.await_termination(timeout=0)
    assert seen == {1: ["1"], 2: ["1"]}


def test_what_cannot_be_broadcast_is_refused(tmp_path: Path) -> None:
    with context() as ssc:
        with (tmp_path / "file").open("w") as file, pytest.raises(ClosureError):
            ssc.broadcast(file)
        with pytest.raises(DefinitionError, match="refresh_every needs a function"):
            ssc.broadcast(5, refresh_every="1s")
        shared = ssc.broadcast(1)
        changing = ssc.parallelize([1]).map(lambda n: shared.refresh(2))
        with pytest.raises(JobFailed, match="is changed where it was made"):
            changing.collect()


def test_values_of_the_past_are_freed() -> None:
    """What the engine's streams, batches and jobs need is the newest value and few others."""
    with context() as ssc:
        shared = ssc.broadcast(0)
        watch(ssc.queue_stream(default=[1]).map(lambda n: n * shared.value))
        ssc.start()
        for second in range(200):
            shared.refresh(second + 0.5)
            ssc.advance(1)
        used = ssc.stepped.engine.keeping.code_in_use()
    assert len(used) < 80
    assert used <= codes.digests()
