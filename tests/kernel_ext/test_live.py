"""What becomes of a stream's events in its view."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from livebatch.block import BlockRef, encode
from livebatch.engine.store import MemoryStore, SharedMemoryStore
from livebatch.events import BadRecords, Batch, BatchFailed, SourceState
from livebatch.failure import Failure, Frame, render
from livebatch.kernel_ext.live import KEPT, LiveStream, inputs_of
from livebatch.stream import DStream, Input, lift
from livebatch.testing import ManualContext
from livebatch.widgets import Errors, Figures

FAILURE = Failure("ZeroDivisionError", "division by zero", (Frame("cell", 2, "f", "1 / 0"),))


class Seen:
    """A view that remembers what it was told."""

    def __init__(self) -> None:
        self.tables: list[tuple[datetime, pa.Table]] = []
        self.line: tuple[str, str] = ("", "")
        self.error: str | None = None
        self.bad: Errors | None = None
        self.figures: Figures | None = None

    def push(self, time: datetime, table: pa.Table) -> None:
        self.tables.append((time, table))

    def status(self, text: str, level: str = "ok", figures: Figures | None = None) -> None:
        self.line = text, figures.verdict[0] if figures else level
        self.figures = figures

    def errors(self, errors: Errors | None) -> None:
        self.bad = errors

    def fail(self, text: str | None) -> None:
        self.error = text

    @property
    def rows(self) -> list[list[dict[str, Any]]]:
        return [table.to_pylist() for _, table in self.tables]


class Case:
    """One stream and its view."""

    def __init__(self, past: bool = True, store: Any = None) -> None:
        self.stream: DStream[Any] = Input((), 1000, "queue", {})
        self.stream.name = "s"
        self.view = Seen()
        self.store = store or MemoryStore()
        self.printed: list[str] = []
        self.live = self.follow(self.stream, past)

    def follow(self, stream: DStream[Any], past: bool = True) -> LiveStream:
        view: Any = self.view
        return LiveStream(stream, view, past, self.store, render, self.printed.append)

    def batch(self, time: int, *parts: list[Any], **known: Any) -> Batch:
        blocks = [self.store.put(encode(rows), f"b{time}.{i}") for i, rows in enumerate(parts)]
        count = sum(len(rows) for rows in parts)
        made = {"output": "o", "name": "s", "rdd": f"{self.stream.id}@{time}"} | known
        return Batch(time=time, blocks=tuple(blocks), rows=count, **made)

    def settle(self, time: int, *parts: list[Any], **known: Any) -> None:
        self.live.settled(self.batch(time, *parts, **known))

    def refresh(self, *states: SourceState) -> Seen:
        self.live.refresh({state.stream: state for state in states})
        return self.view


@pytest.fixture
def case() -> Case:
    return Case()


def test_the_partitions_of_a_batch_are_one_table(case: Case) -> None:
    case.settle(1000, [("a", 1)], [], [("b", 2)])
    [table] = case.refresh().rows
    assert table == [{"_1": "a", "_2": 1}, {"_1": "b", "_2": 2}]


@pytest.mark.parametrize(
    ("parts", "values"),
    [
        (([1], [2.5]), [1.0, 2.5]),
        (([1], ["a"]), ["1", "'a'"]),
        (([1], [None]), [1, None]),
        (([{1, 2}], [3]), ["{1, 2}", "3"]),
    ],
)
def test_partitions_of_different_types(case: Case, parts: Any, values: list[Any]) -> None:
    case.settle(1000, *parts)
    [table] = case.refresh().rows
    assert [row["value"] for row in table] == values


def test_an_empty_batch_has_the_columns_of_those_before(case: Case) -> None:
    case.settle(1000)
    case.settle(2000, [("a", 1)])
    case.settle(3000)
    tables = [table for _, table in case.refresh().tables]
    assert [table.num_rows for table in tables] == [1, 0], "what was unknown is not shown"
    assert tables[0].schema == tables[1].schema


def test_a_block_that_is_gone_is_skipped(tmp_path: Path) -> None:
    case = Case(store=SharedMemoryStore(tmp_path, 1 << 30))
    big = ["x" * 100] * 1000
    batch = case.batch(1000, big, ["y"])
    assert (tmp_path / "b1000.0").exists()
    case.store.delete("b1000.0")
    case.live.settled(batch)
    [table] = case.refresh().rows
    assert table == [{"value": "y"}]


def test_a_block_in_shared_memory_is_not_copied(tmp_path: Path) -> None:
    case = Case(store=SharedMemoryStore(tmp_path, 1 << 30))
    before = pa.total_allocated_bytes()
    case.settle(1000, list(range(100_000)))
    case.refresh()
    assert case.view.tables[0][1].num_rows == 100_000
    assert pa.total_allocated_bytes() - before < 100_000


@pytest.mark.parametrize(("past", "expected"), [(True, KEPT), (False, 1)])
def test_a_view_that_is_behind_takes_the_newest(past: bool, expected: int) -> None:
    case = Case(past)
    for i in range(1, KEPT + 50):
        case.settle(1000 * i, [i])
    rows = case.refresh().rows
    assert len(rows) == expected
    assert rows[-1] == [{"value": KEPT + 49}]


def test_batches_of_others_are_not_shown(case: Case) -> None:
    case.settle(1000, [1], name="t")
    case.settle(2000, [2], rdd="another@2000")
    case.settle(3000, [3], name=None)
    assert case.refresh().rows == []


def test_a_stream_that_another_notebook_replaces_is_followed(case: Case) -> None:
    case.settle(1000, [0], rdd="before@1000")
    case.settle(2000, [1])
    case.settle(3000, [2], rdd="after@3000")
    assert [table[0]["value"] for table in case.refresh().rows] == [1, 2]


def test_a_view_is_told_when_there_is_something_to_tell(case: Case) -> None:
    assert not case.live.stale
    case.settle(1000, [1])
    assert case.live.stale
    case.refresh()
    case.settle(2000, [1], name="t")
    assert not case.live.stale
    case.live.failed(BatchFailed("foreach", "s", 3000, FAILURE))
    assert case.live.stale
    case.refresh()
    case.settle(3000, [1], output="foreach", name=None)
    assert case.live.stale


def test_each_batch_is_shown_once_and_in_order(case: Case) -> None:
    for time in (1000, 3000, 2000, 3000, 4000):
        case.settle(time, [time])
    assert [table[0]["value"] for table in case.refresh().rows] == [1000, 3000, 4000]


def test_of_an_attached_stream_only_the_name_is_known() -> None:
    case = Case()
    stream: DStream[Any] = DStream((), 1000)
    stream.name = "s"
    live = case.follow(stream)
    live.settled(case.batch(1000, [1]))
    live.refresh({})
    assert case.view.rows == [[{"value": 1}]]


@pytest.mark.parametrize(("delay", "level"), [(18, "ok"), (700, "ok"), (701, "warn")])
def test_the_status_of_a_batch(case: Case, delay: int, level: str) -> None:
    case.settle(1000, [1, 2], delay=delay)
    text, said = case.refresh().line
    assert text.endswith(f" · 2 rows · {delay} ms")
    assert said == level


def test_the_figures_of_a_batch(case: Case) -> None:
    case.settle(1000, [1, 2], read=1000, delay=300, began=100)
    assert case.refresh().figures == Figures(1000, 1000, 2, 1000, 200, 100, 0)
    case.settle(2000, [1, 2], delay=300)
    figures = case.refresh().figures
    assert figures is not None
    assert figures.read is None, "its source does not tell"
    case.live.ended("stopped")
    assert case.refresh().figures is None


def test_bad_records_are_counted_and_explained(case: Case) -> None:
    samples = tuple(Failure("ValueError", f"no {i}", (), f"'{i}'") for i in range(5))
    case.settle(1000, [1], bad=BadRecords(5, 1000, samples))
    assert case.refresh().line[0].endswith("1 row · 0 ms · 5 bad records")
    frames = (Frame("cell", 2, "f", "1 / 0"),)
    other = Failure("ZeroDivisionError", "division by zero", frames, "0")
    case.settle(2000, [1], bad=BadRecords(200, 1000, (other,)))
    case.settle(3000, [1])
    view = case.refresh()
    assert view.bad is not None
    assert (view.bad.count, view.bad.seen) == (205, 2000)
    newest, older = view.bad.kinds
    assert (newest.error, newest.where) == (
        "ZeroDivisionError: division by zero",
        'File "cell", line 2, in f',
    )
    assert "1 / 0" in newest.traceback
    assert (older.times, older.error, older.records[-1]) == (5, "ValueError: no 4", "'4'")
    assert view.figures is not None
    assert view.figures.errors == 205
    assert view.error is None, "no batch has failed"


def test_a_failed_batch_shows_until_the_next_good_one(case: Case) -> None:
    case.settle(1000, [1])
    case.live.failed(BatchFailed("o", "s", 2000, FAILURE))
    view = case.refresh()
    assert view.line[0].endswith(" · failed")
    assert view.line[1] == "error"
    assert view.error == render(FAILURE)
    case.settle(3000, [1])
    view = case.refresh()
    assert view.line[1] == "ok"
    assert view.error is None


def test_an_output_of_the_stream_that_fails_is_cleared_by_its_own_next_batch(case: Case) -> None:
    case.settle(1000, [1])
    case.live.failed(BatchFailed("foreach", "s", 2000, FAILURE))
    case.settle(2000, [1])
    assert case.refresh().error == render(FAILURE)
    case.settle(3000, [1], output="foreach", name=None)
    assert case.refresh().error is None


def test_failures_of_the_stream_that_had_the_name_before_do_not_stay(case: Case) -> None:
    case.live.failed(BatchFailed("old", "s", 1000, FAILURE))
    assert case.refresh().error is not None
    case.settle(2000, [1])
    case.live.failed(BatchFailed("old", "s", 1500, FAILURE))
    assert case.refresh().error is None


def test_one_failure_of_two_outputs_is_told_once(case: Case) -> None:
    for output in ("o", "foreach"):
        case.live.failed(BatchFailed(output, "s", 2000, FAILURE))
    assert case.refresh().error == render(FAILURE)


def test_the_state_of_its_source(case: Case) -> None:
    case.settle(1000, [])
    here = case.stream.id
    assert case.refresh(SourceState(here, "connecting")).line == ("connecting…", "warn")
    detail = "cannot connect to h:1; trying again in 1 s"
    view = case.refresh(SourceState(here, "stopped", detail))
    assert view.line == (f"stopped: {detail}", "error")
    assert case.refresh(SourceState("another", "stopped")).line[1] == "ok"
    assert case.refresh(SourceState(here, "receiving")).line[0].endswith("0 rows · 0 ms")


def test_what_functions_print_is_printed(case: Case) -> None:
    case.settle(1000, [1], printed="one")
    case.settle(1000, [1], printed="the same batch")
    case.settle(2000, [1], name="t", printed="another stream")
    case.live.failed(BatchFailed("o", "s", 3000, FAILURE, "two"))
    assert case.printed == ["one", "two"]


def test_what_has_ended_says_so(case: Case) -> None:
    case.settle(1000, [1])
    case.live.ended("stopped")
    assert case.refresh().line == ("stopped", "warn")


def test_the_inputs_of_a_stream_are_those_of_now() -> None:
    with ManualContext("1s") as ssc:
        lines, other = ssc.queue_stream(), ssc.queue_stream()
        ssc.register("lines", lines)
        words = lift(lines, "glom").union(other)
        assert inputs_of(words) == {lines.id, other.id}
        newer = ssc.register("lines", ssc.queue_stream())
        assert inputs_of(words) == {newer.id, other.id}


def test_a_reference_without_data_is_no_table(case: Case) -> None:
    case.live.settled(case.batch(1000))
    case.live.settled(
        Batch("o", "s", 2000, f"{case.stream.id}@2000", (BlockRef("gone", 1, 99_999, "arrow"),), 1)
    )
    assert case.refresh().rows == []
