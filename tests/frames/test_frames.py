"""What frames give, batch by batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from math import isnan, nan
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pytest

from livebatch.errors import DefinitionError, QueryError
from livebatch.testing import ManualContext, collected
from tests.frames.conftest import Play

COLUMNS = {"k": "VARCHAR", "n": "BIGINT", "x": "DOUBLE"}
BATCHES: list[list[Any]] = [
    [("a", 1, 0.5), ("b", 2, 1.5)],
    [("a", 3, 2.5)],
    [],
    [("b", 4, None), ("c", None, 1.0)],
]


def in_order(batches: list[list[Any]]) -> list[list[Any]]:
    return [sorted(batch, key=str) for batch in batches]


def test_rows_in_and_out(play: Play) -> None:
    found = play(lambda f: f, COLUMNS, BATCHES)
    assert found[0] == [{"k": "a", "n": 1, "x": 0.5}, {"k": "b", "n": 2, "x": 1.5}]
    assert found[2] == []


def test_select_filter_and_with_columns_run_in_one_query(play: Play) -> None:
    found = play(
        lambda f: f.filter("n > 1").with_columns(n="n * 10", y="x / 2").select("k, n", half="y"),
        COLUMNS,
        BATCHES,
    )
    assert found == [
        [{"k": "b", "n": 20, "half": 0.75}],
        [{"k": "a", "n": 30, "half": 1.25}],
        [],
        [{"k": "b", "n": 40, "half": None}],
    ]


def test_aggregates_by_key(play: Play) -> None:
    found = play(
        lambda f: f.group_by("k").agg("sum(n) AS n", mean="avg(x)", rows="count(*)"),
        COLUMNS,
        BATCHES,
    )
    assert in_order(found)[3] == [
        {"k": "b", "n": 4, "mean": None, "rows": 1},
        {"k": "c", "n": None, "mean": 1.0, "rows": 1},
    ]
    assert found[2] == []


@pytest.mark.parametrize("aggregate", ["min(b)", "mode(b)", "avg(b)", "count(*)"])
def test_what_was_grouped_is_grouped_anew(play: Play, aggregate: str) -> None:
    batch = [(n, n % 7) for n in range(100) for _ in range(n % 7 + 1)]
    expected = [(n, sum(number % 7 == n for number in range(100))) for n in range(7)]
    frames: list[tuple[int, Callable[[Any], Any]]] = [
        (1, lambda frame: frame.group_by("a").agg(n=aggregate)),
        (1, lambda frame: frame.window("1s").group_by("a").agg(n=aggregate)),
        (2, lambda frame: frame.group_by("a").agg(n=aggregate).window("2s")),
    ]
    for times, first in frames:
        [_, found] = play(
            lambda frame: first(frame).group_by("n").agg(m="count(*)"),  # noqa: B023
            {"a": "BIGINT", "b": "BIGINT"},
            [batch, batch],
        )
        counts = sorted((row["n"] - (aggregate == "count(*)"), row["m"]) for row in found)
        assert counts == [(n, times * count) for n, count in expected]


def test_aggregates_of_no_rows_are_those_of_sql(play: Play) -> None:
    found = play(
        lambda f: f.agg(n="count(*)", s="sum(n)", d="approx_count_distinct(k)"), COLUMNS, [[]]
    )
    assert found == [[{"n": 0, "s": None, "d": 0}]]


def test_windows_of_aggregates(play: Play) -> None:
    found = play(
        lambda f: f.window("2s").group_by("k").agg(n="sum(n)", rows="count(*)"), COLUMNS, BATCHES
    )
    assert in_order(found) == [
        [{"k": "a", "n": 1, "rows": 1}, {"k": "b", "n": 2, "rows": 1}],
        [{"k": "a", "n": 4, "rows": 2}, {"k": "b", "n": 2, "rows": 1}],
        [{"k": "a", "n": 3, "rows": 1}],
        [{"k": "b", "n": 4, "rows": 1}, {"k": "c", "n": None, "rows": 1}],
    ]


def test_rows_of_windows_are_kept_only_where_they_are_needed() -> None:
    for build, kept in [
        (lambda f: f.window("2s").group_by("k").agg(n="sum(n)"), False),
        (lambda f: f.window("2s").order_by("n"), True),
    ]:
        with ManualContext("1s") as ssc:
            frame = ssc.queue_stream(BATCHES).to_frame(COLUMNS)
            collected(build(frame))
            ssc.start()
            assert ssc.stepped.engine.graph.nodes[frame.id].persisted == kept


def test_windows_that_are_filtered_are_windows_of_what_is_filtered(play: Play) -> None:
    found = play(
        lambda f: f.window("4s").filter("n > 1").agg(rows="count(*)", k="count(DISTINCT k)"),
        COLUMNS,
        BATCHES,
    )
    assert found == [[{"rows": n, "k": k}] for n, k in [(1, 1), (2, 2), (2, 2), (3, 2)]]


def test_order_and_limit_of_aggregates(play: Play) -> None:
    sql = "SELECT k, sum(n) AS n FROM this GROUP BY ALL ORDER BY n DESC NULLS LAST, k LIMIT 2"
    found = play(lambda f: f.window("4s").sql(sql), COLUMNS, BATCHES)
    assert found[3] == [{"k": "b", "n": 6}, {"k": "a", "n": 4}]


def test_counts_are_ordered_by_parts_of_what_there_is(play: Play) -> None:
    sql = "SELECT k, count(*) AS c FROM this GROUP BY k ORDER BY this.k DESC LIMIT 1"
    found = play(lambda f: f.window("4s").sql(sql), COLUMNS, [[("a", 1, 0.5), ("b", 1, 0.5)]])
    assert found == [[{"k": "b", "c": 1}]]
    sql = "SELECT s, count(*) AS c FROM this GROUP BY s ORDER BY s.x DESC LIMIT 1"
    pairs = [[({"x": 1},), ({"x": 2},), ({"x": 1},)]]
    found = play(lambda f: f.window("4s").sql(sql), {"s": "STRUCT(x INTEGER)"}, pairs)
    assert found == [[{"s": {"x": 2}, "c": 1}]]


def test_enums_have_their_order_in_windows(play: Play) -> None:
    kind = "ENUM('z', 'm', 'a')"
    sql = f"SELECT min(k::{kind})::VARCHAR AS least, max(k::{kind})::VARCHAR AS most FROM this"
    batches = [[(k, 1, 0.5)] for k in ("a", "z", "m")]
    found = play(lambda f: f.window("3s").sql(sql), COLUMNS, batches)
    assert found[2] == [{"least": "z", "most": "a"}]


@pytest.mark.parametrize("window", ["1s", "4s"])
def test_a_limit_of_percents_is_one_of_all_rows(play: Play, window: str) -> None:
    sql = "SELECT n, count(*) AS c FROM this GROUP BY n ORDER BY c DESC, n LIMIT 50%"
    rows = [[("a", n, 0.5) for n in (1, 2, 2, 3, 4, 4)]]
    found = play(lambda f: f.window(window).sql(sql), COLUMNS, rows)
    assert found == [[{"n": 2, "c": 2}, {"n": 4, "c": 2}]]


def test_order_limit_and_distinct_of_rows(play: Play) -> None:
    found = play(lambda f: f.union(f).distinct().order_by("n DESC, k").limit(1), COLUMNS, BATCHES)
    assert [[row["k"] for row in batch] for batch in found] == [["b"], ["a"], [], ["b"]]


def test_joins_with_tables_that_stand_still(play: Play) -> None:
    titles = pa.table({"k": ["a", "b"], "title": ["A", "B"]})
    found = play(lambda f: f.join(titles, "k").group_by("title").agg(n="sum(n)"), COLUMNS, BATCHES)
    assert in_order(found)[0] == [{"title": "A", "n": 1}, {"title": "B", "n": 2}]
    assert found[3] == [{"title": "B", "n": 4}]


def test_left_joins_on_conditions(play: Play) -> None:
    titles = {"id": ["A"], "title": ["Apples"]}
    found = play(
        lambda f: f.join(titles, "upper(this.k) = other.id", "left").select("k, title"),
        COLUMNS,
        BATCHES[:1],
    )
    assert in_order(found) == [[{"k": "a", "title": "Apples"}, {"k": "b", "title": None}]]


def test_sql_names_tables(play: Play) -> None:
    sql = "SELECT title, sum(n) AS n FROM this JOIN titles ON k = id GROUP BY title"
    titles = pd.DataFrame({"id": ["a"], "title": ["A"]})
    found = play(lambda f: f.window("2s").sql(sql, titles=titles), COLUMNS, BATCHES)
    assert found == [[{"title": "A", "n": n}] if n else [] for n in (1, 4, 3, 0)]


def test_functions_of_pandas(play: Play) -> None:
    found = play(
        lambda f: f.map_frames(lambda df: df.assign(n=df.n.fillna(0) + 1)).select("n"),
        COLUMNS,
        BATCHES,
    )
    assert [[row["n"] for row in batch] for batch in found] == [[2, 3], [4], [], [5, 1]]


def test_rows_go_on_as_objects(play: Play) -> None:
    found = play(
        lambda f: f.filter("n > 0").rows().map(lambda row: row["k"].upper()), COLUMNS, BATCHES
    )
    assert found == [["A", "B"], ["A"], [], ["B"]]


VALUES = {
    "nan": ("DOUBLE", [nan, None, 1.0]),
    "text": ("VARCHAR", ["ß", "", "🙂", None, "a'b\"c"]),
    "decimal": ("DECIMAL(10,2)", [Decimal("1.25"), None]),
    "zoned": ("TIMESTAMP WITH TIME ZONE", [datetime(2026, 3, 29, 1, 30, tzinfo=UTC), None]),
    "list": ("INTEGER[]", [[1, None], [], None]),
    "struct": ("STRUCT(a INTEGER, b VARCHAR)", [{"a": 1, "b": "x"}, None]),
    "bytes": ("BLOB", [b"\x00\xff", None]),
}


@pytest.mark.parametrize("kind", VALUES)
def test_values_of_all_types_come_through_states(play: Play, kind: str) -> None:
    sql_type, values = VALUES[kind]
    batches = [[(value,) for value in values], [], [(values[0],)]]
    found = play(
        lambda f: f.window("3s").group_by("v").agg(n="count(*)", m="max(v)"),
        {"v": sql_type},
        batches,
    )
    assert {shown(row["v"]): row["n"] for row in found[2]} == {
        shown(value): 2 if i == 0 else 1 for i, value in enumerate(values)
    }
    assert all(shown(row["m"]) == shown(row["v"]) for row in found[2])


def shown(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else repr(value)


def test_nan_is_a_key_like_any_other(play: Play) -> None:
    found = play(lambda f: f.group_by("v").count(), {"v": "DOUBLE"}, [[(nan,), (nan,)]])
    assert isnan(found[0][0]["v"])
    assert found[0][0]["count"] == 2


NASTY = 'x"; DROP TABLE this; --'


def test_names_are_only_names(play: Play) -> None:
    found = play(
        lambda f: f.with_columns(**{f"{NASTY}2": "1"}).group_by('"k\'"').agg(**{NASTY: "count(*)"}),
        {"k'": "VARCHAR", NASTY: "BIGINT"},
        [[("a", 1)]],
    )
    assert found == [[{"k'": "a", NASTY: 1}]]


class Named(NamedTuple):
    k: str
    n: int


@dataclass
class Data:
    k: str
    n: int


@pytest.mark.parametrize("row", [("a", 1), Named("a", 1), Data("a", 1), {"n": 1, "k": "a", "z": 0}])
def test_rows_of_all_kinds_have_the_columns(row: Any) -> None:
    with ManualContext("1s") as ssc:
        found = collected(ssc.queue_stream([[row]]).to_frame({"k": "VARCHAR", "n": "BIGINT"}))
        ssc.start()
        ssc.advance("1s")
    assert found == [[{"k": "a", "n": 1}]]


@pytest.mark.parametrize(
    ("format", "lines"),
    [("json", ['{"k": "a", "n": 1, "new": 2}', '{"n": null}']), ("csv", ["a,1", ",", ""])],
)
def test_lines_of_text(format: str, lines: list[str]) -> None:
    with ManualContext("1s") as ssc:
        frame = ssc.queue_stream([lines]).to_frame({"k": "VARCHAR", "n": "BIGINT"}, format)
        found = collected(frame)
        ssc.start()
        ssc.advance("1s")
    assert found == [[{"k": "a", "n": 1}, {"k": None, "n": None}]]


def test_columns_are_found_out_when_asked() -> None:
    with ManualContext("1s") as ssc:
        lines = ssc.register("lines", ssc.queue_stream([['{"k": "a", "n": 1}']]))
        ssc.start()
        ssc.advance("1s")
        assert lines.to_frame("infer", "json").columns == (("k", "VARCHAR"), ("n", "BIGINT"))


def test_tables_of_files_are_frames_at_once(tmp_path: Path) -> None:
    with ManualContext("1s") as ssc:
        stream = ssc.file_stream(str(tmp_path), "json", {"k": "VARCHAR", "n": "BIGINT"})
        found = collected(stream.to_frame().filter("n > 1"))
        ssc.start()
        (tmp_path / "a.json").write_text('{"k": "a", "n": 1}\n{"k": "b", "n": 2}\n')
        ssc.advance("1s")
    assert found == [[{"k": "b", "n": 2}]]


def test_rows_that_do_not_fit_are_left_out_and_told_of() -> None:
    lines = [f'{{"n": {n}}}' for n in range(1000)]
    lines[500] = '{"n": "many"}'
    lines[700] = "{"
    with ManualContext("1s") as ssc:
        frame = ssc.queue_stream([lines]).to_frame({"n": "BIGINT"}, "json")
        ssc.register("numbers", frame)
        found = collected(frame.agg(n="count(*)"))
        ssc.start()
        ssc.advance("1s")
        [stream] = ssc.status().streams
    assert found == [[{"n": 998}]]
    assert stream.bad == 2


WRONG = [
    (lambda f: f.filter("n > 1 AND\nnope"), "LINE 2: nope\n        ^^^^"),
    (lambda f: f.select("k, upper(n)"), "LINE 1: k, upper(n)\n           ^^^^^^^^"),
    (lambda f: f.with_columns(z="nope"), "LINE 1: nope\n        ^^^^"),
    (lambda f: f.group_by("nope"), "LINE 1: nope\n        ^^^^"),
    (lambda f: f.group_by("k").agg(z="sum(k)"), "LINE 1: sum(k)\n        ^^^^^^"),
    (lambda f: f.group_by("k").agg(z="n"), 'column "n" must appear in the GROUP BY'),
    (lambda f: f.order_by("nope"), "LINE 1: nope\n        ^^^^"),
    (
        lambda f: f.sql("SELECT nope FROM this"),
        "LINE 1: SELECT nope FROM this\n               ^^^^",
    ),
    (lambda f: f.sql("SELECT k FRM this"), "LINE 1: SELECT k FRM this\n                     ^"),
    (lambda f: f.sql("SELECT 1; SELECT 2"), "one SQL statement"),
    (lambda f: f.sql("DROP TABLE this"), "only a SELECT"),
    (lambda f: f.sql("SELECT * FROM read_csv('/etc/passwd')"), "disabled"),
    (lambda f: f.filter("true) OR (SELECT 1"), "syntax error"),
    (lambda f: f.filter("true UNION SELECT * FROM this"), "a list of expressions"),
    (lambda f: f.filter("true, true"), "one expression"),
    (lambda f: f.select("sum(n)"), "more than one row"),
    (lambda f: f.select("row_number() OVER ()"), "more than one row"),
    (lambda f: f.select("(SELECT max(n) FROM this)"), "more than one row"),
    (lambda f: f.join({"a": [1]}, "this.k = other.b"), "LINE 1: this.k = other.b"),
]


@pytest.mark.parametrize(("build", "message"), WRONG)
def test_what_is_wrong_is_refused_where_it_is_written(build: Any, message: str) -> None:
    with ManualContext("1s") as ssc:
        frame = ssc.queue_stream().to_frame(COLUMNS)
        with pytest.raises(QueryError) as error:
            build(frame)
    assert message in str(error.value)


def test_definitions_that_cannot_be() -> None:
    with ManualContext("1s") as ssc:
        stream = ssc.queue_stream()
        frame = stream.to_frame(COLUMNS)
        for build, message in [
            (lambda: stream.to_frame(), "are not known"),
            (lambda: stream.to_frame({"a": "INT", "A": "INT"}), "apart"),
            (lambda: stream.to_frame({"a": "INT"}, "xml"), "format is one of"),
            (lambda: frame.union(frame.select("k")), "the columns of"),
            (lambda: frame.window("1500ms"), "multiple"),
            (lambda: frame.join({"k": ["a"]}, "k", "full"), "inner"),
            (lambda: frame.sql("SELECT 1 FROM this", this={"a": [1]}), "another name"),
            (lambda: frame.sql("SELECT 1 FROM this", t=object()), "must be a table"),
        ]:
            with pytest.raises(DefinitionError, match=message):
                build()
