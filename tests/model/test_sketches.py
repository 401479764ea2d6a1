"""Sketches, against exact answers and the bounds that they promise."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livebatch.engine.executors.inline import InlineExecutor
from livebatch.errors import DefinitionError
from livebatch.rdd.sketches import FrequentRows, frequent_size
from livebatch.testing import ManualContext
from tests.model.harness import context, history, play, watch
from tests.model.strategies import keys

SKEWED = 60
"""So many different records, some of which are far more frequent than others."""

durations = st.tuples(st.integers(1, 12), st.integers(1, 3))


def skewed(seed: int, count: int) -> list[list[str]]:
    """Return batches of up to 300 records, more than a small sketch can tell apart."""
    chance = random.Random(seed)
    sizes = [chance.choice([0, 30, 300]) for _ in range(count)]
    return [[f"r{int(SKEWED ** chance.random())}" for _ in range(size)] for size in sizes]


def assert_most_frequent(
    found: list[tuple[Any, int]], rows: list[Any], k: int, error: float
) -> None:
    """Check what `top_k` promises."""
    exact, off = Counter(rows), error * len(rows)
    assert len(found) == min(k, len(exact))
    assert [count for _, count in found] == sorted((n for _, n in found), reverse=True)
    for row, count in found:
        assert exact[row] <= count <= exact[row] + off
    for row in exact.keys() - dict(found).keys():
        assert exact[row] <= found[-1][1]


@settings(max_examples=25)
@given(st.integers(0, 999), st.integers(1, 20), durations, st.integers(1, 9))
def test_top_k_keeps_its_bounds_over_any_window(
    seed: int, count: int, window: tuple[int, int], k: int
) -> None:
    batches = skewed(seed, count)
    found = play(lambda s: s.top_k_by_window(k, *window, relative_error=0.1), batches)
    for at, rows in history(batches).window(*window).batches.items():
        assert_most_frequent(found[at], rows, k, 0.1)


@settings(max_examples=10)
@given(st.integers(0, 999), durations, st.sampled_from([0.03, 0.1]))
def test_distinct_counts_keep_their_bounds_over_any_window(
    seed: int, window: tuple[int, int], relative_sd: float
) -> None:
    chance = random.Random(seed)
    batches = [[chance.randrange(20_000) for _ in range(2_000)] for _ in range(12)]
    found = play(
        lambda s: s.count_approx_distinct_by_window(*window, relative_sd=relative_sd), batches
    )
    for at, rows in history(batches).window(*window).batches.items():
        (count,) = found[at]
        assert abs(count / len(set(rows)) - 1) < 5 * relative_sd


def test_the_deviation_of_distinct_counts_is_as_asked_for() -> None:
    with ManualContext() as ssc:
        errors = [
            ssc.parallelize(range(n * 10_000, (n + 1) * 10_000), 2).count_approx_distinct(0.05)
            / 10_000
            - 1
            for n in range(60)
        ]
    assert (sum(error**2 for error in errors) / len(errors)) ** 0.5 < 0.06


@given(st.lists(keys), st.integers(1, 4))
def test_equal_rows_of_any_type_are_one(rows: list[Any], partitions: int) -> None:
    with ManualContext() as ssc:
        assert ssc.parallelize(rows, partitions).count_approx_distinct(0.01) == len(set(rows))


def test_windows_and_batches_share_their_sketches() -> None:
    with context(InlineExecutor(1)) as ssc:
        letters = ssc.register("letters", ssc.queue_stream(default="abc"))
        one = len(ssc.stepped.engine.graph.nodes)
        watch(letters.count_approx_distinct_by_window(7))
        alone = len(ssc.stepped.engine.graph.nodes) - one
        watch(letters.count_approx_distinct_by_window(5))
        watch(letters.count_approx_distinct())
        both = len(ssc.stepped.engine.graph.nodes) - one
    window, finish, sketches = 1, 2, 3
    assert alone == sketches + 2 + window + finish
    assert both == alone + (window + finish) + finish


SCRIPT = """
from livebatch.rdd.sketches import FrequentRows
import pickle, sys
one, two = (FrequentRows(4) for _ in range(2))
one.add(f"r{n % 97 % 41}" for n in range(1000))
two.add((n % 31, str(n % 7)) for n in range(1000))
one = pickle.loads(pickle.dumps(one))
one.merge(pickle.loads(pickle.dumps(two)))
print(one.top(9))
"""


def test_every_process_makes_the_same_sketch_of_the_same_rows() -> None:
    """Whatever Python's own hashes are."""
    said = {
        subprocess.check_output(
            [sys.executable, "-c", SCRIPT], env={**os.environ, "PYTHONHASHSEED": seed}
        )
        for seed in ("1", "2")
    }
    assert len(said) == 1


def test_a_sketch_stays_small() -> None:
    sketch = FrequentRows(frequent_size(10, 0.01))
    sketch.add(range(100_000))
    assert len(sketch.__reduce__()[1][1]) < 20_000


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda s: s.count_approx_distinct(0), "relative_sd must be between 0.0007 and 1"),
        (lambda s: s.count_approx_distinct_by_window("1s", "1s", 0.0001), "relative_sd must be"),
        (lambda s: s.top_k(0), "k must be a whole number of at least 1"),
        (lambda s: s.top_k(3, relative_error=0), "relative_error must be from 0.000001 up to 1"),
        (lambda s: s.top_k_by_window(3, "1500ms"), "multiple of 1s"),
    ],
)
def test_what_cannot_be_had_is_refused_where_it_is_written(build: Any, match: str) -> None:
    with ManualContext("1s") as ssc, pytest.raises(DefinitionError, match=match):
        build(ssc.queue_stream())


def test_unhashable_rows_are_explained() -> None:
    with context() as ssc:
        ssc.register("lists", ssc.queue_stream([[[1]]]).count_approx_distinct())
        ssc.start()
        ssc.advance(1)
        with pytest.raises(Exception, match="a key must not change; use a tuple"):
            ssc.await_termination(timeout=0)
