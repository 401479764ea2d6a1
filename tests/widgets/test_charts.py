from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from livebatch.widgets import kinds, view
from livebatch.widgets.chart import Chart
from livebatch.widgets.series import POINTS

T0 = datetime(2026, 1, 1, tzinfo=UTC)
MS0 = T0.timestamp() * 1e3


def chart(kind: str, *tables: pa.Table) -> Chart:
    made = view(kind)("stream", 60.0)
    for i, table in enumerate(tables):
        made.add(T0 + timedelta(seconds=i), table)
    return made


def lines(chart: Chart, *, key: bool = True) -> dict[str, list[tuple[float, float]]]:
    """A line frame as a browser reads it: seconds since the first batch, and y."""
    header, [data] = chart.frame(key=key)
    values, at, found = np.frombuffer(data), 0, {}
    for line in header["lines"]:
        n = line["n"]
        x, y = values[at : at + n], values[at + n : at + 2 * n]
        found[line["key"]] = list(zip((x - MS0) / 1e3, y, strict=True))
        at += 2 * n
    assert at == len(values)
    return found


def bars(chart: Chart) -> dict[str, float]:
    header, [data] = chart.frame(key=True)
    return dict(zip(header["keys"], np.frombuffer(data).tolist(), strict=True))


def counts(**amounts: float) -> pa.Table:
    return pa.table({"key": list(amounts), "n": list(amounts.values())})


def test_kinds_are_the_modules_that_define_a_chart() -> None:
    assert {"bar", "line", "log", "none", "number", "table"} <= set(kinds())
    with pytest.raises(ValueError, match="no view of kind 'pie'; there are: bands, bar, heatmap"):
        view("pie")


def test_rows_without_a_time_are_drawn_at_their_batch() -> None:
    made = chart("line", pa.table({"value": [1, 5]}), pa.table({"value": [2]}))
    assert lines(made) == {"stream": [(0, 1), (0, 5), (1, 2)]}


def test_rows_with_a_time_are_drawn_at_it_in_order() -> None:
    times = [T0 + timedelta(seconds=s) for s in (3, 1, 2)]
    made = chart("line", pa.table({"seen": times, "ms": [30.0, 10.0, None]}))
    assert lines(made) == {"ms": [(1, 10), (3, 30)]}


def test_each_column_of_numbers_is_a_line() -> None:
    made = chart("line", pa.table({"_1": [1], "_2": [2.5], "ok": [True]}))
    assert lines(made) == {"_1": [(0, 1)], "_2": [(0, 2.5)]}


def test_a_column_of_text_gives_a_line_for_each_key() -> None:
    made = chart("line", counts(a=1, b=2), counts(a=3))
    assert lines(made) == {"b": [(0, 2)], "a": [(0, 1), (1, 3)]}


def test_of_many_keys_the_ten_largest_are_lines() -> None:
    made = chart("line", counts(**{f"k{i}": i for i in range(1000)}))
    assert set(lines(made)) == {f"k{i}" for i in range(990, 1000)}


def test_after_a_keyframe_only_news_is_sent() -> None:
    made = chart("line", pa.table({"value": [1]}))
    lines(made, key=True)
    made.add(T0 + timedelta(seconds=9), pa.table({"value": [2]}))
    assert lines(made, key=False) == {"stream": [(9, 2)]}
    assert lines(made, key=False) == {}


def test_a_large_batch_keeps_its_extremes_and_few_points() -> None:
    values = np.zeros(100_000)
    values[[777, 55_555]] = [-3, 9]
    drawn = lines(chart("line", pa.table({"value": values})))["stream"]
    assert len(drawn) <= POINTS
    assert (min(y for _, y in drawn), max(y for _, y in drawn)) == (-3, 9)


def test_what_is_not_finite_is_not_drawn() -> None:
    made = chart("line", pa.table({"value": [1.0, float("nan"), float("inf"), None]}))
    assert lines(made) == {"stream": [(0, 1)]}


@pytest.mark.parametrize("kind", ["line", "bar", "number", "bands", "histogram", "heatmap"])
def test_a_table_that_cannot_be_drawn_is_explained(kind: str) -> None:
    with pytest.raises(ValueError, match=r"needs a column of .*the stream has word string"):
        chart(kind, pa.table({"word": ["a"]}))


def test_bars_are_sorted_and_ties_keep_their_places() -> None:
    made = chart("bar", counts(b=2, a=2, c=5))
    assert list(bars(made).items()) == [("c", 5), ("b", 2), ("a", 2)]
    made.add(T0, counts(a=3, b=3, c=3, d=3))
    assert list(bars(made)) == ["c", "b", "a", "d"]


def test_bars_are_of_the_newest_batch_and_twenty() -> None:
    made = chart("bar", counts(old=9), counts(**{f"k{i}": i for i in range(100)}))
    assert list(bars(made)) == [f"k{i}" for i in range(99, 79, -1)]


def test_bars_add_up_rows_of_one_key() -> None:
    made = chart("bar", pa.table({"key": ["a", "b", "a", None], "n": [1, 2, 3, 9]}))
    assert bars(made) == {"∅": 9, "a": 4, "b": 2}


def test_a_table_shows_fifty_rows_and_counts_all() -> None:
    header, _ = chart("table", pa.table({"i": range(1234), "s": ["x"] * 1234})).frame(key=True)
    assert (len(header["rows"]), header["total"]) == (50, 1234)
    assert (header["names"], header["numeric"]) == (["i", "s"], [0])
    assert header["rows"][7] == ["7", "x"]


def test_a_table_is_sorted_by_all_its_rows() -> None:
    amounts = [7.0, None, 3.0, *range(100, 400), float("nan")]
    made = chart("table", pa.table({"i": range(304), "n": amounts}))
    for way, first in (("descending", ["399", "398"]), ("ascending", ["3", "7"])):
        assert made.sort((1, way))
        header, _ = made.frame(key=True)
        assert [row[1] for row in header["rows"]][:2] == first
        assert (len(header["rows"]), header["total"], header["order"]) == (50, 304, (1, way))
        assert made.rows().column("n").to_pylist()[-1] is None, "what is not known comes last"
    made.sort(None)
    assert made.frame(key=False)[0]["rows"][0] == ["0", "7"]


@pytest.mark.parametrize("column", [pa.array([[2], [1]]), pa.array([{"a": 2}, {"a": 1}])])
def test_what_has_no_order_stays_as_it_is(column: pa.Array) -> None:
    made = chart("table", pa.table({"x": column}))
    for place in (0, 7):
        made.sort((place, "ascending"))
        header, _ = made.frame(key=True)
        assert (header["order"], "2" in header["rows"][0][0]) == (None, True)


def test_texts_of_few_kinds_are_sorted() -> None:
    words = pa.array(["b", "a", None]).dictionary_encode()
    made = chart("table", pa.table({"word": words}))
    made.sort((0, "ascending"))
    assert made.frame(key=True)[0]["rows"] == [["a"], ["b"], ["–"]]


def test_tables_take_anything() -> None:
    odd: dict[str, Any] = {
        "n": [None],
        "d": [{"a": 1}],
        "b": [b"\xff"],
        "t": [T0],
        "x": ["y" * 999],
    }
    header, _ = chart("table", pa.table(odd)).frame(key=True)
    [[null, struct, raw, time, text]] = header["rows"]
    assert (null, struct, raw) == ("–", "{'a': 1}", "b'\\xff'")
    assert time == "2026-01-01 00:00:00.000+00:00"
    assert len(text) == 200


def test_a_table_without_columns_or_with_two_of_one_name() -> None:
    header, _ = chart("table", pa.table({})).frame(key=True)
    assert header["rows"] == []
    twins = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["n", "n"])
    assert chart("table", twins).frame(key=True)[0]["rows"] == [["1", "2"]]
    assert set(lines(chart("line", twins))) == {"n"}


def test_a_bar_keeps_its_colour_while_it_is_there() -> None:
    made = chart("bar", counts(a=3, b=2, c=1))
    first = colours(made)
    made.add(T0, counts(c=9, d=5, a=1))
    second = colours(made)
    assert (second["c"], second["a"]) == (first["c"], first["a"])
    assert len(set(second.values())) == 3
    made.add(T0, counts(**{f"k{i}": i for i in range(20)}))
    used = list(colours(made).values())
    assert {used.count(slot) for slot in used} == {2}, "twenty bars share ten colours fairly"


def colours(chart: Chart) -> dict[str, int]:
    header, _ = chart.frame(key=True)
    return dict(zip(header["keys"], header["slots"], strict=True))
