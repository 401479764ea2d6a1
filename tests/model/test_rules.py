"""The numbered rules of D-Streams that are easy to get wrong, one test each.

Rules of what is not built yet (sinks, recovery, listeners, rate control …) have no test here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime
from operator import add, sub
from pathlib import Path
from typing import Any

import pytest

from livebatch.errors import DefinitionError, JobFailed, NotRunning
from livebatch.interval import to_datetime
from livebatch.rdd import RDD
from livebatch.testing import START, ManualContext
from tests.model.harness import bags, context, play, second, watch


def test_rule_01_batches_are_multiples_of_the_slide_after_the_zero_time() -> None:
    batches = [[n] for n in range(1, 8)]
    windows = play(lambda s: s.window(5, 3), batches)
    assert {at: sorted(rows) for at, rows in windows.items()} == {3: [1, 2, 3], 6: [2, 3, 4, 5, 6]}
    assert {at: sorted(rows) for at, rows in play(lambda s: s.window(4), batches[:3]).items()} == {
        1: [1], 2: [1, 2], 3: [1, 2, 3],
    }  # fmt: skip


@pytest.mark.parametrize(("window", "slide"), [(3, 2), (4, 3), (3, None), (2.5, None), (1, 2)])
def test_rule_02_durations_are_multiples_of_the_parents_slide(window: Any, slide: Any) -> None:
    with ManualContext("2s") as ssc:
        numbers = ssc.queue_stream()
        for build in (
            lambda: numbers.window(window, slide),
            lambda: numbers.count_by_window(window, slide),
            lambda: numbers.reduce_by_window(add, sub, window, slide),
            lambda: numbers.count_by_value_and_window(window, slide),
            lambda: numbers.reduce_by_key_and_window(add, sub, window, slide),
            lambda: numbers.reduce_by_key_and_window(add, None, window, slide),
        ):
            with pytest.raises(ValueError, match="must be a multiple of 2s"):
                build()  # type: ignore[no-untyped-call]


def test_rule_04_a_union_needs_streams_of_one_slide() -> None:
    with ManualContext("1s") as ssc:
        numbers = ssc.queue_stream()
        slower = numbers.window(2, 2)
        for build in (
            lambda: numbers.union(slower),
            lambda: ssc.union(numbers, slower),
            lambda: ssc.union(),
            lambda: numbers.transform_with(lambda a, b: a.union(b), slower),
            lambda: ssc.transform([numbers, slower], lambda rdds: rdds[0]),
            lambda: ssc.transform([], lambda rdds: rdds[0]),
        ):
            with pytest.raises(ValueError, match="needs streams of one slide, not"):
                build()


def test_rule_05_empty_batches_run() -> None:
    with context() as ssc:
        numbers = ssc.queue_stream([[], [1]])
        seen, counts = watch(numbers.map(abs)), watch(numbers.count())
        ssc.start()
        ssc.advance(3)
    assert seen == {1: [], 2: [1], 3: []}
    assert counts == {1: [0], 2: [1], 3: [0]}


def test_rule_06_a_window_has_its_parent_remember_and_keep_its_batches() -> None:
    with context() as ssc:
        numbers = ssc.register("numbers", ssc.queue_stream([[n] for n in range(20)]), retain="1s")
        doubled = ssc.register("doubled", numbers.map(lambda n: n * 2), retain="3s")
        watch(doubled.window(8, 2))
        ssc.start()
        ssc.advance(20)
        graph = ssc.stepped.engine.graph
        assert graph.named("doubled").persisted
        assert graph.named("doubled").remember >= 8_000
        assert len(graph.named("doubled").generated) >= 8
        kept = doubled.slice(to_datetime(START + 19_000), to_datetime(START + 20_000))
        assert [rdd.collect() for rdd in kept] == [[36], [38]]
        with pytest.raises(NotRunning, match=r"not all batches from .* are kept"):
            numbers.slice(to_datetime(START + 1_000), to_datetime(START + 20_000))


def test_rule_06_what_a_window_looks_at_again_is_not_computed_again(tmp_path: Path) -> None:
    log = tmp_path / "log"

    def note(n: int) -> tuple[str, int]:
        with log.open("a") as file:
            print(n, file=file)
        return "n", n

    with context() as ssc:
        numbers = ssc.queue_stream([[n] for n in range(6)])
        plain = watch(numbers.map(note).window(3).count())
        keyed = numbers.map(note).reduce_by_key_and_window
        watch(keyed(add, sub, 3))
        watch(keyed(add, None, 3))
        ssc.start()
        ssc.advance(6)
    assert plain[6] == [3]
    assert sorted(log.read_text().split()) == sorted(3 * "012345")


def test_rule_08_every_known_key_is_updated_in_every_batch() -> None:
    def update(new: list[int], state: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        history = (*(state or ()), tuple(new))
        return None if history[-2:] == ((), ()) else history

    batches = [[("a", 1)], [("b", 2), ("b", 3)], [], [("b", 4)], [("a", 5)]]
    states = play(lambda s: s.update_state_by_key(update), batches)
    assert [sorted(rows) for rows in states.values()] == [
        [("a", ((1,),))],
        [("a", ((1,), ())), ("b", ((2, 3),))],
        [("b", ((2, 3), ()))],
        [("b", ((2, 3), (), (4,)))],
        [("a", ((5,),)), ("b", ((2, 3), (), (4,), ()))],
    ]


def test_rule_09_the_initial_state_is_from_before_the_first_batch() -> None:
    states = play(
        lambda s: s.update_state_by_key(
            lambda new, n: sum(new) + (n or 0) + 1, initial_rdd=[("a", 10), ("b", 20)]
        ),
        [[("a", 5)], []],
    )
    assert bags(states) == bags({1: [("a", 16), ("b", 21)], 2: [("a", 17), ("b", 22)]})


def test_rule_10_the_filter_comes_after_and_without_one_keys_stay() -> None:
    batches = [[("a", 1)], [("b", 1)], [], []]
    unfiltered = play(lambda s: s.reduce_by_key_and_window(add, sub, 2, 1), batches)
    assert bags(unfiltered) == bags(
        {1: [("a", 1)], 2: [("a", 1), ("b", 1)], 3: [("a", 0), ("b", 1)], 4: [("a", 0), ("b", 0)]}
    )
    filtered = play(
        lambda s: s.reduce_by_key_and_window(add, sub, 2, 1, None, lambda pair: pair[1] > 0),
        batches,
    )
    assert bags(filtered) == bags({1: [("a", 1)], 2: [("a", 1), ("b", 1)], 3: [("b", 1)], 4: []})


def test_rule_11_counts_of_windows() -> None:
    batches = [["a", "b", "a"], [], [], []]
    assert play(lambda s: s.count_by_window(2), batches) == {1: [3], 2: [3], 3: [0], 4: [0]}
    values = play(lambda s: s.count_by_value_and_window(2), batches)
    assert bags(values) == bags({1: [("a", 2), ("b", 1)], 2: [("a", 2), ("b", 1)], 3: [], 4: []})
    zero = play(lambda s: s.count_by_value(), [["a"], []])
    assert zero == {1: [("a", 1)], 2: []}


class Marker:
    """Functions of an RDD, and of the time and an RDD, as methods and as an object."""

    def mark(self, rdd: RDD[Any]) -> RDD[Any]:
        return rdd.map(lambda n: (None, n))

    def stamp(self, time: datetime, rdd: RDD[Any]) -> RDD[Any]:
        return rdd.map(lambda n: (time, n))

    __call__ = stamp


def stamp(extra: str, time: datetime, rdd: RDD[Any]) -> RDD[Any]:
    return rdd.map(lambda n: (time, n))


@pytest.mark.parametrize(
    ("function", "timed"),
    [
        (lambda rdd: rdd.map(lambda n: (None, n)), False),
        (lambda time, rdd: rdd.map(lambda n: (time, n)), True),
        (lambda rdd, key=None: rdd.map(lambda n: (key, n)), False),
        (functools.partial(stamp, "extra"), True),
        (Marker().mark, False),
        (Marker().stamp, True),
        (Marker(), True),
    ],
    ids=["rdd", "time and rdd", "default", "partial", "method", "timed method", "callable"],
)
def test_rule_12_transform_goes_by_the_number_of_arguments(function: Any, timed: bool) -> None:
    (((time, number),), _) = play(lambda s: s.transform(function), [[3], [4]]).values()
    assert number == 3
    if timed:
        assert second(time) == 1
        assert time.utcoffset() == datetime.fromtimestamp(time.timestamp()).astimezone().utcoffset()
    else:
        assert time is None


def test_rule_12_a_function_that_takes_neither_is_refused() -> None:
    with ManualContext("1s") as ssc:
        numbers = ssc.queue_stream()
        for function in (lambda: 0, lambda a, b, c: a):
            with pytest.raises(DefinitionError, match=r"transform needs a function of \(rdd\) or"):
                numbers.transform(function)
            with pytest.raises(DefinitionError, match=r"function of \(rdd1, rdd2\) or of \(time"):
                numbers.transform_with(lambda a: a, numbers)


KEEPS: dict[str, tuple[bool, Callable[[Any], Any]]] = {
    "map_values": (True, lambda s: s.map_values(abs)),
    "flat_map_values": (True, lambda s: s.flat_map_values(lambda n: [n])),
    "filter": (True, lambda s: s.filter(lambda pair: pair[1])),
    "map that says so": (True, lambda s: s.map(lambda pair: pair, True)),
    "map": (False, lambda s: s.map(lambda pair: pair)),
    "flat_map": (False, lambda s: s.flat_map(lambda pair: [pair])),
    "map_partitions": (False, lambda s: s.map_partitions(lambda rows: rows)),
}


@pytest.mark.parametrize("name", KEEPS)
def test_rule_13_what_keeps_the_partitioner(name: str) -> None:
    keeps, build = KEEPS[name]
    with ManualContext("1s") as ssc:
        rdd = ssc.parallelize([("a", 1), ("b", 2)]).partition_by(3)
        assert rdd.partitioner is not None
        assert build(rdd).partitioner == (rdd.partitioner if keeps else None)


def test_rule_13_keyed_operations_default_to_the_contexts_parallelism() -> None:
    parts = play(lambda s: s.reduce_by_key(add).glom(), [[("a", 1), ("b", 2)]])
    assert len(parts[1]) == 2
    parts = play(lambda s: s.reduce_by_key(add, 5).glom(), [[("a", 1), ("b", 2)]])
    assert len(parts[1]) == 5


@pytest.mark.parametrize(
    "build",
    [
        lambda s: s.partition_by(3),
        lambda s: s.reduce_by_key(add, 3),
        lambda s: s.group_by_key(3),
        lambda s: s.combine_by_key(str, max, max, 3),
        lambda s: s.count_by_value(3),
        lambda s: s.count_by_value_and_window(2, 1, 3),
        lambda s: s.reduce_by_key_and_window(add, sub, 2, 1, 3),
        lambda s: s.reduce_by_key_and_window(add, None, 2, 1, 3),
        lambda s: s.update_state_by_key(lambda new, n: n, 3),
    ],
)
def test_rule_13_keyed_operations_have_as_many_partitions_as_asked(build: Any) -> None:
    parts = play(lambda s: build(s).glom(), [[("a", 1)], [("b", 2)]])
    assert {len(rows) for rows in parts.values()} == {3}


def test_rule_15_foreach_rdd_is_called_once_for_each_output_and_batch(tmp_path: Path) -> None:
    log = tmp_path / "log"

    def note(label: str) -> Callable[[datetime, RDD[Any]], None]:
        def function(time: datetime, rdd: RDD[Any]) -> None:
            with log.open("a") as file:
                print(label, second(time), rdd.collect(), file=file)

        return function

    with context() as ssc:
        numbers = ssc.queue_stream([[1], [], [3]])
        numbers.foreach_rdd(note("first"))
        numbers.foreach_rdd(note("second"))
        numbers.window(2, 2).foreach_rdd(note("slow"))
        ssc.start()
        ssc.advance(3)
        ssc.await_termination(timeout=0)
    lines = log.read_text().splitlines()
    assert sorted(lines) == sorted(
        ["first 1 [1]", "first 2 []", "first 3 [3]", "slow 2 [1]",
         "second 1 [1]", "second 2 []", "second 3 [3]"]
    )  # fmt: skip
    assert [line for line in lines if line.startswith("first")] == sorted(
        line for line in lines if line.startswith("first")
    )


def test_rule_16_pprint() -> None:
    written: list[str] = []
    with context() as ssc:
        ssc.write = written.append
        numbers = ssc.queue_stream([[1, "two"], [], range(12)])
        numbers.pprint()
        ssc.start()
        ssc.advance(3)
    rule = "-" * 43
    times = [f"Time: {to_datetime(START + at * 1000):%Y-%m-%d %H:%M:%S}" for at in (1, 2, 3)]
    assert "\n".join(written).split("\n") == [
        rule, times[0], rule, "1", "two", "",
        rule, times[1], rule, "",
        rule, times[2], rule, *map(str, range(10)), "...", "",
    ]  # fmt: skip


def test_rule_16_pprint_prints_as_many_as_it_is_told_to() -> None:
    written: list[str] = []
    with context() as ssc:
        ssc.write = written.append
        ssc.queue_stream([[1, 2, 3], [1, 2, 3, 4]]).pprint(num=3)
        ssc.start()
        ssc.advance(2)
    assert [text.splitlines()[3:] for text in written] == [
        ["1", "2", "3"],
        ["1", "2", "3", "..."],
    ]


def test_rule_17_queue_streams() -> None:
    with context() as ssc:
        rdd = ssc.parallelize([1, 2], 2)
        one = watch(ssc.queue_stream([rdd, [3], rdd.map(lambda n: n * 10)]))
        union = ssc.queue_stream([rdd, [3], rdd], one_at_a_time=False)
        every, nothing = watch(union), watch(ssc.queue_stream([]))
        default = watch(ssc.queue_stream([[1]], default=[7, 8]))
        ssc.start()
        ssc.advance(2)
        ssc.put(union, [4], [5])
        ssc.advance(2)
    assert one == {1: [1, 2], 2: [3], 3: [10, 20], 4: []}
    assert bags(every) == bags({1: [1, 2, 3, 1, 2], 2: [], 3: [4, 5], 4: []})
    assert nothing == {1: [], 2: [], 3: [], 4: []}
    assert default == {1: [1], 2: [7, 8], 3: [7, 8], 4: [7, 8]}


def test_rule_20_operations_are_taken_after_the_start() -> None:
    with context() as ssc:
        ssc.start()
        ssc.advance(2)
        numbers = ssc.queue_stream([[1], [2], [3]])
        sums = watch(numbers.map(lambda n: ("sum", n)).reduce_by_key_and_window(add, sub, 2))
        ssc.advance(3)
    assert sums == {3: [("sum", 1)], 4: [("sum", 3)], 5: [("sum", 5)]}


def test_rule_21_a_failed_batch_surfaces_and_later_ones_run() -> None:
    with context() as ssc:
        seen = watch(ssc.queue_stream([[1], [0], [2], [0]]).map(lambda n: 6 // n))
        ssc.start()
        ssc.advance(5)
        for _ in range(2):
            with pytest.raises(JobFailed, match="ZeroDivisionError"):
                ssc.await_termination(timeout=0)
        assert ssc.await_termination(timeout=0) is False
    assert seen == {1: [6], 3: [3], 5: []}
    assert ssc.await_termination() is True


def test_rule_22_outputs_happen_in_order() -> None:
    calls: list[tuple[str, int]] = []
    with context() as ssc:
        numbers = ssc.queue_stream([[1], [2], [3]])
        for name in "abc":
            numbers.foreach_rdd(
                lambda time, rdd, name=name: calls.append((name, second(time))), on="kernel"
            )
        ssc.start()
        ssc.advance(3)
    assert calls == [(name, at) for at in (1, 2, 3) for name in "abc"]


def test_rule_22_batches_that_settle_together_happen_in_order_once() -> None:
    calls: list[tuple[int, list[int]]] = []
    with context() as ssc:
        numbers = ssc.queue_stream([[1], [2], [3]])
        numbers.foreach_rdd(
            lambda time, rdd: calls.append((second(time), rdd.collect())), on="kernel"
        )
        ssc.start()
        ssc.clock.advance(3_000)
        ssc.stepped.run()
    assert calls == [(1, [1]), (2, [2]), (3, [3])]
