"""Jobs from lineage to result, run in this thread: transforms, lost blocks, cancelling."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from operator import add
from pathlib import Path
from typing import Any

import pytest

from livebatch.block import BlockRef, encode
from livebatch.calls import Call
from livebatch.closures import Function, builtin, ship
from livebatch.engine.commands import JobDone
from livebatch.engine.config import PlanOnly
from livebatch.engine.driver import InlineDriver
from livebatch.engine.executors.inline import InlineExecutor
from livebatch.engine.jobs import MAX_REPLANS, Job, Jobs
from livebatch.engine.store import MemoryStore
from livebatch.errors import BlockLost
from livebatch.failure import Failure
from livebatch.operators.transform import without_time
from livebatch.rdd import RDD, stored
from livebatch.rdd.operation import Deferred, Stored
from livebatch.tasks import Task
from tests.engine.lineages import COLLECT, kept, place, source

LARGE = "x" * 100_000
"""Too large to travel in a message, so that it has to be in the store."""


class Executor(InlineExecutor):
    """Remembers the stage of each task it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.stages: list[str] = []

    def submit(self, task: Task) -> None:
        self.stages.append(place(task.id)[0])
        super().submit(task)


class Driver(InlineDriver):
    """Remembers the calls it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = PlanOnly(2)
        self.given: list[str] = []

    def submit(self, call: Call) -> None:
        self.given.append(call.id)
        super().submit(call)


class Result:
    """What became of a job."""

    def __init__(self) -> None:
        self.rows: list[Any] | None = None
        self.failure: Failure | None = None

    def done(self, end: JobDone) -> None:
        assert (self.rows, self.failure) == (None, None)
        answers = [pickle.loads(outcome.answer) for outcome in end.outcomes if outcome.answer]
        self.rows = [row for rows in answers for row in rows]

    def failed(self, failure: Failure, printed: str = "") -> None:
        assert (self.rows, self.failure) == (None, None)
        self.failure = failure


class Bench:
    """Jobs over an executor and a driver that can be looked into."""

    def __init__(self) -> None:
        self.executor, self.driver = Executor(), Driver()
        self.store: MemoryStore = self.executor.store  # type: ignore[assignment]
        self.cut = False
        self.jobs = Jobs(self.executor, self.driver, lambda rdd: self.cut)

    def submit(self, id: str, rdd: RDD[Any], action: Function | None = COLLECT) -> Result:
        result = Result()
        self.jobs.run(Job(id, rdd, action, result.done, result.failed))
        return result

    def work(self) -> None:
        while self.jobs.pending:
            assert self.jobs.poll(0), "it gets nowhere"

    def rows(self, id: str, rdd: RDD[Any]) -> list[Any]:
        result = self.submit(id, rdd)
        self.work()
        assert result.rows is not None, result.failure
        return result.rows

    def failure(self, id: str, rdd: RDD[Any]) -> Failure:
        result = self.submit(id, rdd)
        self.work()
        assert result.failure is not None, result.rows
        return result.failure


@pytest.fixture
def bench() -> Bench:
    return Bench()


def large(count: int = 2) -> RDD[str]:
    """An RDD whose partitions are one large string each."""
    return source(*[[f"{i}{LARGE}"] for i in range(count)])


def heads(rdd: RDD[str]) -> RDD[str]:
    return rdd.map(lambda text: text[:1])


# -- stages ----------------------------------------------------------------------------------


def test_map_outputs_are_deleted_after_the_job(bench: Bench) -> None:
    assert sorted(bench.rows("job", heads(large().repartition(2)))) == ["0", "1"]
    assert bench.store.ids() == set()


def test_what_is_kept_is_computed_once(bench: Bench) -> None:
    rdd = kept(large())
    assert bench.rows("a", heads(rdd)) == bench.rows("b", heads(rdd)) == ["0", "1"]
    keep = f"{rdd.id}.keep"
    assert bench.executor.stages == [keep, keep, "a", "a", "b", "b"]
    assert isinstance(rdd.operation, Stored)
    assert len(bench.store.ids()) == 2


def test_what_cannot_be_planned_fails(bench: Bench) -> None:
    orphan = source([1]).map(abs)
    orphan.become(orphan.operation, [])
    assert bench.failure("a", orphan).kind == "IndexError"
    assert bench.rows("b", source([1])) == [1]


# -- lost blocks -----------------------------------------------------------------------------


def lose_one(bench: Bench, rdd: RDD[Any]) -> None:
    assert isinstance(rdd.operation, Stored)
    bench.store.delete(rdd.operation.blocks[1][0].id)


def test_a_lost_block_is_computed_again(bench: Bench) -> None:
    rdd = kept(large())
    bench.rows("a", rdd)
    lose_one(bench, rdd)
    assert bench.rows("b", heads(rdd)) == ["0", "1"]
    assert isinstance(rdd.operation, Stored)
    assert bench.rows("c", heads(rdd)) == ["0", "1"]
    assert bench.executor.stages.count(f"{rdd.id}.keep") == 4


def test_a_lost_map_output_is_written_again(bench: Bench) -> None:
    rdd = large().repartition(1)
    result = bench.submit("a", heads(rdd))
    bench.jobs.poll(0)
    bench.jobs.poll(0)
    (lost, _) = sorted(bench.store.ids())
    bench.store.delete(lost)
    bench.work()
    assert result.rows == ["0", "1"]
    assert bench.store.ids() == set()


def test_a_lost_block_whose_lineage_was_cut_fails_the_job(bench: Bench) -> None:
    bench.cut = True
    rdd = kept(large())
    bench.rows("a", rdd)
    lose_one(bench, rdd)
    assert bench.failure("b", rdd).kind == "BlockLost"


def test_received_blocks_that_are_lost_fail_the_job(bench: Bench) -> None:
    rdd = stored([bench.store.put(encode([LARGE]), "received")])
    bench.store.delete("received")
    failure = bench.failure("a", rdd)
    assert (failure.kind, "received" in failure.message) == ("BlockLost", True)


def test_planning_again_has_an_end(bench: Bench) -> None:
    rdd = kept(large())

    def get(ref: BlockRef) -> memoryview:
        raise BlockLost(ref.id)

    bench.store.get = get  # type: ignore[method-assign]
    assert bench.failure("a", rdd).kind == "BlockLost"
    kept_tasks = [stage for stage in bench.executor.stages if stage.endswith(".keep")]
    assert len(kept_tasks) == 2 * (MAX_REPLANS + 1)


def test_two_jobs_miss_the_same_block(bench: Bench) -> None:
    rdd = kept(large(4))
    bench.rows("before", rdd)
    lose_one(bench, rdd)
    first, second = bench.submit("a", heads(rdd)), bench.submit("b", heads(rdd))
    bench.work()
    assert first.rows == second.rows == ["0", "1", "2", "3"]


# -- transforms and calls --------------------------------------------------------------------


def transform(function: Callable[..., Any], *parents: RDD[Any]) -> RDD[Any]:
    return RDD(Deferred(builtin(without_time, ship(function)), 1000), parents)


def test_a_transform_that_two_outputs_need_is_called_once(bench: Bench) -> None:
    made = transform(lambda rdd: rdd.map(abs), source([-1], [-2]))
    first, second = bench.submit("a", made), bench.submit("b", made.map(str))
    bench.work()
    assert (first.rows, second.rows) == ([1, 2], ["1", "2"])
    assert bench.driver.given == [made.id]
    assert bench.rows("c", made) == [1, 2]
    assert bench.driver.given == [made.id]


def test_transforms_of_transforms_are_called_in_order(bench: Bench) -> None:
    inner = transform(lambda rdd: rdd.repartition(3), source([1], [2]))
    other = transform(lambda rdd: rdd.map(abs), source([-3]))
    outer = transform(lambda a, b: a.union(b), inner, other)
    assert sorted(bench.rows("a", outer.map(str))) == ["1", "2", "3"]
    assert bench.driver.given == [inner.id, other.id, outer.id]


def test_a_transform_may_pass_on_an_rdd_that_lies_in_blocks(bench: Bench) -> None:
    batch = kept(large())
    bench.rows("batch", batch)
    assert bench.rows("a", heads(transform(lambda rdd: rdd, batch))) == ["0", "1"]
    assert bench.executor.stages.count(f"{batch.id}.keep") == 2


@pytest.mark.parametrize(
    ("function", "kind", "says"),
    [
        (lambda rdd: 1 / 0, "ZeroDivisionError", "division"),
        (lambda rdd: [1], "DefinitionError", "must return an RDD, not list"),
    ],
)
def test_a_transform_that_fails_fails_all_that_need_it(
    bench: Bench, function: Callable[[Any], Any], kind: str, says: str
) -> None:
    made = transform(function, source([1]))
    results = [bench.submit(id, made.map(str)) for id in ("a", "b")]
    bench.work()
    for result in results:
        assert result.failure is not None
        assert (result.failure.kind, says in result.failure.message) == (kind, True)
    assert bench.rows("c", source([1])) == [1]


def test_a_call_gets_the_time_and_the_rdds(bench: Bench, tmp_path: Path) -> None:
    said, outcomes = tmp_path / "said", list[Any]()

    def function(time: int, rdd: RDD[int]) -> None:
        said.write_text(f"{time} {rdd.num_partitions}")

    bench.jobs.call("c", ship(function), 1000, [large()], outcomes.append, outcomes.append)
    bench.work()
    assert (said.read_text(), outcomes) == ("1000 2", [None])


def test_a_call_that_raises_fails(bench: Bench) -> None:
    outcomes = list[Any]()
    fail = ship(lambda time, rdd: 1 / 0)
    bench.jobs.call("c", fail, 1000, [source([1])], outcomes.append, outcomes.append)
    bench.work()
    assert [outcome.kind for outcome in outcomes] == ["ZeroDivisionError"]


# -- cancelling ------------------------------------------------------------------------------


def test_a_cancelled_job_is_heard_of_no_more(bench: Bench) -> None:
    result, other = bench.submit("a", heads(large(4))), bench.submit("b", source([1]))
    bench.jobs.poll(0)
    bench.jobs.cancel("a")
    bench.work()
    assert (result.rows, result.failure, other.rows) == (None, None, [1])
    bench.jobs.cancel("a")
    bench.jobs.cancel("never heard of")


def test_a_job_is_cancelled_while_its_transform_runs(bench: Bench) -> None:
    made = transform(lambda rdd: rdd, source([1]))
    result, other = bench.submit("a", made), bench.submit("b", made)
    bench.jobs.cancel("a")
    bench.work()
    assert (result.rows, result.failure, other.rows) == (None, None, [1])


def test_a_transform_that_nobody_waits_for_is_cancelled(bench: Bench) -> None:
    bench.driver.poll = list  # type: ignore[method-assign]  # it never returns
    bench.submit("a", transform(lambda rdd: rdd, source([1])))
    bench.jobs.cancel("a")
    assert bench.jobs.pending == 0


def test_a_cancelled_call_is_heard_of_no_more(bench: Bench) -> None:
    outcomes: list[Any] = []
    bench.jobs.call("c", builtin(add), 0, [source([1])], outcomes.append, outcomes.append)
    bench.jobs.cancel("c")
    assert not bench.jobs.poll(0)
    assert (outcomes, bench.jobs.pending) == ([], 0)
