"""Rules 8 to 13: state, windows and functions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime
from operator import add, sub
from typing import Any

import pytest

from livebatch.errors import DefinitionError
from livebatch.rdd import RDD
from livebatch.testing import ManualContext
from tests.model.harness import bags, play, second


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


def test_a_function_that_takes_neither_is_refused() -> None:
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


def test_keyed_operations_default_to_the_contexts_parallelism() -> None:
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
def test_keyed_operations_have_as_many_partitions_as_asked(build: Any) -> None:
    parts = play(lambda s: build(s).glom(), [[("a", 1)], [("b", 2)]])
    assert {len(rows) for rows in parts.values()} == {3}
