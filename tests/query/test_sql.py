"""What can be asked, and what of the past it is about."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

import pytest

from livebatch.errors import DefinitionError, NotRunning, QueryError
from livebatch.events import Message
from livebatch.interval import to_datetime
from livebatch.sql import span
from livebatch.testing import START, ManualContext
from livebatch.wire import Settled
from tests.query.conftest import Ask

Feed = Callable[..., None]

TAGS = [["a", "b", "a"], ["b"], [], ["a", "c"]]
PAGES = [[("a", 10), ("b", 20)], [("a", 30)], [("c", 40)], []]


def time(batch: int) -> datetime:
    """The time of the first, second, … batch."""
    return to_datetime(START + 1000 * batch)


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT value, count(*) FROM tags GROUP BY 1 ORDER BY 1", [("a", 3), ("b", 2), ("c", 1)]),
        ("FROM tags SELECT count(*)", [(6,)]),
        ("SELECT count(*) FROM TAGS", [(6,)]),
        ('SELECT count(*) FROM "tags" t', [(6,)]),
        ("SELECT count(*) FROM tags;", [(6,)]),
        ("SELECT sum(_2) FROM pages", [(100,)]),
        ("WITH t AS (FROM tags) SELECT count(DISTINCT value) FROM t", [(3,)]),
        ("SELECT max(n) FROM (SELECT count(*) n FROM tags GROUP BY value)", [(3,)]),
        ("SELECT (SELECT count(*) FROM tags) - (SELECT count(*) FROM pages)", [(2,)]),
        ("SELECT _2 FROM pages WHERE _1 IN (FROM tags SELECT value) ORDER BY 1 LIMIT 1", [(10,)]),
        ("SELECT count(*) FROM tags JOIN pages ON value = _1", [(3 * 2 + 2 + 1,)]),
        ("SELECT count(*) FROM tags JOIN pages USING (batch_time)", [(3 * 2 + 1,)]),
        ("SELECT count(*) FROM tags a JOIN tags b USING (batch_time, value)", [(5 + 1 + 2,)]),
        ("SELECT value FROM tags UNION SELECT _1 FROM pages ORDER BY 1", [("a",), ("b",), ("c",)]),
        ("SELECT max(_2) FROM tags ASOF JOIN pages USING (batch_time)", [(40,)]),
        ("FROM query_table('tags') SELECT count(*)", [(6,)]),
        ("PIVOT (SELECT value FROM tags) ON value USING count(*)", [(3, 2, 1)]),
        ("PIVOT tags ON value USING count(*) ORDER BY batch_time LIMIT 1", [(2, 1, 0)]),
        ("UNPIVOT (SELECT 1 AS x, 2 AS y FROM tags LIMIT 1) ON x, y", [("x", 1), ("y", 2)]),
        ("WITH tags AS (SELECT 1 AS n) FROM tags", [(1,)]),
        ("SELECT 1 + 1", [(2,)]),
    ],
)
def test_a_query(sql: str, rows: list[tuple[Any, ...]], feed: Feed, ask: Ask) -> None:
    feed(tags=TAGS, pages=PAGES)
    result = ask(sql)
    columns = [name for name in result.to_arrow().column_names if name != "batch_time"]
    assert [tuple(row[name] for name in columns) for row in result] == rows


def test_a_row_has_the_time_of_its_batch(feed: Feed, ask: Ask) -> None:
    feed(tags=TAGS)
    result = ask("SELECT batch_time, list(value) AS tags FROM tags GROUP BY 1 ORDER BY 1")
    assert [(row["batch_time"], row["tags"]) for row in result] == [
        (time(1), ["a", "b", "a"]),
        (time(2), ["b"]),
        (time(4), ["a", "c"]),
    ]


def test_a_time_can_be_filtered_ordered_and_computed_with(feed: Feed, ask: Ask) -> None:
    feed(tags=TAGS)
    utc = time(2).astimezone(UTC)
    for condition, count in {
        f"batch_time > TIMESTAMPTZ '{utc}'": 2,
        f"batch_time <= TIMESTAMPTZ '{utc}'": 4,
        f"batch_time = '{utc}'": 1,
        f"batch_time IN ('{utc}', '{utc - timedelta(seconds=1)}')": 4,
        "batch_time = (SELECT max(batch_time) FROM tags)": 2,
        "batch_time IS NULL": 0,
        f"batch_time - INTERVAL 1 SECOND >= '{utc}'": 2,
    }.items():
        assert list(ask(f"SELECT count(*) AS n FROM tags WHERE {condition}")) == [{"n": count}]
    newest = ask("SELECT batch_time FROM tags ORDER BY batch_time DESC LIMIT 1")
    assert list(newest) == [{"batch_time": time(4)}]


def test_describe_and_explain(feed: Feed, ask: Ask) -> None:
    feed(tags=TAGS)
    described = {row["column_name"]: row["column_type"] for row in ask("DESCRIBE tags")}
    assert described == {"batch_time": "TIMESTAMP WITH TIME ZONE", "value": "VARCHAR"}
    assert "Aggregate" in repr(ask("EXPLAIN SELECT count(*) FROM tags"))
    summary = ask("SUMMARIZE tags").to_pandas().set_index("column_name")
    assert summary.loc["value", "max"] == "c"


@pytest.mark.parametrize(
    ("part", "batches"),
    [
        ({}, [1, 2, 3, 4]),
        ({"last": "2s"}, [3, 4]),
        ({"last": timedelta(seconds=1)}, [4]),
        ({"last": "1h"}, [1, 2, 3, 4]),
        ({"batches": 1}, [4]),
        ({"batches": 3}, [2, 3, 4]),
        ({"batches": 99}, [1, 2, 3, 4]),
        ({"at": time(2)}, [2]),
        ({"at": time(2) + timedelta(milliseconds=999)}, [2]),
        ({"at": time(2).replace(tzinfo=None)}, [2]),
        ({"at": time(99)}, [4]),
    ],
)
def test_a_part_of_the_past(part: dict[str, Any], batches: list[int], feed: Feed, ask: Ask) -> None:
    feed(tags=TAGS)
    result = ask("SELECT value FROM tags", **part)
    expected = chain.from_iterable(TAGS[batch - 1] for batch in batches)
    assert [row["value"] for row in result] == list(expected)
    (origin,) = result.origins
    assert (origin.stream, origin.batches) == ("tags", len(batches))
    assert (origin.first, origin.last) == (START + batches[0] * 1000, START + batches[-1] * 1000)


def test_many_batches_come_page_by_page(feed: Feed, ask: Ask) -> None:
    many = 2 * span.PAGE + 3
    feed(numbers=[[n] for n in range(many)])
    assert [row["value"] for row in ask("SELECT value FROM numbers")] == list(range(many))
    assert [row["value"] for row in ask("FROM numbers SELECT value", batches=span.PAGE + 1)] == (
        list(range(span.PAGE + 2, many))
    )


def test_each_stream_has_its_own_newest_batch(ssc: ManualContext, ask: Ask) -> None:
    numbers = ssc.register("numbers", ssc.queue_stream([[n] for n in range(1, 10)]))
    ssc.register("sums", numbers.window("3s", "3s").reduce(lambda a, b: a + b))
    ssc.start()
    ssc.advance("5s")
    sql = "SELECT max(n.value) AS n, max(s.value) AS s FROM numbers n, sums s"
    assert list(ask(sql, last="1s")) == [{"n": 5, "s": 6}]
    assert list(ask(sql, at=time(4))) == [{"n": 4, "s": 6}]


def test_only_the_streams_that_are_named_are_fetched(
    feed: Feed, ask: Ask, ssc: ManualContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed(tags=TAGS, pages=PAGES, others=[[1]])
    request, fetched = ssc.connection.request, []

    def listening(message: Message) -> Message:
        if isinstance(message, Settled):
            fetched.append(message.output)
        return request(message)

    monkeypatch.setattr(ssc.connection, "request", listening)
    ask("SELECT pages, 'tags' AS tags FROM pages JOIN pages others USING (batch_time)")
    assert fetched == ["pages"]
    fetched.clear()
    ask("WITH tags AS (FROM pages) FROM tags")
    assert fetched == ["pages"]


def test_later_batches_change_no_result(feed: Feed, ask: Ask, ssc: ManualContext) -> None:
    feed(tags=TAGS)
    result = ask("SELECT value FROM tags")
    before = list(result)
    ssc.advance("1h")
    assert list(result) == before


def test_one_of_last_at_and_batches(feed: Feed, ask: Ask) -> None:
    feed(tags=TAGS)
    for wrong in {"last": "1s", "batches": 1}, {"batches": 0}, {"last": "soon"}:
        with pytest.raises(DefinitionError):
            ask("FROM tags", **wrong)


def test_nothing_has_settled_or_is_kept(ssc: ManualContext, feed: Feed, ask: Ask) -> None:
    ssc.register("later", ssc.queue_stream([[1]]))
    with pytest.raises(NotRunning, match="no batch of later has settled yet"):
        ask("FROM later")
    feed(tags=TAGS)
    with pytest.raises(NotRunning, match="no batch of tags from then is kept"):
        ask("FROM tags", at=time(0))


def test_names_that_differ_only_in_case(ssc: ManualContext, feed: Feed, ask: Ask) -> None:
    feed(tags=TAGS, Tags=TAGS)
    with pytest.raises(QueryError, match="SQL cannot tell tags and Tags apart"):
        ask("FROM tags")


def test_words_of_sql_name_streams_in_quotes(feed: Feed, ask: Ask) -> None:
    feed(order=[[1, 2]])
    assert list(ask('SELECT sum(value) AS s FROM "order"')) == [{"s": 3}]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "COPY (FROM tags) TO 'tags.csv'",
        "ATTACH 'other.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET threads = 64",
        "FROM rows",
        "INSERT INTO tags VALUES (now(), 'x')",
    ],
)
def test_the_world_is_closed(
    sql: str, feed: Feed, ask: Ask, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [1, 2, 3]  # a variable that DuckDB would find
    monkeypatch.chdir(tmp_path)
    feed(tags=TAGS)
    with pytest.raises(QueryError):
        ask(sql)
    assert not list(tmp_path.iterdir()), rows
