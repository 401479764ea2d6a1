"""Streams whose records change while they are read: the default goes on, and tells."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from livebatch.engine.executors.base import Executor
from livebatch.engine.executors.inline import InlineExecutor
from livebatch.errors import DefinitionError, JobFailed
from livebatch.frames import drift
from livebatch.testing import ManualContext, collected

COLUMNS = {"k": "VARCHAR", "n": "BIGINT"}
JSON = ['{"k": "a", "n": 1}', '{"k": "b", "n": "many"}', "no json", "3", '{"k": "c"}', "null"]
ROWS = [{"k": "a", "n": 1}, {"k": "b", "n": "many"}, {"k": "c", "n": [2]}, {"k": "d", "n": None}]
CSV = ["a,1", "b,many", "c,", "d,1,2"]
GOOD = {
    "json": [{"k": "a", "n": 1}, {"k": "c", "n": None}],
    "rows": [{"k": "a", "n": 1}, {"k": "d", "n": None}],
    "csv": [{"k": "a", "n": 1}, {"k": "c", "n": None}],
}
KINDS = [("json", JSON), ("rows", ROWS), ("csv", CSV)]


def played(
    format: str, rows: list[Any], executor: Executor, **options: Any
) -> tuple[list[Any], list[Any], int]:
    """The rows, the errors, and how many bad records there were."""
    with ManualContext("1s", executor=executor) as ssc:
        frame = ssc.queue_stream([rows, []]).to_frame(COLUMNS, format, **options)
        made = ssc.register("made", frame)
        found, errors = collected(made), collected(made.errors)
        ssc.start()
        ssc.advance("2s")
        [status] = [stream for stream in ssc.status().streams if stream.name == "made"]
        ssc.await_termination(timeout=0)
    return found[0], errors[1], status.bad


@pytest.mark.parametrize(("format", "rows"), KINDS)
def test_misfits_are_left_out_and_told_of(format: str, rows: list[Any], executor: Executor) -> None:
    found, errors, count = played(format, rows, executor)
    assert sorted(found, key=str) == GOOD[format]
    misfits = [row for row in rows if repr(row) in {error["record"] for error in errors}]
    assert len(misfits) == len(errors) == count == len(rows) - len(found)


@pytest.mark.parametrize(("format", "rows"), KINDS)
def test_too_many_misfits_fail_where_that_is_wanted(
    format: str, rows: list[Any], executor: Executor
) -> None:
    with pytest.raises(JobFailed):
        played(format, rows, executor, on_drift="fail")


def test_rows_for_which_there_is_no_memory_are_not_misfits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(rows: Any, columns: Any) -> Any:
        raise MemoryError("malloc of size 64 failed")

    monkeypatch.setitem(drift.READERS, "rows", full)
    with pytest.raises(JobFailed, match="malloc of size 64 failed"):
        played("rows", ROWS, InlineExecutor())


def test_functions_that_raise_still_fail_a_batch(executor: Executor) -> None:
    rows = [*JSON, *["x"] * 3]
    with ManualContext("1s", executor=executor) as ssc:
        lines = ssc.queue_stream([rows]).map(lambda line: line if line > "x" else 1 / 0)
        collected(lines.to_frame(COLUMNS, "json"))
        ssc.start()
        ssc.advance("1s")
        with pytest.raises(JobFailed, match="ZeroDivisionError"):
            ssc.await_termination(timeout=0)


def test_a_context_that_raises_does_not_leave_out() -> None:
    with ManualContext("1s", on_error="raise") as ssc:
        collected(ssc.queue_stream([JSON]).to_frame(COLUMNS, "json"))
        ssc.start()
        ssc.advance("1s")
        with pytest.raises(JobFailed):
            ssc.await_termination(timeout=0)


@pytest.mark.parametrize(
    ("format", "rows"),
    [("json", ['{"k": "a", "new": 2}', "no json"]), ("rows", [{"k": "a", "new": 2}])],
)
def test_new_fields_are_ignored_and_logged_once(
    format: str, rows: list[Any], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift, "_noted", set())
    with ManualContext("1s") as ssc, caplog.at_level(logging.WARNING):
        found = collected(ssc.queue_stream([rows] * 3).to_frame(COLUMNS, format))
        ssc.start()
        ssc.advance("3s")
    assert found == [[{"k": "a", "n": None}]] * 3
    assert [record.args for record in caplog.records] == [("new",)]


def test_there_is_no_other_policy() -> None:
    with (
        ManualContext() as ssc,
        pytest.raises(DefinitionError, match="on_drift is one of skip, fail"),
    ):
        ssc.queue_stream().to_frame(COLUMNS, on_drift="ignore")
