"""Pull sources that may not give all that is new at once."""

from __future__ import annotations

import gzip
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from livebatch.clock import SystemClock
from livebatch.closures import load
from livebatch.engine.log import Allocated, MemoryLog
from livebatch.rowtables import table_rows
from livebatch.sources import PullSource, source
from livebatch.testing import ManualContext, collected

START = SystemClock().now()


def plan_all(made: Any, limits: list[int | None], write: Callable[[], object]) -> list[list[Any]]:
    """What batches give, with these limits, of what was written after the first plan."""
    assert isinstance(made, PullSource)
    _, offsets = made.plan(None, START)
    write()
    batches = []
    for number, limit in enumerate(limits, 1):
        readers, offsets = made.plan(offsets, START + 100 * number, limit)
        offsets = msgspec.msgpack.decode(msgspec.msgpack.encode(offsets))
        batches.append([row for reader in readers for row in rows(load(reader)())])
    return batches


def rows(found: Any) -> list[Any]:
    return table_rows(found) if isinstance(found, pa.Table) else list(found)


def put(path: Path, data: bytes, age: float = 0) -> None:
    path.write_bytes(data)
    os.utime(path, ns=(ns := int((START / 1000 - age) * 1e9), ns))


lines = st.lists(st.text("abé ", max_size=8), max_size=30)


@given(st.lists(lines, max_size=4), st.lists(st.integers(1, 20), max_size=30))
def test_lines_come_in_order_whatever_the_limits(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[str]], limits: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("lines")

    def write() -> None:
        for number, content in enumerate(files):
            text = "".join(f"{line}\n" for line in content)
            put(folder / f"{number}.txt", text.encode(), age=10 - number)

    made = source("text_file_stream", {"directory": folder})
    batches = plan_all(made, [*limits, None], write)
    assert [line for batch in batches for line in batch] == [x for part in files for x in part]


def test_a_large_file_is_read_in_parts_of_about_the_limit(tmp_path: Path) -> None:
    text = "".join(f"{n:09d}\n" for n in range(10_000)).encode()
    made = source("text_file_stream", {"directory": tmp_path})
    batches = plan_all(made, [1000] * 10 + [None], lambda: put(tmp_path / "a", text))
    assert [len(batch) for batch in batches] == [1000] * 10 + [0]
    assert batches[3][0] == "000003000"


def test_what_cannot_be_divided_is_read_whole(tmp_path: Path) -> None:
    def write() -> None:
        for number in range(3):
            text = "".join(f"{n}\n" for n in range(1000)).encode()
            put(tmp_path / f"{number}.gz", gzip.compress(text), age=10 - number)

    made = source("text_file_stream", {"directory": tmp_path})
    batches = plan_all(made, [10, 10, 10, 10], write)
    assert [len(batch) for batch in batches] == [1000, 1000, 1000, 0]


def test_records_are_counted(tmp_path: Path) -> None:
    def write() -> None:
        put(tmp_path / "a", bytes(range(10)), age=10)
        put(tmp_path / "b", bytes(range(10, 16)))

    made = source("binary_records_stream", {"directory": tmp_path, "record_length": 2})
    batches = plan_all(made, [3, 3, None], write)
    assert [len(batch) for batch in batches] == [3, 3, 2]
    assert b"".join(record for batch in batches for record in batch) == bytes(range(16))


def test_parquet_files_are_read_by_row_groups_and_others_whole(tmp_path: Path) -> None:
    table = pa.table({"n": range(100)})

    def write() -> None:
        for number in range(2):
            path = tmp_path / "p" / f"{number}.parquet"
            parquet.write_table(table, path, row_group_size=10)
            put(path, path.read_bytes(), age=10 - number)
            text = b"n\n" + b"".join(b"%d\n" % n for n in range(100))
            put(tmp_path / "c" / f"{number}.csv", text, age=10 - number)

    for folder, kind, sizes in (
        ("p", "parquet", [30, 10, 80, 80, 0]),
        ("c", "csv", [100, 100, 0, 0, 0]),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / ("c" if folder == "p" else "p")).mkdir(exist_ok=True)
        options = {"directory": tmp_path / folder, "format": kind, "schema": {"n": "BIGINT"}}
        batches = plan_all(source("file_stream", options), [35, 5, 80, None, None], write)
        assert [len(batch) for batch in batches] == sizes
        assert [row["n"] for batch in batches for row in batch] == [*range(100)] * 2
        for path in tmp_path.glob("*/*"):
            path.unlink()


def test_a_file_that_cannot_be_measured_fails_its_batch_alone(tmp_path: Path) -> None:
    options = {"directory": tmp_path, "format": "parquet", "schema": {"n": "BIGINT"}}
    made = source("file_stream", options)
    _, offsets = made.plan(None, START)  # type: ignore[union-attr]
    put(tmp_path / "a.parquet", b"none", age=5)
    put(tmp_path / "b.parquet", b"none")
    for name in ("a", "b"):
        (reader,), offsets = made.plan(offsets, START + 1, 1)  # type: ignore[union-attr]
        assert name in reader.args[0]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("kind", "options", "sizes"),
    [
        ("rate_stream", {"rows_per_second": 100}, [3, 3, 24, 10]),
        ("replay", {"time_column": "s", "speed": "max", "rows_per_batch": 7}, [3, 3, 7, 7]),
        ("replay", {"time_column": "s", "speed": 100}, [3, 3, 25, 10]),
    ],
)
def test_others_give_the_rest_later(kind: str, options: dict[str, Any], sizes: list[int]) -> None:
    if kind == "replay":
        options = {**options, "data": {"s": list(range(100))}}
    batches = plan_all(source(kind, options), [3, 3, None, None], lambda: None)
    assert [len(batch) for batch in batches] == sizes
    values = [next(iter(row.values())) for batch in batches for row in batch]
    assert values == list(range(len(values)))


def slowly(rows: Any) -> Iterator[Any]:
    """Take a millisecond of the manual clock for each five rows."""
    found = list(rows)
    sys.modules[CLOCK].clock.advance(len(found) // 5)
    return iter(found)


CLOCK = "clock_of_limits"


@pytest.mark.parametrize("kind", ["rate", "lines"])
def test_an_engine_that_falls_behind_limits_its_source(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ManualContext("1s", log=(log := MemoryLog())) as ssc:
        place: Any = ModuleType(CLOCK)
        place.clock = ssc.clock
        monkeypatch.setitem(sys.modules, CLOCK, place)
        if kind == "rate":
            values = ssc.rate_stream(20_000).map(lambda row: row["value"])
        else:
            values = ssc.text_file_stream(tmp_path).map(int)
        batches = collected(ssc.register("slow", values.map_partitions(slowly)))
        ssc.start()
        for number in range(40):
            text = "".join(f"{n:09d}\n" for n in range(number * 10_000, (number + 1) * 10_000))
            put(tmp_path / f"{number:02d}", text.encode(), age=100 - number)
            ssc.clock.advance(max(0, ssc.stepped.engine.tick - ssc.clock.now()))
            ssc.stepped.run()
        limit = ssc.status().streams[0].input.limit
        logged = [entry for entry in log.entries if isinstance(entry, Allocated)]
    assert limit == pytest.approx(5000, rel=0.1)
    rows = [row for batch in batches for row in batch]
    assert rows == list(range(len(rows)))
    assert all(len(batch) == pytest.approx(5000, rel=0.15) for batch in batches[-10:])
    assert len({str(entry.inputs) for entry in logged[-10:]}) == 10


def test_no_limit_where_it_is_off(tmp_path: Path) -> None:
    with ManualContext("1s", backpressure=False) as ssc:
        lines = ssc.text_file_stream(tmp_path)
        ssc.register("lines", lines)
        ssc.start()
        control = ssc.stepped.engine.intake.backpressure
        control._throttle(lines.id).rate = 500.0
        assert control.limit(lines.id) is None
        assert ssc.status().streams[0].input.limit is None
