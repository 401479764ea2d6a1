"""Windows: adding what enters and taking off what leaves, against looking at the window anew."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from operator import add, mul, sub, truediv, xor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livebatch.engine.executors.inline import InlineExecutor
from livebatch.errors import DefinitionError
from livebatch.testing import ManualContext
from tests.model.harness import assert_agrees, bags, context, history, play, watch
from tests.model.strategies import Parameters, batches_of, gains, keys, numbers, parameters

long_histories = batches_of(gains, most=16)


def alive(pair: tuple[Any, int]) -> bool:
    return pair[1] > 0


def sums(stream: Any, p: Parameters, inverse: Any) -> Any:
    """Sums of numbers above 0, so that a key is in the window if and only if its sum is."""
    window = p.window * p.slide
    return stream.reduce_by_key_and_window(add, inverse, window, p.slide, p.partitions, alive)


@given(long_histories, parameters)
def test_incremental_is_recomputed_is_naive(batches: list[list[Any]], p: Parameters) -> None:
    incremental = bags(play(lambda s: sums(s, p, sub), batches))
    recomputed = bags(play(lambda s: sums(s, p, None), batches))
    naive = bags(sums(history(batches), p, None).batches)
    assert incremental == recomputed == naive


@pytest.mark.parametrize(
    ("func", "inverse", "values"),
    [
        (add, sub, st.integers()),
        (add, sub, st.decimals(-9, 9, places=2)),
        (xor, xor, st.integers(0, 99)),
        (mul, truediv, st.fractions(Fraction(1, 3), 3, max_denominator=9)),
    ],
    ids=["integers", "decimals", "bits", "fractions"],
)
def test_any_exact_inverse_will_do(func: Any, inverse: Any, values: Any) -> None:
    @settings(max_examples=20)
    @given(batches_of(st.tuples(keys, values), most=12), parameters)
    def check(batches: list[list[Any]], p: Parameters) -> None:
        window = p.window * p.slide
        assert_agrees(
            lambda s: s.reduce_by_key_and_window(func, inverse, window, p.slide, p.partitions),
            batches,
        )

    check()


@given(batches_of(keys, most=12), parameters)
def test_counts_by_window_agree_with_each_other(batches: list[list[Any]], p: Parameters) -> None:
    """The number of records is the sum of how often each occurs."""
    window = p.window * p.slide
    with ManualContext("1s") as ssc:
        stream = ssc.queue_stream(batches)
        totals = watch(stream.count_by_window(window, p.slide))
        counts = watch(stream.count_by_value_and_window(window, p.slide))
        ssc.start()
        ssc.advance(len(batches))
    assert totals == {at: [sum(n for _, n in rows)] for at, rows in counts.items()}


@given(batches_of(numbers, most=12), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3))
def test_windows_of_windows_weigh_overlaps(
    batches: list[list[int]], window: int, slide: int, times: int
) -> None:
    assert_agrees(
        lambda s: s.window(window, slide).count_by_value_and_window(slide * times * 2, slide),
        batches,
    )


@given(batches_of(numbers, most=10), st.sampled_from(["250ms", "500ms", "2s"]), st.integers(1, 4))
def test_windows_count_batches_whatever_their_length(
    batches: list[list[int]], interval: str, length: int
) -> None:
    with ManualContext(interval) as ssc:
        stream = ssc.queue_stream(batches)
        rows: list[list[int]] = []
        windowed = stream.window(length * stream.slide / 1000)
        windowed.foreach_rdd(lambda rdd: rows.append(rdd.collect()), on="kernel")
        ssc.start()
        ssc.advance(len(batches) * stream.slide / 1000)
    expected = history(batches).window(length).batches.values()
    assert [sorted(found) for found in rows] == [sorted(wanted) for wanted in expected]


@settings(max_examples=20)
@given(batches_of(gains, most=12), parameters, st.integers(1, 9))
def test_a_window_defined_late_is_as_one_defined_early(
    batches: list[list[Any]], p: Parameters, defined: int
) -> None:
    def build(stream: Any) -> list[Any]:
        pairs = stream.map_values(abs).filter(all)
        window = p.window * p.slide
        return [
            pairs.window(window, p.slide),
            pairs.union(pairs).reduce_by_key_and_window(add, None, window, p.slide, p.partitions),
            sums(pairs, p, sub),
            pairs.count_by_value_and_window(p.window, p.slide, p.partitions),
            pairs.window(window, p.slide).count_by_window(window * p.slide, p.slide),
        ]

    with context(InlineExecutor(p.slots)) as ssc:
        stream = ssc.register("stream", ssc.queue_stream(batches))
        early = [watch(made) for made in build(stream)]
        ssc.start()
        ssc.advance(defined)
        late = [watch(made) for made in build(stream)]
        ssc.advance(6)
        ssc.await_termination(timeout=0)
    for first, second in zip(early, late, strict=True):
        assert bags(second) == bags({at: rows for at, rows in first.items() if at > defined})


lengths = st.tuples(st.integers(1, 20), st.integers(1, 5))


@settings(max_examples=30)
@given(batches_of(gains, most=40), st.lists(lengths, min_size=1, max_size=4), parameters)
def test_windows_of_any_length_over_one_stream_agree_with_the_oracle(
    batches: list[list[Any]], windows: list[tuple[int, int]], p: Parameters
) -> None:
    def build(stream: Any, length: int, slide: int) -> Any:
        return stream.reduce_by_key_and_window(max, None, length, slide, p.partitions)

    with context(InlineExecutor(p.slots)) as ssc:
        stream = ssc.queue_stream(batches)
        seen = [watch(build(stream, *window)) for window in windows]
        ssc.start()
        ssc.advance(len(batches))
        ssc.await_termination(timeout=0)
    for (length, slide), found in zip(windows, seen, strict=True):
        assert bags(found) == bags(build(history(batches), length, slide).batches)


def test_what_is_merged_in_which_order_is_the_same_whenever_a_window_is_defined() -> None:
    """So that not even sums of floats differ."""
    batches = [[("sum", 1.1**n)] for n in range(40)]
    with context() as ssc:
        numbers = ssc.register("numbers", ssc.queue_stream(batches))
        early = watch(numbers.reduce_by_key_and_window(add, None, 21))
        ssc.start()
        ssc.advance(30)
        late = watch(numbers.reduce_by_key_and_window(lambda a, b: a + b, None, 21))
        ssc.advance(10)
    assert late == {at: rows for at, rows in early.items() if at > 30}


@dataclass(frozen=True)
class Calls:
    """Counts calls of functions, wherever they are called."""

    log: Path

    def counting(self, function: Any) -> Any:
        log = str(self.log)

        def counted(*args: Any) -> Any:
            with open(log, "a") as file:
                file.write(".")
            return function(*args)

        return counted

    def taken(self) -> int:
        """Return how many there have been since this was asked last."""
        count = self.log.stat().st_size if self.log.exists() else 0
        self.log.write_text("")
        return count


@pytest.fixture
def calls(tmp_path: Path) -> Calls:
    return Calls(tmp_path / "calls")


def slides(ssc: ManualContext, calls: Calls, count: int) -> list[int]:
    """Return how many calls each of some slides takes."""
    calls.taken()
    found = []
    for _ in range(count):
        ssc.advance(1)
        found.append(calls.taken())
    return found


TEN_MINUTES = 600


def test_a_slide_of_ten_minutes_costs_what_changed(tmp_path: Path) -> None:
    """It calls functions and reads rows as often as one of five seconds, where there is an inverse,
    and merges a few partial results where there is none."""
    merges, slid = Calls(tmp_path / "merges"), Calls(tmp_path / "slid")
    with context(InlineExecutor(1)) as ssc:
        pairs = ssc.queue_stream(default=[("a", 1), ("a", 1), ("b", 1)])
        func, inverse = slid.counting(add), slid.counting(sub)
        for name, length in (("short", 5), ("long", TEN_MINUTES)):
            ssc.register(name, pairs.reduce_by_key_and_window(func, inverse, length), "1s")
            ssc.register(f"{name}_count", pairs.count_by_window(length), "1s")
        numbers = pairs.count().map(lambda n: ("n", n))
        merged = numbers.reduce_by_key_and_window(merges.counting(add), None, TEN_MINUTES)
        ssc.register("merged", merged, "1s")
        ssc.start()
        ssc.advance(TEN_MINUTES)
        merges.taken()
        taken = slides(ssc, slid, 2)
        each = slides(ssc, merges, 64)
        # Two keys are added to each window and taken off it; one pair is merged for both windows.
        assert taken == [9, 9]
        assert max(each) <= 2 * math.log2(TEN_MINUTES)
        assert statistics.mean(each) <= math.log2(TEN_MINUTES) + 1
        assert costs(ssc, "short") == costs(ssc, "long")
        assert costs(ssc, "short_count") == costs(ssc, "long_count")
        assert sum(rows for _, rows in costs(ssc, "long")) < 20
        assert sorted(ssc.streams["long"].latest().collect()) == [("a", 1200), ("b", 600)]
        assert ssc.streams["long_count"].latest().collect() == [1800]
        assert merged.latest().collect() == [("n", 1800)]


def costs(ssc: ManualContext, name: str) -> list[tuple[int, int]]:
    """Return how many tasks each stage of a stream's newest batch had, and rows it read."""
    stages = {n.cost.stage: n.cost for n in ssc.explained(name).nodes if n.cost}
    return [(cost.tasks, cost.rows) for cost in stages.values()]


def test_windows_over_one_stream_share_their_partial_results(calls: Calls) -> None:
    def slide(*names: str) -> list[int]:
        with context(InlineExecutor(1)) as ssc:
            pairs = ssc.queue_stream(default=[("n", 1), ("n", 1)])
            func = calls.counting(max)
            build = {
                "minute": lambda: pairs.reduce_by_key_and_window(func, None, 64, 1),
                "same": lambda: pairs.reduce_by_key_and_window(func, None, 64, 1),
                "half": lambda: pairs.reduce_by_key_and_window(func, None, 32, 1),
                "other": lambda: pairs.reduce_by_key_and_window(calls.counting(min), None, 64),
                "inverse": lambda: pairs.reduce_by_key_and_window(func, min, 64),
            }
            for name in names:
                ssc.register(name, build[name](), retain="1s")
            ssc.start()
            ssc.advance(64)
            return slides(ssc, calls, 64)

    alone = [sum(slide(name)) for name in ("minute", "half", "other")]
    batches, levels = 64, 32 + 16 + 8 + 4 + 2
    minute, half, other = alone
    assert sum(slide("minute", "same")) == 2 * minute - batches - levels
    assert sum(slide("minute", "half")) == minute + half - batches - (levels - 2)
    assert sum(slide("minute", "other")) == minute + other
    assert sum(slide("minute", "inverse")) == minute + batches


def test_a_partial_result_that_no_window_needs_is_not_computed(calls: Calls) -> None:
    batches = [[("n", 1), ("n", 1)]] * 24
    with context() as ssc:
        pairs = ssc.queue_stream(batches)
        watch(pairs.reduce_by_key_and_window(calls.counting(add), None, 2, 8))
        ssc.start()
        ssc.advance(24)
    assert calls.taken() == 3 * (2 + 1)


@settings(max_examples=20)
@given(st.data(), parameters)
def test_windows_over_pauses_hold_what_was_not_paused(data: st.DataObject, p: Parameters) -> None:
    batches = data.draw(batches_of(gains, most=20))
    paused = data.draw(st.sets(st.integers(1, len(batches)), max_size=12))
    length = p.window * p.slide * 2

    def build(stream: Any) -> list[Any]:
        return [
            stream.reduce_by_key_and_window(add, None, length, p.slide, p.partitions),
            sums(stream, p, sub),
            stream.count_by_value_and_window(length, p.slide),
            stream.count_by_window(length, p.slide),
            stream.group_by_key_and_window(length, p.slide).map_values(sorted),
        ]

    with context(InlineExecutor(p.slots)) as ssc:
        stream = ssc.register("stream", ssc.queue_stream(batches))
        seen = [watch(made) for made in build(stream)]
        ssc.start()
        for at in range(1, len(batches) + 1):
            (ssc.pause if at in paused else ssc.resume)("stream")
            ssc.advance(1)
        ssc.await_termination(timeout=0)
    left = [[] if at in paused else rows for at, rows in enumerate(batches, 1)]
    expected = build(history(left))
    assert [bags(found) for found in seen] == [bags(wanted.batches) for wanted in expected]


@settings(max_examples=15)
@given(st.sets(st.integers(1, 24), max_size=16), st.integers(1, 12), st.integers(1, 3))
def test_a_window_that_is_paused_now_and_then_misses_nothing(
    paused: set[int], length: int, slide: int
) -> None:
    batches = [[("n", n)] for n in range(1, 25)]

    def build(stream: Any) -> Any:
        return stream.reduce_by_key_and_window(add, None, length, slide)

    with context() as ssc:
        seen = watch(ssc.register("window", build(ssc.queue_stream(batches))))
        ssc.start()
        for at in range(1, 25):
            (ssc.pause if at in paused else ssc.resume)("window")
            ssc.advance(1)
        ssc.await_termination(timeout=0)
    expected = build(history(batches)).batches
    assert seen == {at: rows for at, rows in expected.items() if at not in paused}


@pytest.mark.parametrize(
    "build",
    [
        lambda s: s.window("3s"),
        lambda s: s.window("4s", "3s"),
        lambda s: s.count_by_window("3s"),
        lambda s: s.reduce_by_window(add, None, "4s", "1s"),
        lambda s: s.count_by_value_and_window("2500ms"),
        lambda s: s.reduce_by_key_and_window(add, sub, "3s", "2s"),
    ],
)
def test_wrong_durations_are_refused_where_they_are_written(build: Any) -> None:
    with ManualContext("2s") as ssc, pytest.raises(DefinitionError, match="multiple of 2s"):
        build(ssc.queue_stream())


def test_the_message_says_which_duration_would_do() -> None:
    with ManualContext("2s") as ssc:
        with pytest.raises(DefinitionError, match=r"the window 3s must be .* 4s would do"):
            ssc.queue_stream().window("3s")
        with pytest.raises(DefinitionError, match=r"the slide 5s must be .* 6s would do"):
            ssc.queue_stream().window("4s", "5s")


def test_an_inverse_knows_gaps_between_windows() -> None:
    batches = [[(key, 1)] for key in "abcdef"]
    assert_agrees(lambda s: s.reduce_by_key_and_window(add, sub, 1, 3), batches)


def test_count_by_value_and_window_knows_gaps_between_windows() -> None:
    assert_agrees(lambda s: s.count_by_value_and_window(1, 3), ["a", "b", "c", "d", "e", "f"])


def test_a_filter_with_an_inverse_filters_the_result_only() -> None:
    batches = [[("a", 1)], [("a", 2)], [], []]
    assert_agrees(
        lambda s: s.reduce_by_key_and_window(add, sub, 3, 1, None, lambda pair: pair[1] > 2),
        batches,
    )


def test_reduce_by_window_of_an_empty_window_is_empty() -> None:
    assert_agrees(lambda s: s.reduce_by_window(add, sub, 2, 1), [[Decimal(1)], [], [], []])
