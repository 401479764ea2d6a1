"""Every operator, on every executor, gives what the oracle gives."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from tests.model.catalogue import CASES, Case
from tests.model.conftest import Cluster
from tests.model.harness import assert_agrees, play
from tests.model.strategies import Parameters, batches_of, gains, numbers, parameters


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_operator_agrees_with_the_oracle(case: Case, cluster: Cluster) -> None:
    @settings(max_examples=cluster.examples)
    @given(batches_of(case.rows), parameters)
    def check(batches: list[list[Any]], given: Parameters) -> None:
        executor = cluster.executor(given.slots)
        assert_agrees(lambda stream: case.build(stream, given), batches, executor)

    check()


@settings(max_examples=20)
@given(batches_of(numbers), parameters)
def test_glom_gives_the_rows_of_each_partition(batches: list[list[int]], p: Parameters) -> None:
    count = p.partitions or 5
    for at, parts in play(lambda s: s.repartition(count).glom(), batches).items():
        assert len(parts) == count
        assert sorted(n for part in parts for n in part) == sorted(batches[at - 1])


@settings(max_examples=20)
@given(batches_of(gains), parameters)
def test_partition_by_puts_equal_keys_together(batches: list[list[Any]], p: Parameters) -> None:
    for rows in play(lambda s: s.partition_by(p.partitions or 5).glom(), batches).values():
        homes = [{key for key, _ in part} for part in rows]
        assert sum(map(len, homes)) == len(set().union(*homes))


@given(batches_of(numbers))
def test_top_is_in_order(batches: list[list[int]]) -> None:
    expected = [sorted(batch, reverse=True)[:3] for batch in batches]
    assert list(play(lambda s: s.top(3), batches).values()) == expected


def test_partition_by_asks_the_given_function() -> None:
    parts = play(
        lambda s: s.partition_by(3, lambda key: key - 1).glom(), [[(1, 1), (3, 3), (5, 5)]]
    )
    assert parts[1] == [[(1, 1)], [(5, 5)], [(3, 3)]]


def test_repartition_divides_evenly() -> None:
    batches = [[[n] for n in range(8)]]
    parts = play(lambda s: s.repartition(8).repartition(4).glom(), batches)[1]
    assert max(map(len, parts)) - min(map(len, parts)) <= 2
