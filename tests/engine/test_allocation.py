"""Which input each batch gets."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from livebatch.block import BlockRef
from livebatch.closures import Builtin, builtin
from livebatch.engine import allocation
from livebatch.engine.allocation import Allocator
from livebatch.engine.config import Config, PlanOnly
from livebatch.engine.intake import Intake
from livebatch.errors import SourceError
from livebatch.operators.state import given_rows
from livebatch.rdd import RDD, blocks_of
from livebatch.rdd.operation import Read
from livebatch.sources.base import Receiver
from livebatch.stream import Input
from tests.engine.lineages import source


class Numbers:
    """A pull source that gives the numbers from its last offset up to the time."""

    def __init__(self, broken: bool = False) -> None:
        self.broken = broken
        self.asked: list[tuple[Any, int]] = []

    def plan(self, offsets: Any, time: int, limit: int | None = None) -> tuple[list[Builtin], Any]:
        self.asked.append((offsets, time))
        if self.broken:
            raise SourceError("the server is down")
        return [builtin(given_rows, pickle.dumps([n])) for n in range(offsets or time, time)], time


class Pushing:
    def run(self, receiver: Receiver) -> None:
        raise AssertionError("it runs elsewhere")


@pytest.fixture
def allocator(monkeypatch: pytest.MonkeyPatch) -> Allocator:
    """An allocator whose sources are given to their streams as an option."""
    monkeypatch.setattr(allocation, "source", lambda name, options: options["source"])
    return Allocator(PlanOnly(2), Intake(Config(1000), lambda event: None, None))


def queue(one_at_a_time: bool = True, default: Any = None) -> Input[Any]:
    return Input((), 1000, "queue", {"one_at_a_time": one_at_a_time, "default": default})


def reading(made: Any) -> Input[Any]:
    return Input((), 1000, "made", {"source": made})


def block(id: str) -> BlockRef:
    return BlockRef(id, 1, 1, "pickle")


# -- queues ----------------------------------------------------------------------------------


def test_a_queue_gives_one_rdd_a_batch_and_then_empty_ones(allocator: Allocator) -> None:
    stream, rdds = queue(), [source([1]), source([2], [3])]
    allocator.keep_only([stream], 0)
    allocator.offered(stream.id, rdds)
    got = [allocator.allocate(stream, time) for time in (1000, 2000, 3000)]
    assert [rdd.parents for rdd in got[:2]] == [(rdds[0],), (rdds[1],)]
    assert got[2].num_partitions == 0


def test_a_queue_may_give_all_that_is_in_it(allocator: Allocator) -> None:
    stream, rdds = queue(one_at_a_time=False), [source([1]), source([2], [3])]
    allocator.keep_only([stream], 0)
    allocator.offered(stream.id, rdds[:1])
    allocator.offered(stream.id, rdds[1:])
    assert allocator.allocate(stream, 1000).parents == tuple(rdds)
    assert allocator.allocate(stream, 2000).parents == ()


def test_an_empty_queue_gives_its_default(allocator: Allocator) -> None:
    default = builtin(given_rows, pickle.dumps([0]))
    stream = queue(default=default)
    allocator.keep_only([stream], 0)
    assert allocator.allocate(stream, 1000).operation == Read((default,))


def test_what_is_offered_before_the_stream_is_defined_is_kept(allocator: Allocator) -> None:
    early, other, rdd = queue(), queue(), source([1])
    allocator.offered(early.id, [rdd])
    allocator.keep_only([other], 0)
    allocator.keep_only([other, early], 0)
    assert allocator.allocate(early, 1000).parents == (rdd,)


def test_the_queue_of_a_stream_that_is_gone_goes_alone(allocator: Allocator) -> None:
    stays, goes, rdd = queue(), queue(), source([1])
    allocator.keep_only([stays, goes], 0)
    for stream in (stays, goes):
        allocator.offered(stream.id, [rdd])
    allocator.keep_only([stays], 0)
    allocator.keep_only([stays, goes], 0)
    assert allocator.allocate(stays, 1000).parents == (rdd,)
    assert allocator.allocate(goes, 1000).num_partitions == 0


def ids(rdd: RDD[Any]) -> list[str]:
    return [block.id for block in blocks_of(rdd)]


# -- push sources ----------------------------------------------------------------------------


def test_received_blocks_belong_to_the_next_batch_and_to_no_other(allocator: Allocator) -> None:
    stream = reading(Pushing())
    allocator.keep_only([stream], 0)
    for id in ("b1", "b2"):
        allocator.received(stream.id, block(id))
    first = allocator.allocate(stream, 1000)
    assert (ids(first), first.num_partitions) == (["b1", "b2"], 2)
    assert ids(allocator.allocate(stream, 2000)) == []
    allocator.received(stream.id, block("b3"))
    assert ids(allocator.allocate(stream, 3000)) == ["b3"]


def test_blocks_of_a_stream_that_is_gone_are_given_back(allocator: Allocator) -> None:
    stays, goes = reading(Pushing()), reading(Pushing())
    allocator.keep_only([stays, goes], 0)
    allocator.received(stays.id, block("b1"))
    allocator.received(goes.id, block("b2"))
    assert allocator.keep_only([stays], 0) == [block("b2")]
    assert allocator.keep_only([stays], 0) == []
    assert ids(allocator.allocate(stays, 1000)) == ["b1"]


# -- pull sources ----------------------------------------------------------------------------


def test_a_pull_source_begins_where_it_is_when_it_is_defined(allocator: Allocator) -> None:
    made = Numbers()
    stream = reading(made)
    allocator.keep_only([stream], 3)
    assert allocator.allocate(stream, 5).num_partitions == 2
    assert allocator.allocate(stream, 6).num_partitions == 1
    assert made.asked == [(None, 3), (3, 5), (5, 6)]


def test_after_a_failure_a_pull_source_goes_on_where_it_was(allocator: Allocator) -> None:
    made = Numbers()
    stream = reading(made)
    allocator.keep_only([stream], 3)
    made.broken = True
    with pytest.raises(SourceError, match="the server is down"):
        allocator.allocate(stream, 5)
    made.broken = False
    assert allocator.allocate(stream, 6).num_partitions == 3


def test_a_stream_that_comes_again_begins_anew(allocator: Allocator) -> None:
    made = Numbers()
    stream = reading(made)
    allocator.keep_only([stream], 3)
    allocator.keep_only([], 4)
    allocator.keep_only([stream], 5)
    assert made.asked == [(None, 3), (None, 5)]


def test_a_source_that_fails_when_it_is_defined_may_be_defined_again(allocator: Allocator) -> None:
    made = Numbers(broken=True)
    stream = reading(made)
    with pytest.raises(SourceError):
        allocator.keep_only([stream], 3)
    made.broken = False
    allocator.keep_only([stream], 4)
    assert allocator.allocate(stream, 6).num_partitions == 2
