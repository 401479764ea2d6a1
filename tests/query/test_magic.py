"""``%%query`` in a notebook."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from datetime import datetime, time
from typing import Any

import pandas as pd
import pytest
from IPython.core.error import UsageError

from livebatch.errors import DefinitionError, NameTaken, NotRunning, QueryError
from livebatch.interval import to_datetime
from livebatch.kernel_ext.query_magic import QueryMagics, before, moment, query_options
from livebatch.sql import Result
from livebatch.sql.recent import Recent
from livebatch.testing import START, ManualContext
from tests.kernel_ext.notebook import Notebook

STREAM = "%%stream tags --show none\nssc.queue_stream([['a', 'b', 'a'], ['b'], ['c']])"


@pytest.fixture
def notebook(ssc: ManualContext) -> Iterator[Notebook]:
    """A notebook with the stream ``tags``, of which three batches have settled."""
    with Notebook.open(ssc) as notebook:
        notebook.shell.register_magics(QueryMagics(notebook.shell, notebook.magics.notebook))
        notebook.works(STREAM)
        ssc.advance("3s")
        yield notebook


def test_a_cell_shows_its_result(notebook: Notebook) -> None:
    result = notebook.works(
        "%%query\nSELECT value, count(*) AS n\nFROM tags GROUP BY 1 ORDER BY 2 DESC, 1"
    ).value
    assert isinstance(result, Result)
    assert list(result) == [{"value": v, "n": n} for v, n in [("a", 2), ("b", 2), ("c", 1)]]


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ("", 5),
        ("--last 2s", 2),
        ("--last 1h", 5),
        ("--batches 1", 1),
        (f"--at {to_datetime(START + 2500):%H:%M:%S}", 1),
        (f"--at {to_datetime(START + 1000).isoformat()}", 3),
        (f"--at '{to_datetime(START + 1000):%Y-%m-%d %H:%M:%S}'", 3),
    ],
)
def test_a_part_of_the_past(options: str, count: int, notebook: Notebook) -> None:
    result = notebook.works(f"%%query {options}\nSELECT count(*) AS n FROM tags").value
    assert list(result) == [{"n": count}]


def test_a_frame_gets_a_name(notebook: Notebook) -> None:
    notebook.names["found"] = "replaced"
    result = notebook.works(
        "%%query --into found\nSELECT DISTINCT value FROM tags ORDER BY 1"
    ).value
    frame = notebook.names["found"]
    assert isinstance(frame, pd.DataFrame)
    assert frame.equals(result.to_pandas())
    assert list(frame["value"]) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("tags", NameTaken), ("ssc", NameTaken), ("2x", DefinitionError), ("for", DefinitionError)],
)
def test_a_name_that_cannot_be_given(name: str, kind: type[Exception], notebook: Notebook) -> None:
    ran = notebook.run(f"%%query --into {name}\nSELECT 1")
    assert isinstance(ran.error, kind)
    assert notebook.works("type(tags).__name__").value != "DataFrame"


@pytest.mark.parametrize(
    "options", ["--last soon", "--batches 0", "--at noon", "--last 1s --batches 2", "--nonsense"]
)
def test_options_that_are_wrong(options: str, notebook: Notebook) -> None:
    ran = notebook.run(f"%%query {options}\nSELECT 1")
    assert isinstance(ran.error, UsageError)


def test_an_error_points_at_the_line_of_the_cell(notebook: Notebook) -> None:
    ran = notebook.run("%%query\nSELECT *\nFROM tag")
    assert isinstance(ran.error, QueryError)
    lines = [line for line in ran.text.splitlines() if line.strip() and set(line) != {"-"}]
    assert "there is no stream tag: there are tags; did you mean tags?" in ran.text
    assert lines[-2] == "LINE 3: FROM tag"
    assert lines[-1].strip() == "^^^"
    assert lines[-1].index("^") == lines[-2].index("tag")
    assert ".py" not in ran.text
    assert "duckdb" not in ran.text


def test_there_is_no_engine() -> None:
    with Notebook.open() as notebook:
        notebook.shell.register_magics(QueryMagics(notebook.shell, notebook.magics.notebook))
        assert isinstance(notebook.run("%%query\nSELECT 1").error, NotRunning)


def test_interrupting_a_cell(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    scan: Callable[[Recent], Iterator[Any]] = Recent._scan

    def endless(recent: Recent) -> Iterator[Any]:
        os.kill(os.getpid(), signal.SIGINT)
        while True:
            yield from scan(recent)

    with monkeypatch.context() as patched:
        patched.setattr(Recent, "_scan", endless)
        ran = notebook.run("%%query --into found\nSELECT count(*) FROM tags")
    assert isinstance(ran.error, KeyboardInterrupt)
    assert "KeyboardInterrupt: the query was interrupted" in ran.text
    assert ".py" not in ran.text
    assert "found" not in notebook.names
    assert list(notebook.works("%%query\nSELECT count(*) AS n FROM tags").value) == [{"n": 5}]


def test_help(notebook: Notebook) -> None:
    ran = notebook.run("%%query --help\nSELECT 1")
    assert ran.error is None
    assert ran.value is None
    assert all(option in ran.text for option in query_options().flags)


def test_a_time_of_day_is_the_last_one() -> None:
    noon = datetime(2026, 11, 22, 12)
    now = round(noon.timestamp() * 1000)
    assert before(time(11, 59), now) == datetime(2026, 11, 22, 11, 59)
    assert before(time(12), now) == noon
    assert before(time(12, 0, 1), now) == datetime(2026, 11, 21, 12, 0, 1)
    assert before(noon, 0) == noon
    assert moment("12:30") == time(12, 30)
    assert moment("2026-11-22") == datetime(2026, 11, 22)
