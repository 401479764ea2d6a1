"""Streams that are written: what is there afterwards, however often it was written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livebatch.engine.executors.base import Executor
from livebatch.engine.executors.local import LocalExecutor
from livebatch.errors import DefinitionError, JobFailed
from livebatch.sinks import kinds
from livebatch.testing import ManualContext, collected
from tests.model.killing import KillingExecutor
from tests.sinks.places import Place, place

TABLES = ("csv", "delta", "json", "parquet", "sql")
BATCHES = [["a", "b", "c"], [], ["d"], [None, "é\"',ŝ", ""]]


def play(
    batches: Sequence[Sequence[Any]],
    write: Callable[[Any], Any],
    executor: Executor | None = None,
) -> list[list[Any]]:
    """Write batches, and return the receipts; a failed batch is raised."""
    with ManualContext("1s", executor=executor) as ssc:
        receipts = collected(write(ssc.queue_stream(batches)))
        ssc.start()
        ssc.advance(len(batches))
        ssc.await_termination(timeout=0)
    return receipts


@pytest.mark.parametrize("kind", kinds())
def test_all_rows_are_there_and_receipts_say_so(
    kind: str, tmp_path: Path, executor: Executor
) -> None:
    where = place(kind, tmp_path)
    receipts = play(BATCHES, where.write, executor)
    wanted = [row for batch in BATCHES for row in batch]
    assert Counter(where.values()) == Counter(map(str, wanted) if kind == "text" else wanted)
    assert [row["rows"] for (row,) in receipts] == [3, 0, 1, 3]
    files = [Path(file) for (row,) in receipts for file in row["files"]]
    assert sum(file.stat().st_size for file in files) == sum(row["bytes"] for (row,) in receipts)


@pytest.mark.parametrize("kind", kinds())
def test_a_program_that_is_run_again(kind: str, tmp_path: Path, executor: Executor) -> None:
    where = place(kind, tmp_path)
    batches = [["a", "b"], ["c"]]
    first = play(batches, lambda s: where.write(s, writer="this"), executor)
    once = Counter(where.values())
    again = play(batches, lambda s: where.write(s, writer="this"), executor)
    assert Counter(where.values()) == once == Counter("abc")
    assert [[row["files"] for row in batch] for batch in again] == [
        [row["files"] for row in batch] for batch in first
    ]
    play(batches, where.write, executor)  # somebody else
    assert Counter(where.values()) == once + once


@pytest.mark.process
@pytest.mark.parametrize("kind", ["parquet", "sql", "delta"])
@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moments=st.sets(st.integers(1, 12), min_size=1, max_size=3))
def test_workers_that_are_killed(
    kind: str, tmp_path_factory: Any, local: LocalExecutor, moments: set[int]
) -> None:
    where = place(kind, tmp_path_factory.mktemp("out"))
    batches = [[f"{batch}/{i}" for i in range(4)] for batch in range(4)]
    play(batches, where.write, KillingExecutor(local, moments))
    assert Counter(where.values()) == Counter(row for batch in batches for row in batch)


ROW = {
    "id": 1,
    "share": 0.5,
    "name": 'é\n"q",\'',
    "yes": True,
    "day": date(2026, 1, 2),
    "at": datetime(2026, 1, 1, 12, tzinfo=UTC),
    "price": Decimal("1.50"),
    "raw": b"abc",
    "tags": ["x", None],
    "place": {"lat": 1.5, "names": ["a"]},
    "absent": None,
    "none": {},
}
AS_TEXT = {
    "csv": {"raw": "abc", "tags": '["x", null]', "place": '{"lat": 1.5, "names": ["a"]}'},
    "json": {"day": "2026-01-02", "at": "2026-01-01 12:00:00.000000Z", "price": "1.50",
             "raw": "abc"},
    "sql": {"day": "2026-01-02", "at": "2026-01-01 12:00:00.000000", "price": 1.5, "yes": 1,
            "tags": '["x", null]', "place": '{"lat": 1.5, "names": ["a"]}'},
}  # fmt: skip


@pytest.mark.parametrize("kind", TABLES)
def test_values_of_all_types(kind: str, tmp_path: Path) -> None:
    where = place(kind, tmp_path)
    play([[ROW, {"id": 2}]], where.write)
    full, poor = sorted(where.read(), key=lambda row: row["id"])
    del full["none"]  # "{}", or a record without fields
    kept = {name: it for name, it in ROW.items() if it is not None and name != "none"}
    assert full == kept | AS_TEXT.get(kind, {})
    assert poor == {"id": 2}


@pytest.mark.parametrize("kind", TABLES)
def test_tuples_and_named_fields(kind: str, tmp_path: Path) -> None:
    where = place(kind, tmp_path)
    play([[("a", 1), ("b", None)]], where.write)
    assert sorted(where.read(), key=str) == [{"_1": "a", "_2": 1}, {"_1": "b"}]


@pytest.mark.parametrize("kind", [kind for kind in TABLES if kind != "sql"])
def test_columns_that_come_later(kind: str, tmp_path: Path) -> None:
    where = place(kind, tmp_path)
    play([[{"a": 1, "b": None}], [{"a": 2, "b": 5}], [{"c": "x"}]], where.write)
    assert sorted(where.read(), key=str) == [{"a": 1}, {"a": 2, "b": 5}, {"c": "x"}]


@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_a_column_whose_types_differ(kind: str, tmp_path: Path) -> None:
    where = place(kind, tmp_path)
    play([[{"a": 1}], [{"a": 1.5}]], where.write)
    assert [row["a"] for row in where.read()] == [1.0, 1.5]
    play([[{"a": "x"}]], where.write)
    assert {row["a"] for row in where.read()} == {"1", "1.5", "x"}


@pytest.mark.parametrize("kind", TABLES)
def test_a_frame(kind: str, tmp_path: Path, executor: Executor) -> None:
    where = place(kind, tmp_path)

    def write(stream: Any) -> Any:
        frame = stream.to_frame({"page": "VARCHAR", "ms": "BIGINT"})
        return where.write(frame.filter("ms > 1").select("page, ms / 2 AS half"))

    play([[("a", 1), ("b", 3)], [("c", None)], [("d", 4)]], write, executor)
    assert sorted(where.read(), key=str) == [
        {"page": "b", "half": 1.5},
        {"page": "d", "half": 2.0},
    ]


def test_a_stream_whose_function_raises_on_a_record(tmp_path: Path) -> None:
    where = place("parquet", tmp_path)
    numbers = list(range(-300, 300))
    play([numbers], lambda s: where.write(s.map(lambda n: (n, 100 // n))))
    assert len(where.read()) == 599  # it ran again, and what it had begun did not count


def test_a_batch_that_fails_does_not_count_and_those_after_it_do(tmp_path: Path) -> None:
    where = place("text", tmp_path)
    with pytest.raises(JobFailed, match="ZeroDivisionError"):
        play([[1, 2], [0, 0, 1], [4]], lambda s: where.write(s.map(lambda n: 4 // n)))
    assert sorted(where.values()) == ["1", "2", "4"]


def test_two_streams_in_one_folder(tmp_path: Path) -> None:
    where = place("json", tmp_path)

    def write(stream: Any) -> Any:
        where.write(stream.filter(lambda n: n > 0))
        return where.write(stream.filter(lambda n: n < 0))

    play([[1, -1], [2, -2]], write)
    assert sorted(where.values()) == [-2, -1, 1, 2]


def test_receipts_are_a_stream(tmp_path: Path) -> None:
    where = place("text", tmp_path)
    total = play([["a", "b"], ["c"]], lambda s: where.write(s).map(lambda receipt: receipt["rows"]))
    assert total == [[2], [1]]
    assert len(where.values()) == 3


def test_a_named_stream_goes_with_its_output(tmp_path: Path) -> None:
    where = place("text", tmp_path)
    with ManualContext("1s") as ssc:
        words = ssc.queue_stream([["a"], ["b"], ["c"]])
        with ssc.defining("saved"):
            ssc.register("saved", where.write(words))
        ssc.start()
        ssc.advance("1s")
        assert ssc.streams["saved"].latest().collect()[0]["rows"] == 1
        ssc.remove("saved")
        ssc.advance("2s")
    assert where.values() == ["a"]


@pytest.mark.parametrize("kind", kinds())
def test_a_writers_name_is_checked(kind: str, tmp_path: Path) -> None:
    where: Place = place(kind, tmp_path)
    with ManualContext() as ssc, pytest.raises(DefinitionError, match="writer is a name"):
        where.write(ssc.queue_stream(), writer="a/b")
