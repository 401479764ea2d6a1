"""What each kind of view tells a browser; the browser's side is played by the same rules."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livebatch.widgets import kinds, view
from livebatch.widgets.chart import Chart, Picture
from livebatch.widgets.log import KEPT, MOST

T0 = datetime(2026, 1, 1, tzinfo=UTC)
MS0 = T0.timestamp() * 1e3
WINDOW = 10.0
DRAWN = [kind for kind in kinds() if kind != "none"]


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def chart(kind: str, *tables: pa.Table, window: float = WINDOW) -> Chart:
    made = view(kind)("stream", window)
    for i, table in enumerate(tables):
        made.add(at(i), table)
    return made


class LinesPage:
    """As `static/line.js` keeps its lines."""

    def __init__(self) -> None:
        self.lines: dict[str, tuple[list[float], list[float]]] = {}

    def apply(self, picture: Picture, key: bool) -> None:
        header, [buffer] = picture
        values, place = np.frombuffer(buffer), 0
        if key:
            self.lines.clear()
        for name in header["drop"]:
            self.lines.pop(name, None)
        for line in header["lines"]:
            n, name = line["n"], line["key"]
            x, y = ([], []) if line["whole"] else self.lines.get(name, ([], []))
            middle, end = place + n, place + 2 * n
            self.lines[name] = [*x, *values[place:middle]], [*y, *values[middle:end]]
            place = end
        for name, (x, y) in self.lines.items():
            first = _first(x, header)
            self.lines[name] = x[first:], y[first:]

    @property
    def shown(self) -> Any:
        return {name: line for name, line in self.lines.items() if line[0]}


class BandsPage:
    """As `static/bands.js` keeps its track."""

    def __init__(self) -> None:
        self.x: list[float] = []
        self.ys: list[list[float]] = []

    def apply(self, picture: Picture, key: bool) -> None:
        header, [buffer] = picture
        columns = np.frombuffer(buffer).reshape(len(header["percents"]) + 1, header["n"]).tolist()
        old = header["whole"] or key
        self.x = columns[0] if old else self.x + columns[0]
        ys = columns[1:]
        self.ys = ys if old else [a + b for a, b in zip(self.ys, ys, strict=True)]
        first = _first(self.x, header)
        self.x, self.ys = self.x[first:], [y[first:] for y in self.ys]

    @property
    def shown(self) -> Any:
        return self.x, self.ys


class HeatmapPage:
    """As `static/heatmap.js` keeps its columns."""

    def __init__(self) -> None:
        self.columns: dict[float, tuple[float, list[float]]] = {}
        self.lanes: Any = None

    def apply(self, picture: Picture, key: bool) -> None:
        header, [buffer] = picture
        values, n = np.frombuffer(buffer), header["n"]
        if header["whole"] or key:
            self.columns.clear()
        cells = values[2 * n :].reshape(n, -1) if n else []
        for (start, end), row in zip(values[: 2 * n].reshape(n, 2), cells, strict=True):
            self.columns[start] = end, row.tolist()
        self.lanes = header["lanes"]
        for start, (end, _) in list(self.columns.items()):
            if end <= header["end"] - header["window"]:
                del self.columns[start]

    @property
    def shown(self) -> Any:
        return self.lanes, self.columns


class LogPage:
    """As `static/log.js` keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[tuple[float, str]] = []

    def apply(self, picture: Picture, key: bool) -> None:
        header, [buffer] = picture
        come = list(zip(np.frombuffer(buffer).tolist(), header["lines"], strict=True))
        self.lines = ([] if key else self.lines) + come
        self.lines = self.lines[-header["kept"] :]

    @property
    def shown(self) -> Any:
        return self.lines


class NewestPage:
    """A page of a kind whose every frame says all."""

    def __init__(self) -> None:
        self.shown: Any = None

    def apply(self, picture: Picture, key: bool) -> None:
        self.shown = picture


PAGES: dict[str, Any] = {
    "bands": BandsPage,
    "heatmap": HeatmapPage,
    "line": LinesPage,
    "log": LogPage,
    "number": LinesPage,
}


def _first(x: list[float], header: dict[str, Any]) -> int:
    if header["end"] is None:
        return 0
    return max(int(np.searchsorted(x, header["end"] - header["window"])) - 1, 0)


batches = st.lists(
    st.tuples(
        st.floats(0.01, 6),
        st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(-50, 50)), max_size=6),
        st.booleans(),
    ),
    min_size=1,
    max_size=25,
)


@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize("kind", DRAWN)
@settings(max_examples=40)
@given(batches=batches)
def test_deltas_lead_to_the_same_picture_as_a_keyframe(
    kind: str, keyed: bool, batches: list[tuple[float, list[tuple[str, int]], bool]]
) -> None:
    made, page, whole = chart(kind), PAGES.get(kind, NewestPage)(), PAGES.get(kind, NewestPage)()
    page.apply(made.frame(key=True), True)
    time = 0.0
    for step, rows, look in batches:
        time += step
        columns: dict[str, pa.Array] = {"n": pa.array([n for _, n in rows], pa.int64())}
        if keyed or kind == "bar":
            columns = {"key": pa.array([key for key, _ in rows], pa.string())} | columns
        made.add(at(time), pa.table(columns))
        if look:
            page.apply(made.frame(key=False), False)
    page.apply(made.frame(key=False), False)
    whole.apply(made.frame(key=True), True)
    assert page.shown == whole.shown


@pytest.mark.parametrize("kind", DRAWN)
def test_a_view_that_has_seen_nothing_can_be_told_and_saved(kind: str) -> None:
    header, buffers = chart(kind).frame(key=True)
    json.dumps(header, allow_nan=False)
    assert all(isinstance(buffer, bytes) for buffer in buffers)
    assert chart(kind).rows().num_rows == 0


@pytest.mark.parametrize("kind", DRAWN)
def test_headers_are_json_whatever_the_numbers(kind: str) -> None:
    odd = [float("nan"), float("inf"), None, 1e308, -1e308, 0.0]
    made = chart(kind, pa.table({"key": list("abcdef"), "n": odd}))
    json.dumps(made.frame(key=True)[0], allow_nan=False)
    made = chart(kind, pa.table({"key": pa.array([], pa.string()), "n": pa.array([], pa.int64())}))
    json.dumps(made.frame(key=True)[0], allow_nan=False)


@pytest.mark.parametrize("kind", ["bands", "gantt", "heatmap", "histogram", "line", "number"])
def test_a_stream_without_numbers_is_explained(kind: str) -> None:
    with pytest.raises(ValueError, match=r"needs a column of numbers; the stream has word string"):
        chart(kind, pa.table({"word": ["a"]}))


def test_frames_of_ten_lines_are_small() -> None:
    made = chart("line")
    sizes = []
    for i in range(300):
        names = [f"line {k}" for k in range(10)]
        made.add(at(i / 5), pa.table({"key": names, "value": [float(i * k) for k in range(10)]}))
        header, buffers = made.frame(key=False)
        sizes.append(len(json.dumps(header)) + sum(map(len, buffers)))
    assert max(sizes) < 10_000
    assert sizes[-1] < 2_000


def test_bands_are_the_percentiles_of_each_batch() -> None:
    random = np.random.default_rng(0)
    samples = [random.gamma(3, 12, 500) for _ in range(5)]
    made = chart("bands", *[pa.table({"ms": sample}) for sample in samples])
    rows = made.rows()
    assert rows.column_names == ["time", "p5", "p25", "p50", "p75", "p95"]
    for column, percent in zip(rows.columns[1:], (5, 25, 50, 75, 95), strict=True):
        expected = [np.percentile(sample, percent) for sample in samples]
        assert column.to_pylist() == pytest.approx(expected)


def test_bands_of_columns_named_so_are_taken_as_they_are() -> None:
    table = pa.table({"p99": [9.0, 90.0], "n": [1, 1], "p50": [5.0, 50.0], "p99.9": [9.5, 95.0]})
    rows = chart("bands", table).rows()
    assert rows.drop_columns("time").to_pylist() == [{"p50": 50, "p99": 90, "p99.9": 95}]


def test_a_batch_without_values_leaves_bands_as_they_are() -> None:
    made = chart("bands", pa.table({"ms": [1.0]}), pa.table({"ms": pa.array([], pa.float64())}))
    assert made.rows().num_rows == 1


def test_a_histogram_forgets_what_has_left_the_window() -> None:
    made = chart("histogram", *[pa.table({"n": [i]}) for i in range(30)])
    kept = made.rows()
    assert sum(kept["count"].to_pylist()) == WINDOW
    assert min(kept["from"].to_pylist()) >= 30 - WINDOW - 1


def test_a_histogram_counts_all_values_even_those_it_does_not_keep() -> None:
    made = chart("histogram", *[pa.table({"n": np.arange(60_000)})] * 4)
    assert sum(made.rows()["count"].to_pylist()) == pytest.approx(240_000)


def test_a_heat_map_of_numbers_counts_them_by_size_and_time() -> None:
    made = chart("heatmap", pa.table({"n": [1, 1, 2]}), pa.table({"n": [2]}))
    filled = [row for row in made.rows().to_pylist() if row["value"]]
    assert [(row["time"], row["from"], row["value"]) for row in filled] == [
        (at(0), 1, 2),
        (at(0), 2, 1),
        (at(1), 2, 1),
    ]


def test_a_heat_map_of_keys_keeps_their_lanes() -> None:
    rows = pa.table({"page": ["/a", "/b", "/a"], "hits": [1, 5, 2]})
    made = chart("heatmap", rows)
    before = made.frame(key=True)[0]["lanes"]
    made.add(at(1), pa.table({"page": ["/a", "/b"], "hits": [9, 1]}))
    assert made.frame(key=False)[0]["lanes"] == before
    cells = {(row["time"], row["key"]): row["value"] for row in made.rows().to_pylist()}
    assert cells == {(at(0), "/a"): 3, (at(0), "/b"): 5, (at(1), "/a"): 9, (at(1), "/b"): 1}


def test_numbers_are_six_tiles_at_most() -> None:
    made = chart("number", pa.table({f"n{i}": [i] for i in range(9)}))
    assert [line["key"] for line in made.frame(key=True)[0]["lines"]] == [f"n{i}" for i in range(6)]


def test_a_log_keeps_the_newest_lines() -> None:
    many = [pa.table({"line": [f"{i}.{k}" for k in range(MOST)]}) for i in range(7)]
    header, [times] = chart("log", *many).frame(key=True)
    assert len(header["lines"]) == KEPT
    assert (header["lines"][0], header["lines"][-1]) == ("2.0", f"6.{MOST - 1}")
    assert header["total"] == 7 * MOST
    assert np.frombuffer(times)[-1] == MS0 + 6000


def test_of_a_large_batch_a_log_shows_the_end() -> None:
    header, _ = chart("log", pa.table({"i": range(10_000)})).frame(key=True)
    assert header["lines"] == [str(i) for i in range(10_000 - MOST, 10_000)]


def test_a_log_tells_when_a_row_happened_if_it_says_so() -> None:
    table = pa.table({"ts": [at(-5), None], "level": ["INFO", "WARN"], "text": ["up", "slow"]})
    header, [times] = chart("log", table).frame(key=True)
    assert header["lines"] == ["INFO  up", "WARN  slow"]
    assert ((np.frombuffer(times) - MS0) / 1e3).tolist() == [-5, 0]


def tasks(*rows: tuple[str, str, float, float | None]) -> pa.Table:
    lanes, names, begun, took = zip(*rows, strict=True)
    times = pa.array([at(seconds) for seconds in begun], pa.timestamp("us", tz="UTC"))
    return pa.table({"lane": lanes, "name": names, "time": times, "ms": pa.array(took)})


def bars(made: Chart) -> Any:
    header, [buffer] = made.frame(key=True)
    places = np.frombuffer(buffer).reshape(4, header["n"]).T.tolist()
    return [
        (header["lanes"][int(lane)], header["names"][int(name)][0], (begun - MS0) / 1e3, took)
        for begun, took, lane, name in places
    ]


def test_what_is_not_over_goes_on_until_it_is_told() -> None:
    made = chart("gantt", tasks(("w2", "a", 0, 500.0), ("w1", "b", 0.5, None)))
    assert [bar[:3] for bar in bars(made)] == [("w2", "a", 0), ("w1", "b", 0.5)]
    assert np.isnan(bars(made)[1][3])
    assert made.rows().column("ms").to_pylist() == [500, None]
    made.add(at(1), tasks(("w1", "b", 0.5, 700.0)))
    assert bars(made) == [("w2", "a", 0, 500), ("w1", "b", 0.5, 700)]
    assert made.frame(key=True)[0]["lanes"] == ["w1", "w2"]


def test_bars_leave_with_the_window_and_keep_their_colours() -> None:
    made = chart("gantt", tasks(("w", "a", 0, 500.0), ("w", "b", 1, 500.0)))
    made.add(at(11), tasks(("w", "c", 10.5, 100.0)))
    assert [bar[1] for bar in bars(made)] == ["b", "c"]
    assert [slot for _, _, slot in made.frame(key=True)[0]["names"]] == [1, 0]


def test_of_many_bars_the_newest_thousand_are_shown() -> None:
    made = chart("gantt", tasks(*(("w", "a", i / 1000, 1.0) for i in range(2500))))
    assert len(bars(made)) == 1000
    assert bars(made)[-1][2] == 2.499


def test_rows_are_what_the_picture_shows() -> None:
    two = pa.table({"key": ["a", "b"], "n": [1, 2]})
    lines = chart("line", two, two).rows()
    assert lines.column_names == ["time", "key", "value"]
    assert set(map(tuple, (row.values() for row in lines.to_pylist()))) == {
        (at(i), key, value) for i in (0, 1) for key, value in (("a", 1.0), ("b", 2.0))
    }
    assert chart("bar", two).rows().to_pylist() == [
        {"key": "b", "value": 2.0},
        {"key": "a", "value": 1.0},
    ]
    long = pa.table({"n": range(1000)})
    assert chart("table", two, long).rows() is long


def test_reading_rows_takes_nothing_from_the_browser() -> None:
    table = pa.table({"key": ["a", "b"], "n": [1.0, 2.0]})
    for kind in DRAWN:
        read, unread = chart(kind, table), chart(kind, table)
        for made in (read, unread):
            made.frame(key=True)
            made.add(at(1), table)
        assert read.rows().num_rows > 0
        assert read.frame(key=False) == unread.frame(key=False), kind
