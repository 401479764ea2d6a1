from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from livebatch.widgets.bins import MOST, Binning, Edges

reals = st.lists(st.floats(-1e9, 1e9, allow_subnormal=False), min_size=1, max_size=60)


def mantissa(step: float) -> float:
    return round(step / 10.0 ** np.floor(np.log10(step * 1.000001)), 6)


def counted(edges: Edges, values: np.ndarray) -> np.ndarray:
    return edges.tally(values, np.ones(len(values)))


@given(st.lists(reals, min_size=1, max_size=6))
def test_every_value_is_in_a_bin_that_holds_it(batches: list[list[float]]) -> None:
    binning = Binning()
    for batch in batches:
        values = np.array(batch)
        edges = binning.fit(values)
        assert mantissa(edges.step) in (1, 2, 5)
        assert 1 <= edges.count <= 2 * MOST + 2
        counts = counted(edges, values)
        assert counts.sum() == len(values)
        slack = 1e-8 * max(edges.step, np.abs(values).max())
        for value in values:
            [place] = np.flatnonzero(counted(edges, np.array([value])))
            if 1 <= place <= edges.count:
                low = (edges.start + place - 1) * edges.step
                assert low - slack <= value <= low + edges.step + slack


@given(st.lists(st.integers(-500, 500), min_size=1, max_size=100))
def test_counts_of_whole_numbers_are_those_of_numpy(numbers: list[int]) -> None:
    values = np.array(numbers, dtype=float)
    edges = Binning().fit(values)
    assert edges.step >= 1
    bounds = (edges.start + np.arange(edges.count + 1)) * edges.step
    inside = values[values < bounds[-1]]  # numpy counts the last edge in, a half-open bin does not
    assert counted(edges, values)[1:-1].tolist() == np.histogram(inside, bounds)[0].tolist()


def test_edges_stay_while_the_data_only_jitter() -> None:
    random, binning = np.random.default_rng(1), Binning()
    edges = [binning.fit(random.normal(100, 15, 500)) for _ in range(200)]
    assert len({edge.step for edge in edges}) == 1
    assert len(set(edges)) <= 8


def test_edges_follow_data_that_go_elsewhere() -> None:
    binning = Binning()
    binning.fit(np.linspace(0, 100, 500))
    coarse = binning.fit(np.linspace(0, 10_000, 500))
    assert coarse.step > 100
    fine = binning.fit(np.linspace(40, 41, 500))
    assert fine.step < 0.1
    assert (fine.start * fine.step, fine.count * fine.step) == (40, 1 + fine.step)


def test_outliers_do_not_squeeze_the_rest() -> None:
    values = np.concatenate([np.linspace(0, 10, 1000), [1e6]])
    edges = Binning().fit(values)
    assert edges.step < 1
    assert counted(edges, values)[-1] >= 1


def test_values_that_are_all_the_same_have_a_bin() -> None:
    for value in (0.0, 5.0, -0.25, 1e300, 1e-300):
        edges = Binning().fit(np.full(3, value))
        assert counted(edges, np.full(3, value)).tolist() == [0, 3, 0]
