"""Tables of databases."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from livebatch.errors import DefinitionError, JobFailed, SinkError
from livebatch.explain import explained
from livebatch.sinks import Key, sink
from livebatch.sinks.sql import LEDGER
from livebatch.testing import START, ManualContext
from tests.sinks.places import connected, table_rows


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/out.db"


def play(write: Callable[[Any], Any], *batches: list[Any]) -> None:
    with ManualContext("1s") as ssc:
        write(ssc.queue_stream(list(batches)))
        ssc.start()
        ssc.advance(len(batches))
        ssc.await_termination(timeout=0)


@pytest.mark.parametrize(("query", "seconds"), [("", 60), ("?timeout=3", 3)])
def test_a_writer_has_time_to_wait_for_another(url: str, query: str, seconds: int) -> None:
    made: Any = sink("sql", {"name": "pages", "url": url + query})
    with made._connected() as connection:
        assert connection.execute(sa.text("PRAGMA busy_timeout")).scalar() == 1000 * seconds


def test_the_ledger_says_what_is_there(url: str) -> None:
    play(lambda s: s.to_sql("pages", url, writer="w"), [1, 2], [], [3])
    assert table_rows(url, LEDGER) == [
        {"writer": "w", "target": "pages", "batch": START + 1000, "rows": 2},
        {"writer": "w", "target": "pages", "batch": START + 3000, "rows": 1},
    ]


def test_a_table_that_is_there(url: str) -> None:
    with connected(url) as connection:
        connection.execute(sa.text("CREATE TABLE pages (value INTEGER, more TEXT DEFAULT 'x')"))
    play(lambda s: s.to_sql("pages", url), [1])
    assert table_rows(url, "pages") == [{"value": 1, "more": "x"}]
    with pytest.raises(DefinitionError, match=r"there is a table pages in sqlite:.* already"):
        play(lambda s: s.to_sql("pages", url, if_exists="fail"), [1])
    play(lambda s: s.to_sql("pages", url, if_exists="replace", writer="w"), [2])
    play(lambda s: s.to_sql("pages", url, if_exists="replace", writer="w"), [2])
    assert table_rows(url, "pages") == [{"value": 2}]


def test_a_column_that_the_table_lacks(url: str) -> None:
    with pytest.raises(JobFailed, match=r"the table t in sqlite:.* has no column b: add it"):
        play(lambda s: s.to_sql("t", url, writer="w"), [{"a": 1}], [{"a": 2, "b": 3}], [{"a": 4}])
    assert table_rows(url, "t") == [{"a": 1}, {"a": 4}]
    assert [row["batch"] - START for row in table_rows(url, LEDGER)] == [1000, 3000]


def test_what_the_database_refuses(url: str) -> None:
    with connected(url) as connection:
        connection.execute(sa.text("CREATE TABLE t (value INTEGER UNIQUE)"))
    with pytest.raises(JobFailed, match=r"cannot write to the table t .*UNIQUE constraint failed"):
        play(lambda s: s.to_sql("t", url), [1], [2, 2], [3])
    assert table_rows(url, "t") == [{"value": 1}, {"value": 3}]


def test_columns_that_differ_in_case(url: str) -> None:
    play(lambda s: s.to_sql("t", url), [{"a": 1, "A": 2}])
    assert table_rows(url, "t") == [{"a": 1, "A_1": 2}]


@pytest.mark.parametrize("driver", ["nosuchdriver", "pg8000"])
def test_a_password_is_never_shown(driver: str, url: str) -> None:
    secret = f"postgresql+{driver}://me:hush@db/x"
    shown = f"postgresql+{driver}://me:***@db/x"
    assert repr(sink("sql", {"name": "t", "url": secret})) == f"Sink('t', '{shown}')"
    with ManualContext() as ssc:
        with pytest.raises(DefinitionError) as caught:
            ssc.queue_stream().to_sql("t", secret)
        assert str(caught.value).startswith(f"{shown} takes a driver that is not installed (")
        assert "hush" not in str(caught.value)
        written = ssc.queue_stream().to_sql("t", url)
        assert explained(written).nodes[-1].label.startswith("to_sql('t', 'sqlite:")


def test_a_database_that_cannot_be_reached(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"cannot write to the table t in sqlite:.*unable to open"):
        play(lambda s: s.to_sql("t", f"sqlite:///{tmp_path}/none/out.db"))
    with pytest.raises(DefinitionError, match="that is no URL of a database"):
        play(lambda s: s.to_sql("t", "not a url:pass"))
    with pytest.raises(DefinitionError, match="if_exists is one of append, fail, replace"):
        play(lambda s: s.to_sql("t", "sqlite://", if_exists="drop"))


def test_without_sqlalchemy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(DefinitionError, match=r'pip install "livebatch\[sql\]"'):
        play(lambda s: s.to_sql("t", "sqlite://"))


def test_a_batch_is_one_transaction(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livebatch.sinks.sql.PORTION", 2)
    made = sink("sql", {"name": "t", "url": url})
    rows = [{"a": n} for n in range(5)]
    key = Key("w", START)
    assert made.commit(key, [made.write(key, iter(rows))]).rows == 5
    assert table_rows(url, "t") == rows
    with connected(url) as connection:
        connection.execute(sa.text("CREATE UNIQUE INDEX i ON t (a)"))
    part = made.write(key, iter([{"a": 9}, {"a": 8}, {"a": 0}]))
    with pytest.raises(SinkError, match="UNIQUE"):
        made.commit(Key("w", START + 1), [part])
    assert table_rows(url, "t") == rows
