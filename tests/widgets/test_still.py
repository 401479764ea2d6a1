"""The pictures of exported notebooks say what the live ones say."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from base64 import b64decode
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from livebatch.widgets.catalogue import kinds, view

T0 = datetime(2026, 1, 1, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"


def drawn(kind: str, *batches: pa.Table | None) -> ET.Element:
    """The picture after these batches, one a second; None is one that does not come."""
    chart = view(kind)("words", 60.0)
    for second, table in enumerate(batches):
        if table is not None:
            chart.add(T0 + timedelta(seconds=second), table)
    found = re.search('src="data:image/svg\\+xml;base64,([^"]*)"', chart.still())
    assert found is not None
    return ET.fromstring(b64decode(found[1]))


def texts(svg: ET.Element) -> list[str]:
    return [text.text or "" for text in svg.iter(f"{SVG}text")]


def amounts(**values: float) -> pa.Table:
    return pa.table({"key": list(values), "n": list(values.values())})


def test_lines_are_in_proportion_and_have_holes() -> None:
    batches = [amounts(a=n, b=10) for n in (0, 1, 2, 3, 4)]
    svg = drawn("line", *batches, *[None] * 20, amounts(a=8, b=10), amounts(a=9, b=10))
    lines = [
        [tuple(map(float, point.split(","))) for point in str(line.get("points")).split()]
        for line in svg.iter(f"{SVG}polyline")
    ]
    assert [len(line) for line in lines] == [5, 2, 5, 2]
    (begun, zero), (_, one), *_, (_, four) = lines[0]
    assert zero - four == pytest.approx(4 * (zero - one), abs=0.3)
    ended = lines[1][-1][0]
    assert lines[0][1][0] - begun == pytest.approx((ended - begun) / 26, abs=0.1)
    assert {"0", "10", "a", "b"} < set(texts(svg))


def test_bars_are_in_proportion_and_no_name_is_markup() -> None:
    svg = drawn("bar", amounts(old=1), pa.table({"key": ["<b>&", "up", "down"], "n": [4, 2, -2]}))
    widths = [float(str(bar.get("width"))) for bar in svg.iter(f"{SVG}rect")]
    assert widths == [pytest.approx(2 * widths[1], abs=0.2), widths[1], widths[1]]
    assert texts(svg) == ["<b>&", "4", "up", "2", "down", "-2"]


@pytest.mark.parametrize("kind", kinds())
def test_where_there_is_nothing_there_is_no_picture(kind: str) -> None:
    assert view(kind)("words", 60.0).still() == ""
