"""Windows: adding what enters and taking off what leaves, against looking at the window anew."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from operator import add, mul, sub, truediv, xor
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
