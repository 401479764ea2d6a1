"""Stages and tasks of lineages."""

from __future__ import annotations

import pickle
from collections import Counter
from operator import add
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from livebatch.block import BlockRef, encode
from livebatch.closures import builtin
from livebatch.engine.dag import Outputs, deferred, make_task, plan_answer, plan_keep
from livebatch.engine.store import MemoryStore
from livebatch.engine.task import run_task
from livebatch.operators.transform import without_time
from livebatch.rdd import RDD, stored
from livebatch.rdd.operation import Deferred, Stored
from livebatch.tasks import Done, Task
from tests.engine.lineages import COLLECT, kept, shape, source

Pair = tuple[int, int]
KINDS = ["map", "filter", "reduce", "divide", "spread", "union", "keep"]


def plan(rdd: RDD[Any]) -> dict[str, tuple[str, tuple[str, ...]]]:
    return shape(plan_answer("job", rdd, COLLECT))


def pairs(id: str) -> RDD[Pair]:
    return source([(1, 1)], [(2, 2)], id=id)


def task_of(rdd: RDD[Any], split: int = 0, outputs: Outputs | None = None) -> Task:
    return make_task(plan_answer("job", rdd, COLLECT)[-1], split, 1, outputs or {}, False)


# -- stages ----------------------------------------------------------------------------------


def test_narrow_operations_are_one_stage() -> None:
    rdd = source([1], [2]).map(str).filter(len).flat_map(list)
    assert plan(rdd) == {"job": ("Answer", ())}
    task = task_of(rdd, 1)
    assert [step.split for step in task.steps] == [1] * 4
    assert [step.inputs for step in task.steps] == [(), (0,), (1,), (2,)]


def test_a_shuffle_begins_a_stage() -> None:
    rdd = source([1], [2]).map(str).repartition(3).map(len)
    map_stage = f"{rdd.parents[0].id}.map"
    assert plan(rdd) == {map_stage: ("Divide", ()), "job": ("Answer", (map_stage,))}
    divide, result = plan_answer("job", rdd, COLLECT)
    assert (divide.splits, result.splits) == ((0, 1), (0, 1, 2))


def test_each_task_after_a_shuffle_reads_its_segments_that_hold_anything() -> None:
    rdd = source([1], [2]).repartition(2)
    outputs = [
        BlockRef("m0", 2, 9, "pickle", None, (0, 4, 9)),
        BlockRef("m1", 1, 5, "pickle", None, (0, 0, 5)),
    ]
    tasks = [task_of(rdd, i, {f"{rdd.id}.map": outputs}) for i in (0, 1)]
    read = [[(block.id, block.segment) for block in task.steps[0].blocks] for task in tasks]
    assert read == [[("m0", 0)], [("m0", 1), ("m1", 1)]]


def test_a_shuffle_that_two_branches_read_is_planned_once() -> None:
    shuffled = source([1], [2]).repartition(2)
    both = shuffled.map(str).union(shuffled.map(repr))
    assert list(plan(both)) == [f"{shuffled.id}.map", "job"]


def test_rows_that_are_divided_alike_are_not_shuffled_again() -> None:
    reduced = pairs("a").reduce_by_key(add, 3)
    again = reduced.map_values(abs).filter(all).reduce_by_key(add, 3)
    assert list(plan(again)) == [f"{reduced.id}.map", "job"]
    other = reduced.reduce_by_key(add, 2)
    assert list(plan(other)) == [f"{reduced.id}.map", f"{other.id}.map", "job"]


def test_a_map_may_change_keys_so_it_is_shuffled_again() -> None:
    reduced = pairs("a").reduce_by_key(add, 3)
    again = reduced.map(lambda pair: pair).reduce_by_key(add, 3)
    assert list(plan(again)) == [f"{reduced.id}.map", f"{again.id}.map", "job"]


def test_a_union_of_rdds_that_are_divided_alike_stays_so() -> None:
    batches = [pairs(name).reduce_by_key(add, 3) for name in "abc"]
    window = batches[0].union(*batches[1:])
    merged = window.reduce_by_key(add, 3)
    assert (window.num_partitions, merged.num_partitions) == (3, 3)
    assert list(plan(merged)) == [*(f"{rdd.id}.map" for rdd in batches), "job"]


def test_a_union_of_others_has_their_partitions_one_after_the_other() -> None:
    rdd = source([1], [2], id="a").union(source([3], id="b"))
    assert rdd.num_partitions == 3
    assert [len(task_of(rdd, i).steps) for i in range(3)] == [2, 2, 2]
    assert [task_of(rdd, i).steps[0].split for i in range(3)] == [0, 1, 0]


def test_an_rdd_to_be_kept_is_a_stage_and_those_after_it_read_its_blocks() -> None:
    inner = kept(source([1], [2]))
    rdd = inner.map(str)
    keep = f"{inner.id}.keep"
    assert plan(rdd) == {keep: ("Keep", ()), "job": ("Answer", (keep,))}
    outputs = [BlockRef("k0", 1, 1, "pickle"), BlockRef("k1", 1, 1, "pickle")]
    first, _ = task_of(rdd, 1, {keep: outputs}).steps
    assert (first.operation, first.blocks) == (None, (outputs[1],))


def test_rdds_to_be_kept_are_planned_from_the_innermost_outwards() -> None:
    inner = kept(pairs("a"))
    outer = kept(inner.reduce_by_key(add, 2))
    keep, divide = f"{inner.id}.keep", f"{outer.id}.map"
    assert shape(plan_keep(outer)) == {
        keep: ("Keep", ()),
        divide: ("Divide", (keep,)),
        f"{outer.id}.keep": ("Keep", (divide,)),
    }


def test_what_lies_in_blocks_needs_no_stage() -> None:
    rdd = kept(pairs("a").reduce_by_key(add, 2))
    blocks = [BlockRef("k0", 1, 1, "pickle"), BlockRef("k1", 1, 1, "pickle")]
    rdd.store(blocks)
    assert plan_keep(rdd) == []
    assert plan(rdd.map_values(abs)) == {"job": ("Answer", ())}
    assert rdd.map_values(abs).reduce_by_key(add, 2).partitioner == rdd.partitioner
    assert list(plan(rdd.reduce_by_key(add, 2))) == ["job"]
    assert rdd.restore()
    assert list(shape(plan_keep(rdd))) == [f"{rdd.id}.map", f"{rdd.id}.keep"]


def test_only_the_partitions_asked_for_get_tasks() -> None:
    (stage,) = plan_answer("job", source([1], [2], [3]), COLLECT, [2, 0])
    assert stage.splits == (2, 0)
    assert make_task(stage, 0, 7, {}, False).id == "job.2.7"


def test_a_lineage_may_be_deep() -> None:
    rdd = source([1])
    for _ in range(2000):
        rdd = rdd.filter(bool)
    assert deferred(rdd) == []
    assert len(task_of(rdd).steps) == 2001


# -- transforms ------------------------------------------------------------------------------


def transform(*parents: RDD[Any]) -> RDD[Any]:
    return RDD(Deferred(builtin(without_time), 0), parents)


def test_the_transforms_nearest_to_the_sources_come_first() -> None:
    first = transform(source([1]).map(str))
    second = transform(first.repartition(2))
    other = transform(source([2]))
    assert deferred(source([1]).map(str)) == []
    assert deferred(second.union(other).map(len)) == [first, other]
    first.become(Stored(()))
    assert deferred(second.union(other)) == [second, other]


def test_a_transform_that_two_branches_need_is_found_once() -> None:
    made = transform(source([1]))
    assert deferred(made.map(str).union(made.map(repr))) == [made]


# -- both ------------------------------------------------------------------------------------


@st.composite
def lineages(draw: st.DrawFn) -> tuple[RDD[Pair], Counter[Pair]]:
    """An RDD of pairs, and its rows as plain Python makes them."""
    pair = st.tuples(st.integers(0, 3), st.integers(-9, 9))
    known: list[tuple[RDD[Pair], Counter[Pair]]] = []
    for partitions in draw(st.lists(st.lists(st.lists(pair, max_size=4), max_size=3), min_size=1)):
        rows = Counter(row for partition in partitions for row in partition)
        known.append((source(*partitions), rows))
    for kind in draw(st.lists(st.sampled_from(KINDS))):
        count = draw(st.integers(1, 3))
        known.append(
            derived(kind, count, draw(st.sampled_from(known)), draw(st.sampled_from(known)))
        )
    return known[-1]  # fmt: skip


def derived(
    kind: str, count: int, one: tuple[RDD[Pair], Counter[Pair]], other: Any
) -> tuple[RDD[Pair], Counter[Pair]]:
    rdd, rows = one
    if kind == "map":
        return rdd.map_values(lambda n: n * 2), Counter([(k, v * 2) for k, v in rows.elements()])
    if kind == "filter":
        return rdd.filter(lambda kv: kv[1] > 0), Counter(r for r in rows.elements() if r[1] > 0)
    if kind == "reduce":
        sums: dict[int, int] = {}
        for key, value in rows.elements():
            sums[key] = sums.get(key, 0) + value
        return rdd.reduce_by_key(add, count), Counter(sums.items())
    if kind == "union":
        return rdd.union(other[0]), rows + other[1]
    if kind == "keep":
        return kept(rdd.map_values(abs)), Counter((k, abs(v)) for k, v in rows.elements())
    return (rdd.partition_by if kind == "divide" else rdd.repartition)(count), rows


def evaluate(rdd: RDD[Any], store: MemoryStore) -> list[list[Any]]:
    """Run the stages of an RDD one after the other and return its partitions."""
    outputs: dict[str, list[BlockRef]] = {}
    outcomes: list[Done] = []
    for stage in plan_answer("job", rdd, COLLECT):
        tasks = [make_task(stage, i, 1, outputs, True) for i in range(len(stage.splits))]
        outcomes = [outcome for t in tasks if isinstance(outcome := run_task(t, store), Done)]
        assert len(outcomes) == len(tasks)
        outputs[stage.id] = [outcome.block for outcome in outcomes if outcome.block]
    return [pickle.loads(outcome.answer or b"") for outcome in outcomes]


@given(lineages())
def test_tasks_compute_the_rows_that_a_lineage_stands_for(
    made: tuple[RDD[Pair], Counter[Pair]],
) -> None:
    rdd, expected = made
    partitions = evaluate(rdd, MemoryStore())
    assert Counter(row for rows in partitions for row in rows) == expected
    assert len(partitions) == rdd.num_partitions
    if rdd.partitioner is not None:
        keys = [{key for key, _ in rows} for rows in partitions]
        assert sum(map(len, keys)) == len(set().union(*keys)), "a key in two partitions"


def test_stored_blocks_are_read_back() -> None:
    store = MemoryStore()
    blocks = [store.put(encode([i, i + 10]), f"b{i}") for i in range(3)]
    assert evaluate(stored(blocks).map(lambda n: n + 1), store) == [[1, 11], [2, 12], [3, 13]]
