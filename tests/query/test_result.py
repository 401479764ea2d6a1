"""How a result shows, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from livebatch.interval import to_datetime
from livebatch.sql.result import SHOWN, WIDEST, Origin, Result
from livebatch.testing import START
from tests.query.conftest import Ask

Feed = Callable[..., None]


def clock(batch: int) -> str:
    return f"{to_datetime(START + batch * 1000):%H:%M:%S}"


def test_it_is_rows_a_table_and_a_frame(feed: Feed, ask: Ask) -> None:
    feed(tags=[[("a", 1), ("b", 2)]])
    result = ask("SELECT _1 AS tag, _2 AS n FROM tags ORDER BY n")
    assert len(result) == 2
    assert list(result) == [{"tag": "a", "n": 1}, {"tag": "b", "n": 2}]
    assert result.to_arrow().schema == pa.schema([("tag", "string"), ("n", "int64")])
    frame = result.to_pandas()
    assert isinstance(frame, pd.DataFrame)
    assert frame.to_dict("list") == {"tag": ["a", "b"], "n": [1, 2]}


def test_what_it_says_of_itself(feed: Feed, ask: Ask) -> None:
    feed(tags=[["a"], ["b"], ["c"]], pages=[["a"]])
    result = ask("FROM tags")
    result.seconds = 0.0123
    assert repr(result).endswith(f"3 rows · 12 ms · 3 batches of tags, {clock(1)}–{clock(3)}")
    result = ask("SELECT count(*) FROM tags JOIN pages USING (value)", batches=1)
    result.seconds = 2.345
    last = f"1 batch of tags, {clock(3)} · 1 batch of pages, {clock(3)}"
    assert repr(result).endswith(f"1 row · 2.3 s · {last}")
    assert f"<small>1 row · 2.3 s · {last}</small>" in result._repr_html_()


def test_whole_numbers_are_plain(feed: Feed, ask: Ask) -> None:
    feed(numbers=[[1, 2]])
    total = ask("SELECT sum(value) AS n, 2::HUGEINT ** 100 AS huge FROM numbers").to_arrow()
    assert total.column("n").type == pa.int64()
    huge = ask("SELECT 170141183460469231731687303715884105727::HUGEINT AS n").to_arrow()
    assert huge.num_rows == 1


def test_names_that_come_twice(feed: Feed, ask: Ask) -> None:
    feed(numbers=[[1, 2]])
    result = ask("SELECT a.value, b.value FROM numbers a, numbers b ORDER BY ALL LIMIT 1")
    assert list(result) == [{"value": 1, "value_1": 1}]


def test_only_so_many_rows_are_shown(feed: Feed, ask: Ask) -> None:
    feed(numbers=[list(range(1000))])
    result = ask("FROM numbers SELECT value")
    assert len(repr(result).splitlines()) == 2 + SHOWN + 1
    assert f"1,000 rows ({SHOWN} shown)" in repr(result)
    assert result._repr_html_().count("<tr>") == 1 + SHOWN
    assert len(result) == 1000


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "NULL"),
        (0.1 + 0.2, "0.3"),
        (1e-9, "1e-09"),
        (12345678, "12345678"),
        (Decimal("1.50"), "1.50"),
        (True, "True"),
        ("x" * 1000, "x" * (WIDEST - 1) + "…"),
        ([1, None], "[1, None]"),
        (datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=1))), "2026-01-02 00:00:00+01:00"),
    ],
)
def test_a_value(value: Any, shown: str) -> None:
    kind = pa.timestamp("us", "+01:00") if isinstance(value, datetime) else None
    result = Result(pa.table({"v": pa.array([value], kind)}), (), 0)
    assert repr(result).splitlines()[2].strip() == shown
    assert f">{shown}</td>" in result._repr_html_()


def test_markup_is_escaped() -> None:
    result = Result(pa.table({"<b>": ["<script>alert(1)</script>"]}), (), 0)
    assert "<script" not in result._repr_html_()
    assert "<b>" not in result._repr_html_()


def test_a_plan_is_shown_as_it_is(feed: Feed, ask: Ask) -> None:
    feed(tags=[["a"]])
    result = ask("EXPLAIN SELECT count(*) FROM tags")
    assert "╰" in repr(result)
    assert result._repr_html_().startswith("<pre>╭")


def test_no_columns_and_no_rows() -> None:
    result = Result(pa.table({}), (), 0)
    assert repr(result) == "0 rows · 0 ms"
    assert "0 rows" in result._repr_html_()
    nothing = Result(pa.table({"n": pa.array([], pa.int64())}), (Origin("s", 2, 0, 0),), 0)
    assert repr(nothing).splitlines()[:2] == ["n", "-"]
    assert list(nothing) == []
