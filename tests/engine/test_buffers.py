"""What waits of push sources: never too much, in order, and counted."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from livebatch.block import BlockRef
from livebatch.engine.buffers import Buffer, Buffers
from livebatch.engine.collector import MOST, Collector
from livebatch.sources.receiving import KEY, Overflow, Receiving
from livebatch.stream import Input

LIMIT = 100


def block(number: int, nbytes: int) -> BlockRef:
    return BlockRef(f"s-1.{number}", 1, nbytes, "arrow")


steps = st.lists(
    st.one_of(
        st.integers(1, 60).map(lambda n: ("add", n)), st.just(("tick", 0)), st.just(("done", 0))
    ),
    max_size=60,
)


@given(st.sampled_from(["block", "drop_oldest", "spill"]), steps)
def test_every_block_is_dropped_or_in_one_batch(
    policy: Overflow, done: list[tuple[str, int]]
) -> None:
    buffer = Buffer(Receiving(policy), LIMIT)
    waiting: list[BlockRef] = []
    under_way: dict[int, list[BlockRef]] = {}
    added: list[BlockRef] = []
    gone: list[BlockRef] = []
    taken: list[BlockRef] = []
    for time, (what, nbytes) in enumerate(done):
        if what == "add":
            added.append(block(time, nbytes))
            gone += buffer.add(added[-1], waiting)
        elif what == "tick":
            idle = not under_way
            got = buffer.take(time, waiting)
            taken += got
            if got:
                under_way[time] = got
            assert got or not idle or not waiting
            assert sum(b.nbytes for b in got) <= LIMIT or len(got) == 1
        elif under_way:
            first = min(under_way)
            del under_way[first]
            del buffer.batches[first]
        held = [b for blocks in under_way.values() for b in blocks]
        assert buffer.nbytes == sum(b.nbytes for b in [*waiting, *held])
        if policy == "drop_oldest":
            assert buffer.nbytes <= LIMIT or len(waiting) <= 1
    assert buffer.dropped == len(gone)
    assert not gone or policy == "drop_oldest"
    assert sorted([*gone, *taken, *waiting], key=added.index) == added
    assert taken == sorted(taken, key=added.index)
    assert waiting == sorted(waiting, key=added.index)


def test_whoever_reads_is_told_of_what_waits() -> None:
    told: list[tuple[str, int, int]] = []
    buffers = Buffers(LIMIT, lambda *said: told.append(said))
    pushed = Input((), 1000, "made", {KEY: {"on_overflow": "drop_oldest"}})
    own = Input((), 1000, "errors", {})
    buffers.keep_only([pushed, own])
    waiting: list[BlockRef] = []
    for number in range(3):
        buffers.add(pushed.id, block(number, 50), waiting)
    taken = buffers.take(pushed.id, 1000, waiting)
    assert [b.id for b in taken] == ["s-1.1", "s-1.2"]
    buffers.done(1000)
    buffers.dropped(pushed.id, 5)
    assert told == [(pushed.id, n, d) for n, d in ((50, 0), (100, 0), (100, 1), (0, 1))]
    found = buffers.get(pushed.id)
    assert found is not None
    assert found.dropped == 6
    mine: list[BlockRef] = []
    assert buffers.add(own.id, block(9, 999), mine) == []
    assert buffers.take(own.id, 1000, mine) == [block(9, 999)]
    assert mine == []
    buffers.keep_only([own])
    assert (buffers.get(pushed.id), buffers.get(own.id)) == (None, None)


def blocked(function: object, *args: object) -> threading.Thread:
    """A thread that runs a function, once it is stuck in it."""
    thread = threading.Thread(target=function, args=args, daemon=True)  # type: ignore[arg-type]
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()
    return thread


def ended(thread: threading.Thread) -> bool:
    thread.join(10)
    return not thread.is_alive()


def test_a_source_waits_while_it_is_held_and_while_too_much_is_pending() -> None:
    collector = Collector(1 << 30)
    collector.hold(True)
    thread = blocked(collector.emit, ["a"])
    collector.hold(False)
    assert ended(thread)
    collector.emit(range(MOST))
    thread = blocked(collector.emit, ["b"])
    rows, _, emitted = collector.take()
    assert (len(rows), emitted) == (MOST + 1, MOST + 1)
    assert ended(thread)
    collector.hold(True)
    thread = blocked(collector.emit, ["c"])
    collector.stop()
    assert ended(thread)
    assert collector.take()[0] == ["b", "c"]


def test_a_flush_waits_until_all_that_was_emitted_has_been_received() -> None:
    collector = Collector(1 << 30)
    collector.flush()
    collector.emit([1, 2, 3])
    thread = blocked(collector.flush)
    collector.received(2)
    thread.join(0.05)
    assert thread.is_alive()
    collector.received(3)
    assert ended(thread)


def test_how_much_may_be_pending_follows_from_how_large_records_are() -> None:
    collector = Collector(1000)
    collector.emit(["a"] * 10)
    thread = blocked(collector.emit, ["b"] * 10)
    collector.learn(10, 500)
    collector.take()
    assert ended(thread)
    collector.emit(["c"] * 10)
    thread = blocked(collector.emit, ["d"])
    collector.stop()
    assert ended(thread)
