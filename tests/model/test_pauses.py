"""Streams that are paused: what is left out, and how what is computed from them goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from livebatch.errors import NotRunning
from livebatch.events import Event, StreamPaused
from livebatch.stream import DStream
from livebatch.testing import ManualContext, collected


def paused_for(ssc: ManualContext, name: str, duration: str) -> None:
    ssc.pause(name)
    ssc.advance(duration)
    ssc.resume(name)


def numbered(ssc: ManualContext, count: int = 12) -> DStream[Any]:
    """Return a stream whose n-th batch is [n]."""
    return ssc.register("numbers", ssc.queue_stream([[n] for n in range(1, count + 1)]))


def keyed(numbers: DStream[Any]) -> DStream[Any]:
    return numbers.map(lambda n: ("sum", n))


def add(a: int, b: int) -> int:
    return a + b


def take(a: int, b: int) -> int:
    return a - b


def total(new: list[int], state: int | None) -> int:
    return sum(new) + (state or 0)


def test_a_paused_stream_leaves_its_batches_out_and_goes_on_from_the_next() -> None:
    with ManualContext("1s") as ssc:
        numbers = numbered(ssc)
        doubled = ssc.register("doubled", numbers.map(lambda n: 2 * n))
        sources, batches = collected(numbers), collected(doubled)
        ssc.start()
        ssc.advance("2s")
        paused_for(ssc, "doubled", "3s")
        ssc.advance("1s")
        assert batches == [[2], [4], [12]]
        assert sources == [[1], [2], [3], [4], [5], [6]]
        assert len(doubled.last("1h").collect()) == 3


def test_what_is_computed_batch_by_batch_stands_still_with_it() -> None:
    with ManualContext("1s") as ssc:
        numbers = numbered(ssc)
        odd = ssc.register("odd", ssc.queue_stream(default=[0]))
        joined = ssc.register("both", numbers.union(odd))
        batches = collected(joined)
        ssc.start()
        ssc.advance("1s")
        ssc.pause("numbers")
        ssc.advance("2s")
        status = {stream.name: stream for stream in ssc.status().streams}
        assert status["numbers"].paused == ("numbers",)
        assert status["both"].paused == ("numbers",)
        assert status["odd"].paused == ()
        ssc.resume("numbers")
        ssc.advance("1s")
        assert [sorted(batch) for batch in batches] == [[0, 1], [0, 4]]
        assert not any(stream.paused for stream in ssc.status().streams)


def test_the_input_of_a_pause_is_dropped_and_takes_no_memory() -> None:
    with ManualContext("1s") as ssc:
        numbered(ssc)
        ssc.start()
        ssc.pause("numbers")
        ssc.advance("5s")
        [node] = ssc.stepped.engine.graph.inputs
        assert node.allocated == {}
        assert node.generated == {}
        ssc.resume("numbers")
        ssc.advance("1s")
        assert ssc.streams["numbers"].latest().collect() == [6]


def test_windows_go_on_without_the_batches_that_are_missing() -> None:
    with ManualContext("1s") as ssc:
        numbers = numbered(ssc)
        plain = ssc.register("plain", numbers.window("3s"))
        sums = keyed(numbers).reduce_by_key_and_window(add, take, "3s", filter_func=bool)
        inverse = ssc.register("inverse", sums)
        windows, reduced = collected(plain), collected(inverse)
        ssc.start()
        ssc.advance("3s")
        paused_for(ssc, "numbers", "4s")
        ssc.advance("4s")
        expected = [[1], [1, 2], [1, 2, 3], [2, 3], [3], [], [], [8], [8, 9], [8, 9, 10],
                    [9, 10, 11]]  # fmt: skip
        assert windows == expected
        assert [sum(value for _, value in batch) for batch in reduced] == list(map(sum, expected))
        assert not any(stream.paused for stream in ssc.status().streams)


@pytest.mark.parametrize("inverse", [None, take])
def test_a_window_that_was_paused_itself_misses_nothing_when_it_goes_on(inverse: Any) -> None:
    with ManualContext("1s") as ssc:
        numbers = numbered(ssc)
        window = keyed(numbers).reduce_by_key_and_window(add, inverse, "3s")
        batches = collected(ssc.register("sums", window.map_values(lambda n: n)))
        ssc.start()
        ssc.advance("3s")
        paused_for(ssc, "sums", "5s")
        ssc.advance("3s")
        assert [batch[0][1] for batch in batches] == [1, 3, 6, 7 + 8 + 9, 27, 30]


def test_states_stand_still() -> None:
    with ManualContext("1s") as ssc:
        sums = keyed(numbered(ssc, 60)).update_state_by_key(total)
        batches = collected(ssc.register("sums", sums))
        ssc.start()
        ssc.advance("2s")
        paused_for(ssc, "numbers", "40s")
        ssc.advance("1s")
        paused_for(ssc, "sums", "10s")
        ssc.advance("1s")
        assert [batch[0][1] for batch in batches] == [1, 3, 46, 100]


def test_outputs_of_its_cell_are_held_too() -> None:
    with ManualContext("1s") as ssc:
        numbers = numbered(ssc)
        seen: list[int] = []
        with ssc.defining("last"):
            numbers.map(lambda n: -n).foreach_rdd(lambda rdd: seen.append(rdd.first()), on="kernel")
            ssc.register("last", numbers.map(str))
        ssc.start()
        ssc.advance("1s")
        paused_for(ssc, "last", "2s")
        ssc.advance("1s")
        assert seen == [-1, -4]


def test_the_newest_batch_from_before_a_long_pause_can_be_asked(tmp_path: Path) -> None:
    with ManualContext("1s") as ssc:
        rows = [list(range(50_000)), *[[n] for n in range(60)]]
        big = ssc.register("big", ssc.queue_stream(rows).map(lambda n: n + 1), "2s")
        ssc.start()
        ssc.advance("1s")
        ssc.pause("big")
        ssc.advance("40s")
        assert big.latest().count() == 50_000
        store = ssc.stepped.executor.store
        assert len(store.ids()) > 0
        ssc.resume("big")
        ssc.advance("3s")
        assert big.latest().collect() == [43]
        assert store.ids() == set()


def test_a_stream_that_is_defined_anew_is_not_paused() -> None:
    with ManualContext("1s") as ssc:
        numbered(ssc)
        ssc.start()
        ssc.pause("numbers")
        ssc.advance("1s")
        ssc.register("numbers", ssc.queue_stream(default=[7]))
        ssc.advance("1s")
        assert ssc.streams["numbers"].latest().collect() == [7]


def test_listeners_are_told_once() -> None:
    with ManualContext("1s") as ssc:
        numbered(ssc)
        heard: list[Event] = []
        ssc.connection.listen(heard.append)
        for act in (ssc.pause, ssc.pause, ssc.resume, ssc.resume):
            act("numbers")
        assert heard == [StreamPaused("numbers", True), StreamPaused("numbers", False)]


def test_a_stream_that_is_not_there_cannot_be_paused() -> None:
    with ManualContext("1s") as ssc:
        for act in (ssc.pause, ssc.resume):
            with pytest.raises(NotRunning, match="there is no stream nothing"):
                act("nothing")
