"""Queries that are written wrongly, cannot be carried out, or are interrupted."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pyarrow as pa
import pytest

from livebatch.clock import stopwatch
from livebatch.errors import DefinitionError, QueryError
from livebatch.sql import database
from livebatch.sql.database import Database
from livebatch.sql.recent import Recent
from livebatch.testing import ManualContext
from tests.helpers import eventually
from tests.query.conftest import Ask

Feed = Callable[..., None]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (
            "SELECT *\nFROM tag",
            """\
            there is no stream tag: there are pages, tags; did you mean tags?

            LINE 2: FROM tag
                         ^^^""",
        ),
        (
            "SELECT count(*) FROM tags JOIN elsewhere USING (value)",
            """\
            there is no stream elsewhere: there are pages, tags

            LINE 1: SELECT count(*) FROM tags JOIN elsewhere USING (value)
                                                   ^^^^^^^^^""",
        ),
        (
            "SELECT valu\nFROM tags",
            """\
            Binder Error: Referenced column "valu" not found in FROM clause!
            Candidate bindings: "value"

            LINE 1: SELECT valu
                           ^^^^""",
        ),
        (
            "\n-- all\nSELEC * FROM tags",
            """\
            Parser Error: syntax error at or near "SELEC"

            LINE 3: SELEC * FROM tags
                    ^^^^^""",
        ),
        (
            "\n\n-- one\n/* two\n */ -- three\n\n  SELECT 1 AS ä,\n 'ä', valu\nFROM tags;\n\n",
            """\
            Binder Error: Referenced column "valu" not found in FROM clause!

            LINE 8:  'ä', valu
                          ^^^^""",
        ),
        (
            "\n" * 9 + "SELECT *, valu\nFROM tags",
            """\
            Binder Error: Referenced column "valu" not found in FROM clause!

            LINE 10: SELECT *, valu
                               ^^^^""",
        ),
        (
            "SELECT coun(*) FROM tags",
            """\
            Catalog Error: Scalar Function with name coun does not exist!
            Did you mean "count"?

            LINE 1: SELECT coun(*) FROM tags
                           ^^^^^^^""",
        ),
        (
            "SELECT value::INT FROM tags",
            """\
            Conversion Error: Could not convert string 'a' to INT32

            LINE 1: SELECT value::INT FROM tags
                                ^^^^^""",
        ),
        ("SELECT 1; SELECT 2", "a query is one SQL statement, not 2"),
        (" -- nothing", "a query is one SQL statement, not none"),
    ],
)
def test_the_word_is_pointed_at(sql: str, message: str, feed: Feed, ask: Ask) -> None:
    feed(tags=[["a"]], pages=[["b"]])
    with pytest.raises(QueryError) as caught:
        ask(sql)
    head, *rest = str(caught.value).split("\n\nLINE")
    expected, *place = dedent(message).split("\n\nLINE")
    assert head.splitlines()[0].startswith(expected.splitlines()[0])
    assert bool(rest) == bool(place)
    if rest:
        line, caret = rest[0].splitlines()
        wanted, below = place[0].splitlines()
        assert line == wanted
        assert caret.index("^") == below.index("^")
    assert isinstance(caught.value, DefinitionError)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_there_are_no_streams_yet(ssc: ManualContext, ask: Ask) -> None:
    with pytest.raises(QueryError, match="there is no stream tags: there are none yet"):
        ask("FROM tags")


def test_columns_of_batches_that_are_all_empty(feed: Feed, ask: Ask) -> None:
    feed(tags=[[], []])
    with pytest.raises(QueryError, match="All batches of tags are empty"):
        ask("SELECT value FROM tags")


def test_columns_of_a_part_that_is_empty(feed: Feed, ask: Ask) -> None:
    feed(tags=[[("a", 1)], []])
    result = ask("SELECT _1, _2 FROM tags WHERE _2 > 0", batches=1)
    assert (len(result), result.to_arrow().column_names) == (0, ["_1", "_2"])
    assert result.origins[0].batches == 1


def test_a_query_after_an_error(feed: Feed, ask: Ask) -> None:
    feed(tags=[["a"]])
    with pytest.raises(QueryError):
        ask("SELECT nothing FROM tags")
    assert len(ask("FROM tags")) == 1


def test_too_much_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "memory_share", lambda: 20_000_000)
    sql = "SELECT length(string_agg(range::VARCHAR, '')) FROM range(50_000_000)"
    with Database({}.__getitem__) as small, pytest.raises(QueryError, match="fewer batches"):
        small.run(sql)


def test_what_does_not_fit_goes_to_disk_and_is_removed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(database, "memory_share", lambda: 30_000_000)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    spilled: list[bool] = []

    def watching() -> Iterator[pa.RecordBatch]:
        for i in range(40):
            spilled.append(any(tmp_path.rglob("*.tmp")) or any(tmp_path.rglob("*.block")))
            yield pa.record_batch({"s": [f"{j * 7919 % 50_021:08}-{i}" * 4 for j in range(50_000)]})

    source = Endless(pa.schema([("s", pa.string())]), watching)
    with Database({"t": source}.__getitem__) as small:
        found = small.run("SELECT count(*) AS n FROM (SELECT s FROM t ORDER BY s OFFSET 1)")
        assert found.to_pylist() == [{"n": 40 * 50_000 - 1}]
    assert True in spilled
    assert not list(tmp_path.iterdir())


# -- interrupted ---------------------------------------------------------------------------------


class Endless:
    """What DuckDB can scan, as long as batches come."""

    def __init__(self, schema: pa.Schema, batches: Callable[[], Iterator[pa.RecordBatch]]) -> None:
        self._schema, self._batches = schema, batches

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        reader = pa.RecordBatchReader.from_batches(self._schema, self._batches())
        return reader.__arrow_c_stream__(requested_schema)


def interrupted_once_it_runs() -> Iterator[pa.RecordBatch]:
    """Batches without end; after the first, Ctrl-C."""
    numbers = pa.record_batch({"n": list(range(1000))})
    yield numbers
    os.kill(os.getpid(), signal.SIGINT)
    while True:
        yield numbers


@pytest.mark.parametrize(
    "sql", ["SELECT sum(n) FROM t", "SELECT count(*) FROM t a JOIN t b USING (n)"]
)
def test_an_interrupt_ends_a_query(sql: str) -> None:
    source = Endless(pa.schema([("n", pa.int64())]), interrupted_once_it_runs)
    with Database({"t": source}.__getitem__) as running:
        with pytest.raises(KeyboardInterrupt, match="the query was interrupted"):
            running.run(sql)
        assert running.run("SELECT 1 AS n").to_pylist() == [{"n": 1}]


def test_an_interrupt_leaves_everything_usable(
    feed: Feed, ask: Ask, ssc: ManualContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed(numbers=[list(range(3000))])
    scan: Callable[[Recent], Iterator[Any]] = Recent._scan
    sent: list[float] = []
    before = threading.active_count()

    def interrupting(recent: Recent) -> Iterator[Any]:
        if not sent:
            sent.append(stopwatch())
            os.kill(os.getpid(), signal.SIGINT)
        return scan(recent)

    with monkeypatch.context() as patched:
        patched.setattr(Recent, "_scan", interrupting)
        product = "a.value * b.value * c.value * d.value"
        with pytest.raises(KeyboardInterrupt):
            ask(f"SELECT max({product}) FROM numbers a, numbers b, numbers c, numbers d")
    assert stopwatch() - sent[0] < 1
    eventually(lambda: threading.active_count() == before)
    ssc.advance("1s")
    assert list(ask("SELECT count(*) AS n FROM numbers")) == [{"n": 3000}]


def test_an_impatient_user(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = threading.Event()

    def twice() -> Iterator[pa.RecordBatch]:
        yield from ()
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        begun.set()
        while True:
            yield pa.record_batch({"n": [1]})

    source = Endless(pa.schema([("n", pa.int64())]), twice)
    with Database({"t": source}.__getitem__) as running:
        for _ in range(10):
            with pytest.raises(KeyboardInterrupt):
                running.run("SELECT sum(n) FROM t")
            assert begun.is_set()
            assert running.run("SELECT 1 AS n").to_pylist() == [{"n": 1}]
