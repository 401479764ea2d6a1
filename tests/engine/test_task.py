"""Carrying out single tasks: the fast path, the careful one, and what each reports."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from livebatch.block import encode, read_rows
from livebatch.engine.dag import make_task, plan_answer, plan_keep
from livebatch.engine.store import MemoryStore
from livebatch.engine.task import SAMPLES, run_task
from livebatch.events import BadRecords
from livebatch.framing import Channel, unpack
from livebatch.rdd import RDD, stored
from livebatch.tasks import Done, Failed
from tests.engine.lineages import COLLECT, kept, source


def collected(
    rdd: RDD[Any], store: MemoryStore | None = None, strict: bool = False
) -> Done | Failed:
    """Run the task that collects an RDD's first partition."""
    (stage,) = plan_answer("job", rdd, COLLECT)
    return run_task(make_task(stage, 0, 1, {}, strict), store or MemoryStore())


def rows_of(outcome: Done | Failed) -> list[Any]:
    assert isinstance(outcome, Done), outcome
    assert outcome.answer is not None
    found: list[Any] = pickle.loads(outcome.answer)
    return found


def bad_of(outcome: Done | Failed) -> BadRecords:
    assert isinstance(outcome, Done), outcome
    assert outcome.bad is not None
    return outcome.bad


def picky(n: int) -> int:
    if n % 10 == 3:
        raise ValueError(f"{n} is unlucky")
    return n


def doubled(n: int) -> Iterator[int]:
    yield n
    yield picky(n)


class Vague:
    def __bool__(self) -> bool:
        raise ValueError("3 is unlucky")


# -- what becomes of the rows ----------------------------------------------------------------


def test_an_answer_is_the_result_of_the_action() -> None:
    outcome = collected(source([1, 2, 3]).map(lambda n: n * 2).filter(lambda n: n > 2))
    assert rows_of(outcome) == [4, 6]
    assert isinstance(outcome, Done)
    assert (outcome.task, outcome.block, outcome.bad) == ("job.0.1", None, None)
    assert outcome.seconds > 0


def test_kept_rows_become_a_block_named_after_the_task() -> None:
    rdd, store = kept(source([("a", 1), ("b", 2)])), MemoryStore()
    (stage,) = plan_keep(rdd)
    outcome = run_task(make_task(stage, 0, 5, {}, False), store)
    assert isinstance(outcome, Done)
    assert outcome.block is not None
    assert (outcome.block.id, outcome.block.rows) == (f"{rdd.id}.keep.0.5", 2)
    assert read_rows(outcome.block, store) == [("a", 1), ("b", 2)]


@pytest.mark.parametrize("size", [1, 20_000])
def test_a_map_task_writes_a_segment_for_each_partition(size: int) -> None:
    store = MemoryStore()
    pairs = [(key, "x" * 8) for _ in range(size) for key in ("a", "b", "c")]
    rdd = source(pairs).partition_by(4, lambda key: "cab-".index(key))
    divide = plan_answer("job", rdd, COLLECT)[0]
    outcome = run_task(make_task(divide, 0, 1, {}, False), store)
    assert isinstance(outcome, Done)
    assert outcome.block is not None
    assert (outcome.block.inline is None) == (size > 1)
    segments = [read_rows(outcome.block.at(i), store) for i in range(4)]
    assert [{row[0] for row in rows} for rows in segments] == [{"c"}, {"a"}, {"b"}, set()]
    assert sum(map(len, segments)) == outcome.block.rows == 3 * size


def test_a_map_task_combines_before_it_writes() -> None:
    store = MemoryStore()
    rdd = source([("a", 1), ("b", 1), ("a", 5)]).reduce_by_key(lambda a, b: a + b, 1)
    outcome = run_task(make_task(plan_answer("job", rdd, COLLECT)[0], 0, 1, {}, False), store)
    assert isinstance(outcome, Done)
    assert outcome.block is not None
    assert read_rows(outcome.block.at(0), store) == [("a", 6), ("b", 1)]


# -- records that functions raise on ---------------------------------------------------------


@pytest.mark.parametrize(
    "step",
    [
        lambda rdd: rdd.map(picky),
        lambda rdd: rdd.filter(lambda n: picky(n) + 1),
        lambda rdd: rdd.filter(lambda n: Vague() if n == 3 else True),
        lambda rdd: rdd.flat_map(lambda n: [picky(n)]),
        lambda rdd: rdd.key_by(picky).values(),
        lambda rdd: rdd.map(lambda n: ("k", n)).map_values(picky).values(),
        lambda rdd: rdd.map(lambda n: ("k", n)).flat_map_values(lambda n: [picky(n)]).values(),
    ],
)
def test_a_record_that_is_raised_on_is_left_out(step: Callable[[RDD[int]], RDD[Any]]) -> None:
    outcome = collected(step(source([0, 1, 2, 3, 4])))
    assert rows_of(outcome) == [0, 1, 2, 4]
    bad = bad_of(outcome)
    assert (bad.count, bad.seen, len(bad.samples)) == (1, 5, 1)
    assert (bad.samples[0].kind, bad.samples[0].message) == ("ValueError", "3 is unlucky")


def test_a_sample_shows_the_record_and_the_users_own_line() -> None:
    (sample,) = bad_of(collected(source([3]).map(picky))).samples
    assert sample.record == "3"
    assert [(frame.function, frame.text) for frame in sample.frames] == [
        ("picky", 'raise ValueError(f"{n} is unlucky")')
    ]


def test_nothing_of_a_bad_record_is_left() -> None:
    outcome = collected(source([2, 3, 4]).flat_map(doubled))
    assert rows_of(outcome) == [2, 2, 4, 4]


def test_every_step_leaves_out_its_own() -> None:
    rdd = source(range(20)).map(picky).filter(lambda n: 1 // (n - 7) or True).map(lambda n: n)
    outcome = collected(rdd)
    assert rows_of(outcome) == [n for n in range(20) if n not in (3, 7, 13)]
    bad = bad_of(outcome)
    assert (bad.count, bad.seen) == (3, 20)
    assert sorted(sample.record or "" for sample in bad.samples) == ["13", "3", "7"]


def test_all_are_counted_but_only_the_first_are_shown() -> None:
    bad = bad_of(collected(source([3] * 250).map(picky)))
    assert (bad.count, bad.seen, len(bad.samples)) == (250, 250, SAMPLES)


def test_stop_iteration_is_an_exception_like_any_other() -> None:
    outcome = collected(source([1, 2, 3, 4]).map(lambda n: next(iter([] if n == 3 else [n]))))
    assert rows_of(outcome) == [1, 2, 4]
    assert bad_of(outcome).count == 1


# -- tasks that fail -------------------------------------------------------------------------


def failure_of(outcome: Done | Failed) -> Failed:
    assert isinstance(outcome, Failed), outcome
    return outcome


def test_a_strict_task_fails_at_the_first_bad_record() -> None:
    failed = failure_of(collected(source([1, 3, 13]).map(picky), strict=True))
    assert (failed.failure.kind, failed.failure.message) == ("ValueError", "3 is unlucky")
    assert failed.failure.frames[-1].function == "picky"
    assert failed.lost is None


@pytest.mark.parametrize(
    "step",
    [
        lambda rdd: rdd.map_partitions(lambda rows: [picky(row) for row in rows]),
        lambda rdd: rdd.map_partitions_with_index(lambda i, rows: [picky(row) for row in rows]),
        lambda rdd: rdd.map(lambda n: n).map_partitions(lambda rows: map(picky, rows)),
    ],
)
def test_what_is_not_one_records_fault_fails_the_task(
    step: Callable[[RDD[int]], RDD[Any]],
) -> None:
    assert failure_of(collected(step(source([1, 3])))).failure.message == "3 is unlucky"


def test_a_reduce_function_that_raises_fails_the_task() -> None:
    rdd = source([("a", 1), ("a", 2)]).map_values(float).reduce_by_key(lambda a, b: a / 0, 1)
    stage = plan_answer("job", rdd, COLLECT)[0]
    failed = failure_of(run_task(make_task(stage, 0, 1, {}, False), MemoryStore()))
    assert failed.failure.kind == "ZeroDivisionError"


def test_a_missing_block_is_named() -> None:
    store = MemoryStore()
    block = store.put(encode(["x" * 100] * 2000), "b1")
    assert len(rows_of(collected(stored([block]).map(len), store))) == 2000
    store.delete("b1")
    failed = failure_of(collected(stored([block]).map(len), store))
    assert (failed.failure.kind, failed.lost) == ("BlockLost", "b1")


def test_no_room_for_the_result_fails_the_task() -> None:
    (stage,) = plan_keep(kept(source(["x" * 100] * 2000)))
    failed = failure_of(run_task(make_task(stage, 0, 1, {}, False), MemoryStore(budget=1000)))
    assert failed.failure.kind == "StoreFull"
    assert "only 0.0 MiB are left" in failed.failure.message


def test_an_answer_that_cannot_be_pickled_fails_the_task() -> None:
    failed = failure_of(collected(source([1]).map(lambda n: threading.Lock())))
    assert failed.failure.kind == "TypeError"
    assert "pickle" in failed.failure.message


def test_whatever_the_user_says_can_be_sent() -> None:
    # os.fsdecode makes such names of files, and FileNotFoundError names the file.
    def fail(n: int) -> None:
        print("\udce9")
        raise FileNotFoundError(f"no file 'caf\udce9{n}.txt'")

    for rows in ([1, 2], ["\udce9", 2]):
        unpack(Channel().pack(collected(source(rows).map(fail))))
        unpack(Channel().pack(collected(source(rows).map(fail), strict=True)))
