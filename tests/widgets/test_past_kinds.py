"""Charts of the past under load: what they merge, bound and leave out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from livebatch.widgets import view
from livebatch.widgets.chart import Chart
from livebatch.widgets.recent import Recent
from livebatch.widgets.track import Track

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def at(second: float) -> datetime:
    return T0 + timedelta(seconds=second)


def chart(kind: str, *tables: pa.Table, window: float = 60.0) -> Chart:
    made = view(kind)("stream", window)
    for i, table in enumerate(tables):
        made.add(at(i), table)
    return made


def values(*numbers: float) -> pa.Table:
    return pa.table({"ms": pa.array(numbers, pa.float64())})


def test_bands_take_columns_named_after_percentiles() -> None:
    table = pa.table({"p99": [9.0, 19.0], "p50": [5.0, 15.0], "ts": [at(1), at(2)]})
    made = chart("bands", table)
    assert made.rows().to_pylist() == [{"time": at(2), "p50": 15.0, "p99": 19.0}]
    assert made.frame(key=True)[0]["percents"] == [50.0, 99.0]
    made.add(at(3), table.slice(0, 0))
    made.add(at(4), pa.table({"p99": [None], "p50": [1.0]}, schema=table.schema.remove(2)))
    assert made.rows().num_rows == 1, "no row, or half of one, is no point"


def test_a_histogram_counts_the_window() -> None:
    made = chart("histogram", values(1, 2, 2), values(2, float("nan"), 9), window=10)
    counts = {row["from"]: row["count"] for row in made.rows().to_pylist()}
    assert {edge: n for edge, n in counts.items() if n} == {1: 1, 2: 3, 9: 1}
    assert list(counts) == list(range(1, 10))
    made.add(at(10.5), values(5, 5))
    counts = {row["from"]: row["count"] for row in made.rows().to_pylist()}
    assert {edge: n for edge, n in counts.items() if n} == {2: 1, 5: 2, 9: 1}


def test_a_histogram_has_a_bar_for_what_lies_far_out() -> None:
    rows = chart("histogram", values(*np.linspace(0, 10, 1000), 1e6)).rows().to_pylist()
    assert rows[-1]["below"] == np.inf
    assert sum(row["count"] for row in rows) == 1001


def test_a_heatmap_of_keys_shows_amounts_and_the_largest_of_them() -> None:
    table = pa.table({"key": ["a", "b", "a"], "n": [1.0, 5.0, 2.0]})
    made = chart("heatmap", table)
    cells = {row["key"]: row["value"] for row in made.rows().to_pylist()}
    assert list(cells.items()) == [("a", 3), ("b", 5)], "the largest is the last, which is on top"
    many = pa.table({"key": [f"k{i}" for i in range(50)], "n": [10.0 * i for i in range(50)]})
    made.add(at(1), many)
    keys = made.frame(key=True)[0]["lanes"]["keys"]
    assert set(keys) == {f"k{i}" for i in range(35, 50)}


def test_batches_that_share_a_slice_are_averaged() -> None:
    made = view("heatmap")("stream", 60.0)
    for i in range(4):
        made.add(at(i / 10), values(*[7.0] * (i + 1)))
    assert made.rows().column("value").to_pylist() == [2.5]


def test_values_are_bounded_and_stand_for_all() -> None:
    recent = Recent(1e6, slices=10, limit=1000)
    for i in range(200):
        recent.add(i * 100.0, np.full(100, float(i)))
        assert len(recent.values) <= 1000
    assert np.isclose(recent.weights.sum(), 20_000)


def test_a_full_track_is_coarser_and_keeps_its_outline() -> None:
    track = Track(1e9, width=3, limit=64)
    for i in range(1000):
        track.add(float(i), [-i % 7, 0, i % 11])
    x, y = track.points()
    assert len(x) <= 64
    assert (x[0] < 100, x[-1]) == (True, 999)
    assert (y[:, 0].min(), y[:, 2].max()) == (-0.0, 10)
    assert np.diff(x).max() < 100, "what is old is not coarser than the rest"


def test_a_log_takes_times_and_columns_of_all_kinds() -> None:
    table = pa.table({"at": [at(5), None], "level": ["INFO", None], "ms": [1.5, 2.0]})
    made = chart("log", table)
    assert made.rows().to_pylist() == [
        {"time": at(5), "line": "INFO  1.5"},
        {"time": T0, "line": "–  2"},
    ]
    assert chart("log", pa.table({"at": [at(5)]})).rows().to_pylist() == [
        {"time": at(5), "line": ""}
    ]
