"""Which aggregates are computed from states that are merged, and which from all rows."""

from __future__ import annotations

import pytest

from livebatch.frames.plan import Plan, planned
from livebatch.testing import ManualContext
from tests.frames.aggregates import COLUMNS, FROM_ROWS, INCREMENTAL

SHAPE = tuple(COLUMNS.items())
STATICS = {"pages": (("id", "VARCHAR"), ("title", "VARCHAR"))}


@pytest.mark.parametrize("call", INCREMENTAL)
def test_incremental(call: str) -> None:
    plan = planned(f"SELECT k, {call} AS v FROM this GROUP BY k", SHAPE, {})
    assert isinstance(plan, Plan), plan


@pytest.mark.parametrize("call", FROM_ROWS)
def test_window_rows(call: str) -> None:
    reason = planned(f"SELECT k, {call} AS v FROM this GROUP BY k", SHAPE, {})
    assert isinstance(reason, str)
    assert reason
    plan = planned(f"SELECT k, {call} AS v FROM this GROUP BY k", SHAPE, {}, rows=True)
    assert isinstance(plan, Plan), plan


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM this",
        "SELECT K, sum(i) / count(*) + 1 FROM this WHERE i > 0 GROUP BY k HAVING sum(i) > 3",
        "SELECT upper(k) AS u, sum(i) FROM this GROUP BY u ORDER BY 2 DESC, u LIMIT 3 OFFSET 1",
        "SELECT k, sum(i) AS s FROM this GROUP BY ALL ORDER BY s",
        "SELECT sum(i) AS s FROM this GROUP BY k ORDER BY max(d)",
        "SELECT title, sum(i) FROM this JOIN pages ON k = id GROUP BY 1",
        "SELECT title, sum(i) FROM pages JOIN this ON k = id GROUP BY 1",
        "SELECT this.k, count(*) FROM this LEFT JOIN pages ON k = id GROUP BY this.k",
        "SELECT k, sum(i) FROM this WHERE k IN (SELECT id FROM pages) GROUP BY k",
        "SELECT k FROM this GROUP BY k",
    ],
)
def test_queries_that_are_taken_apart(sql: str) -> None:
    plan = planned(sql, SHAPE, STATICS)
    assert isinstance(plan, Plan), plan


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT k, count(*) FROM this GROUP BY GROUPING SETS ((k), ())",
        "SELECT count(*) FROM this, this AS other",
        "SELECT title, count(*) FROM pages LEFT JOIN this ON k = id GROUP BY 1",
        "SELECT sum(i) FROM this WHERE i > (SELECT avg(i) FROM this)",
        "SELECT sum(i) FROM this UNION ALL SELECT 1",
        "WITH x AS (SELECT DISTINCT k FROM this) SELECT count(*) FROM x",
        "SELECT count(*) FROM (SELECT DISTINCT k FROM this)",
        "SELECT DISTINCT k FROM this",
        "SELECT k, row_number() OVER () FROM this",
        "SELECT k, sum(sum(i)) OVER () FROM this GROUP BY k",
        "SELECT k, sum(i) FROM this GROUP BY k QUALIFY row_number() OVER () < 3",
        "SELECT sum(COLUMNS('i|d')) FROM this",
        "SELECT count(*) FROM this USING SAMPLE 3",
    ],
)
def test_queries_that_are_not(sql: str) -> None:
    assert isinstance(planned(sql, SHAPE, STATICS), str)


def test_explain_says_which_and_shows_the_queries(capsys: pytest.CaptureFixture[str]) -> None:
    with ManualContext("1s") as ssc:
        window = ssc.queue_stream().to_frame(COLUMNS).window("30s", "1s").group_by("k")
        window.agg(v="avg(i)").explain()
        window.agg(v="mode(i)").explain()
    said = capsys.readouterr().out
    assert "window of 30s every 1s, incremental" in said
    assert "partial: SELECT k AS k0, avg(i) EXPORT_STATE AS s0 FROM this GROUP BY k" in said
    assert "merge:   SELECT k0, combine_aggr(s0) AS s0" in said
    assert "finish:  SELECT k0 AS k, s0 AS v" in said
    assert "window of 30s every 1s, computed from window rows, divided by key, since" in said
