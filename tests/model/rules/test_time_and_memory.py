"""Rules 1 to 7: when batches are, and how long they are remembered."""

from __future__ import annotations

from operator import add, sub
from pathlib import Path
from typing import Any

import pytest

from livebatch.errors import DefinitionError, NotRunning
from livebatch.interval import to_datetime
from livebatch.rdd import ancestors
from livebatch.testing import START, ManualContext
from tests.model.harness import bags, context, play, watch


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


def test_rule_03_joins_are_of_the_batches_of_one_time() -> None:
    batches = [[("a", 1)], [("a", 2)], [("a", 3)], []]
    joined = play(lambda s: s.window(2, 2).join(s.window(3, 2)), batches)
    assert bags(joined) == bags(
        {2: [("a", pair) for pair in [(1, 1), (1, 2), (2, 1), (2, 2)]],
         4: [("a", (3, 2)), ("a", (3, 3))]}
    )  # fmt: skip
    with ManualContext("1s") as ssc:
        fast = ssc.queue_stream()
        slow = fast.window(4, 2)
        for name in ("join", "left_outer_join", "right_outer_join", "full_outer_join", "cogroup"):
            for one, other in [(fast, slow), (slow, fast)]:
                with pytest.raises(
                    DefinitionError,
                    match=rf"{name} needs streams of one slide, not 1s, 2s, for .*"
                    r'bring the faster to the slower\'s with .window\("2s", "2s"\)',
                ):
                    getattr(one, name)(other)


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


def test_what_a_window_looks_at_again_is_not_computed_again(tmp_path: Path) -> None:
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
    assert sorted(log.read_text().split()) == sorted(2 * "012345")


@pytest.mark.parametrize(("batch", "every"), [(1, 10), (3, 12), (20, 20)])
def test_rule_07_states_and_inverse_windows_cut_lineage(batch: int, every: int) -> None:
    with ManualContext(batch) as ssc:
        pairs = ssc.queue_stream(default=[("a", 1)])
        states = pairs.update_state_by_key(lambda new, n: sum(new) + (n or 0))
        windows = pairs.reduce_by_key_and_window(add, sub, 5 * batch)
        plain = pairs.map_values(abs).checkpoint(2 * batch)
        found = {"states": states, "windows": windows, "plain": plain}
        for name, stream in found.items():
            ssc.register(name, stream, retain=batch)
        ssc.start()
        ssc.advance(100 * batch)
        nodes = {name: ssc.stepped.engine.graph.named(name) for name in found}
        lengths = [
            sum(1 for kept in ancestors(rdd) if kept.id.startswith(node.id))
            for node in nodes.values()
            for rdd in node.generated.values()
        ]
        intervals = {name: node.checkpoint_interval for name, node in nodes.items()}
        remembered = {name: node.remember for name, node in nodes.items()}
        assert states.latest().collect() == [("a", 100)]
    assert intervals == {"states": every * 1000, "windows": every * 1000, "plain": 2000 * batch}
    assert all(remembered[name] >= 2 * interval for name, interval in intervals.items())
    assert max(lengths) <= 3 * every / batch


def test_streams_remember_as_long_as_the_context_says_also_later() -> None:
    with context() as ssc:
        numbers = ssc.register("numbers", ssc.queue_stream([[n] for n in range(40)]), retain="1s")
        ssc.start()
        ssc.advance(10)
        ssc.remember("20s")
        doubled = ssc.register("doubled", numbers.map(lambda n: n * 2), retain="1s")
        ssc.advance(30)
        kept = {name: len(ssc.settled(ssc.streams[name])) for name in ("numbers", "doubled")}
        graph = ssc.stepped.engine.graph
        assert kept == {"numbers": 20, "doubled": 20}
        assert len(graph.named("doubled").generated) == 20
        assert doubled.last("20s").count() == 20


def test_a_running_stream_can_be_kept_from_now_on() -> None:
    with context() as ssc:
        made = ssc.queue_stream([[1], [2], [3]]).map(lambda n: -n)
        seen = watch(made.count())
        ssc.start()
        ssc.advance(1)
        node = ssc.stepped.engine.graph.nodes[made.id]
        before = node.persisted
        made.cache().checkpoint("2s")
        named = ssc.register("named", made.map(abs)).checkpoint("3s")
        assert ssc.stepped.engine.graph.nodes[named.id].checkpoint_interval == 3000
        ssc.advance(2)
        assert (before, node.persisted, node.checkpoint_interval) == (False, True, 2000)
        assert node.remember == 6000  # named needs that much
    assert seen == {1: [1], 2: [1], 3: [1]}
