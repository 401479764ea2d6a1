"""Memory does not grow with the number of batches, only with what is asked to be remembered."""

from __future__ import annotations

import gc
from collections.abc import Callable
from operator import add, sub
from typing import Any, NamedTuple

import pytest

from livebatch.closures import codes
from livebatch.engine.executors.inline import InlineExecutor
from livebatch.rdd import RDD
from livebatch.testing import ManualContext
from tests.model.harness import context, watch

ROWS = [("a", 1), ("b", 2), ("a", 3)]


def count(key: str, value: int | None, state: Any) -> Any:
    if not state.is_timing_out():
        state.update(state.get(0) + 1)
    return key, state.get()


STREAMS: dict[str, Callable[[Any], Any]] = {
    "window": lambda s: s.map_values(abs).window(6, 2),
    "inverse": lambda s: s.reduce_by_key_and_window(add, sub, 6, 2),
    "merged": lambda s: s.reduce_by_key_and_window(max, None, 20),
    "counts": lambda s: s.count_by_value_and_window(5),
    "state": lambda s: s.update_state_by_key(lambda new, n: (n or 0) + len(new)),
    "mapped": lambda s: s.map_with_state(count, timeout=3),
    "sessions": lambda s: s.session_window(1, 0, add),
    "transform": lambda s: s.transform(lambda rdd: rdd.filter(all)).window(3),
}


class Memory(NamedTuple):
    """What is held: batches of streams, RDDs in all, blocks, and functions."""

    generated: int
    rdds: int
    blocks: int
    functions: int


def memory_of(ssc: ManualContext) -> Memory:
    gc.collect()
    nodes = ssc.stepped.engine.graph.nodes.values()
    return Memory(
        generated=sum(len(node.generated) for node in nodes),
        rdds=sum(isinstance(thing, RDD) for thing in gc.get_objects()),
        blocks=len(ssc.stepped.executor.store.ids()),  # type: ignore[attr-defined]
        functions=len(codes._blobs),
    )


def define(ssc: ManualContext, *names: str) -> Any:
    source = ssc.queue_stream(default=ROWS)
    for name in names:
        ssc.register(name, STREAMS[name](source), retain="4s")
    return source


@pytest.mark.usefixtures("every_block_stored")
def test_memory_is_flat_over_1000_batches() -> None:
    with context(InlineExecutor(slots=1)) as ssc:
        define(ssc, "window", "inverse", "merged", "state")
        ssc.start()
        ssc.advance(120)
        early = memory_of(ssc)
        ssc.advance(880)
        assert memory_of(ssc) == early
        assert early.generated < 150
        assert early.blocks < 150
        assert ssc.streams["state"].latest().collect_as_map() == {"a": 2000, "b": 1000}
        ssc.await_termination(timeout=0)


@pytest.mark.parametrize(("window", "batches"), [(None, 3), (2, 3), (30, 30)])
def test_the_longest_need_decides_how_much_is_kept(window: int | None, batches: int) -> None:
    with context() as ssc:
        source = ssc.register("source", ssc.queue_stream(default=ROWS), retain="3s")
        if window is not None:
            watch(source.window(window))
            watch(source.reduce_by_key_and_window(add, None, window))
        ssc.start()
        ssc.advance(100)
        node = ssc.stepped.engine.graph.named("source")
        assert batches <= len(node.generated) <= batches + 1
        assert source.last("2s").count() == 2 * len(ROWS)


@pytest.mark.usefixtures("every_block_stored")
def test_nothing_is_left_of_streams_that_were_removed() -> None:
    with context() as ssc:
        ssc.start()
        for _ in range(3):
            source = define(ssc, *STREAMS)
            ssc.advance(20)
            for name in STREAMS:
                ssc.remove(name)
            ssc.advance(1)
            held = memory_of(ssc)
            assert (held.generated, held.blocks) == (0, 0)
            assert source.id not in ssc.stepped.engine.graph.nodes


def test_what_only_a_removed_window_needed_is_forgotten() -> None:
    with context() as ssc:
        source = ssc.register("source", ssc.queue_stream(default=ROWS), retain="2s")
        for name, length in (("long", 60), ("short", 4)):
            ssc.register(name, source.reduce_by_key_and_window(add, None, length), retain="2s")
        ssc.start()
        ssc.advance(80)
        nodes = ssc.stepped.engine.graph.nodes
        assert max(len(node.generated) for node in nodes.values()) >= 60
        ssc.remove("long")
        ssc.advance(1)
        assert max(len(node.generated) for node in nodes.values()) <= 5
        assert ssc.streams["short"].latest().collect_as_map() == {"a": 16, "b": 8}


@pytest.mark.usefixtures("every_block_stored")
def test_nothing_is_left_of_shuffles_and_answers() -> None:
    with context() as ssc:
        ssc.start()
        rdd = ssc.parallelize(ROWS * 10).reduce_by_key(add)
        for _ in range(3):
            rdd.group_by_key(5).collect()
            assert memory_of(ssc).blocks == 0


@pytest.mark.usefixtures("every_block_stored")
def test_replacing_again_and_again_leaves_nothing_behind() -> None:
    with context() as ssc:
        source = ssc.register("source", ssc.queue_stream(default=ROWS), retain="2s")
        ssc.start()
        held = []
        for _ in range(6):
            ssc.register("tags", source.map_values(abs).window(2), retain="2s")
            ssc.advance(10)
            held.append(memory_of(ssc)._replace(rdds=0, functions=0))
        assert len(set(held[1:])) == 1


@pytest.mark.usefixtures("every_block_stored")
def test_nothing_is_left_of_failed_batches() -> None:
    def fail(row: tuple[str, int]) -> Any:
        raise ValueError(row)

    with context() as ssc:
        ssc.register("broken", ssc.queue_stream(default=ROWS).map(fail), retain="2s")
        ssc.start()
        ssc.advance(10)
        early = memory_of(ssc)
        ssc.advance(40)
        assert memory_of(ssc).blocks == early.blocks


def test_a_state_that_fails_does_not_grow() -> None:
    def fail(new: list[int], state: Any) -> Any:
        raise ValueError(new)

    with context() as ssc:
        state = ssc.queue_stream(default=ROWS).update_state_by_key(fail)
        ssc.register("state", state, retain="2s")
        ssc.start()
        ssc.advance(40)
        early = memory_of(ssc)
        ssc.advance(20)
        assert memory_of(ssc) == early
