"""Recordings in memory and in files of every format, played at every speed."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import csv, parquet

from livebatch.closures import Builtin, load
from livebatch.errors import DefinitionError, SourceError
from livebatch.sources import source
from livebatch.sources.inline import LARGEST
from livebatch.sources.replay import Source
from livebatch.testing import START, ManualContext, collected

NOON = datetime(2024, 2, 29, 12)


def at(*seconds: float) -> pa.Table:
    """Rows numbered in the order given, at so many seconds after noon."""
    times = [NOON + timedelta(seconds=s) for s in seconds]
    return pa.table({"at": pa.array(times, pa.timestamp("us")), "n": range(len(seconds))})


def make(data: Any, time_column: str = "at", **options: Any) -> Source:
    """A source, as the engine makes it of options that have travelled."""
    made = source("replay", {"data": data, "time_column": time_column, **options})
    travelled = msgspec.msgpack.decode(msgspec.msgpack.encode(msgspec.to_builtins(made)))
    again = source("replay", travelled)
    assert again == made
    assert isinstance(again, Source)
    return again


def played(made: Source, times: list[int]) -> list[list[dict[str, Any]]]:
    """The rows of batches so many milliseconds after the start."""
    readers, offsets = made.plan(None, START)
    assert readers == []
    batches = []
    for time in times:
        offsets = msgspec.msgpack.decode(msgspec.msgpack.encode(offsets))
        planned, after = made.plan(offsets, START + time)
        assert made.plan(offsets, START + time) == (planned, after)
        readers = msgspec.msgpack.decode(msgspec.msgpack.encode(planned), type=list[Builtin])
        tables = [load(reader)() for reader in readers]
        assert all(table.schema == made.schema for table in tables)
        batches.append([row for table in tables for row in table.to_pylist()])
        offsets = after
    return batches


def numbers(batches: list[list[dict[str, Any]]]) -> list[list[int]]:
    return [[row["n"] for row in batch] for batch in batches]


def test_rows_come_as_they_came() -> None:
    made = make(at(0, 0.5, 1, 1.001, 2.5))
    assert numbers(played(made, [1000, 2000, 3000, 4000])) == [[0, 1, 2], [3], [4], []]


def test_faster_and_slower() -> None:
    rows = at(0, 1, 2, 3, 4)
    assert numbers(played(make(rows, speed=2), [1000, 2000, 3000])) == [[0, 1, 2], [3, 4], []]
    assert numbers(played(make(rows, speed=0.5), [1000, 2000, 4000])) == [[0], [1], [2]]


def test_a_late_batch_has_all_that_is_due() -> None:
    assert numbers(played(make(at(0, 1, 2, 3)), [2500, 2500, 9000])) == [[0, 1, 2], [], [3]]


def test_rows_are_put_in_order_and_rows_of_one_time_stay_as_they_are() -> None:
    assert numbers(played(make(at(2, 0, 1, 0, 2)), [500, 2000])) == [[1, 3], [2, 0, 4]]


def test_as_fast_as_it_goes() -> None:
    made = make(at(3, 0, 100, 7, 5000), speed="max", rows_per_batch=2)
    assert numbers(played(made, [1, 2, 3, 4])) == [[1, 0], [3, 2], [4], []]


def test_a_second_round_is_later_by_the_length_of_the_first() -> None:
    made = make(at(0, 1, 3), loop=True)  # and a pause of 1.5 s
    batches = played(made, [3000, 4499, 4500, 7500, 13_500])
    assert numbers(batches) == [[0, 1, 2], [], [0], [1, 2], [0, 1, 2, 0]]
    after = [[(row["at"] - NOON).total_seconds() for row in batch] for batch in batches]
    assert after == [[0, 1, 3], [], [4.5], [5.5, 7.5], [9, 10, 12, 13.5]]


def test_rounds_as_fast_as_it_goes() -> None:
    batches = played(make(at(0, 1, 3), speed="max", rows_per_batch=4, loop=True), [1, 2])
    assert numbers(batches) == [[0, 1, 2, 0], [1, 2, 0, 1]]
    after = [[(row["at"] - NOON).total_seconds() for row in batch] for batch in batches]
    assert after == [[0, 1, 3, 4.5], [5.5, 7.5, 9, 10]]


seconds = st.lists(st.integers(0, 20_000).map(lambda ms: ms / 1000), min_size=1, max_size=12)
steps = st.lists(st.integers(1, 5000), min_size=1, max_size=8)


@given(seconds, steps, st.sampled_from([0.25, 1, 2.5, 16]), st.booleans())
def test_against_an_oracle(given: list[float], steps: list[int], speed: float, loop: bool) -> None:
    """Each row of each round comes with the first batch at or after its time."""
    made = make(at(*given), speed=speed, loop=loop)
    first, span = min(given), max(given) - min(given)
    pause = span / (len(given) - 1) if span else 1
    period = -(-round((span + pause) * 1e7) // 10) / 1e6
    times = [sum(steps[: i + 1]) for i in range(len(steps))]
    rounds = int(times[-1] / 1000 * speed / period) + 2 if loop else 1
    rows = [
        (number * period + s - first, number, i)
        for number in range(rounds)
        for s, i in sorted((s, i) for i, s in enumerate(given))
    ]
    before, expected = -1.0, []
    for time in times:
        now = time / 1000 * speed
        expected.append([i for due, _, i in rows if before + 1e-9 < due <= now + 1e-9])
        before = now
    assert numbers(played(made, times)) == expected


def write_arrow(table: pa.Table, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def write_json(table: pa.Table, path: Path) -> None:
    path.write_text("".join(f"{msgspec.json.encode(row).decode()}\n" for row in table.to_pylist()))


WRITERS: dict[str, Any] = {
    "csv": csv.write_csv,
    "jsonl": write_json,
    "parquet": parquet.write_table,
    "arrow": write_arrow,
}


@pytest.mark.parametrize("suffix", WRITERS)
def test_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"recording.{suffix}"
    WRITERS[suffix](at(2, 0, 1), path)
    for data in (path, str(path), path.as_uri()):
        made = make(data, loop=True)
        assert made.schema == at(0).schema
        assert numbers(played(made, [1000, 2000, 3000])) == [[1, 2], [0], [1]]


def test_a_file_that_changes_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "recording.parquet"
    parquet.write_table(at(0, 1), path)
    made = make(path)
    parquet.write_table(at(0, 1, 2), path)
    os.utime(path, ns=(0, 1))
    with pytest.raises(SourceError, match="is not what it was when the stream was defined"):
        played(made, [1000])


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"cannot read .*gone\.csv \(no such file"):
        make(tmp_path / "gone.csv")


def test_a_data_frame_with_times_as_its_index() -> None:
    index = pd.date_range(
        "2024-02-29 12:00", periods=4, freq="500ms", tz="Europe/Berlin", name="at"
    )
    frame = pd.DataFrame({"n": range(4), "kind": pd.Categorical(list("abab"))}, index=index)
    batches = played(make(frame), [500, 1500])
    assert numbers(batches) == [[0, 1], [2, 3]]
    assert batches[0][0]["at"] == datetime(2024, 2, 29, 11, tzinfo=UTC)
    assert [row["kind"] for row in batches[1]] == ["a", "b"]


@pytest.mark.parametrize(
    ("times", "period"),
    [
        ([10, 11, 13], 5),
        (pa.array([10, 11, 13], pa.int16()), 5),
        (np.array([10.0, 10.25, 10.5]), 0.75),
        (pa.array([10, 11, 13], pa.timestamp("s")), timedelta(seconds=5)),
        (pa.array([10_000, 11_000, 13_000], pa.timestamp("ms", "UTC")), timedelta(seconds=4.5)),
        (pa.array([10**10, 11 * 10**9, 13 * 10**9], pa.timestamp("ns")), timedelta(seconds=4.5)),
        ([date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 2)], timedelta(days=5)),
    ],
)
def test_rounds_of_all_kinds_of_times(times: Any, period: Any) -> None:
    """Times go on by the period, which is rounded up to what their type can say."""
    made = make({"at": times, "n": [0, 1, 2]}, loop=True, speed="max", rows_per_batch=6)
    seconds = period.total_seconds() if isinstance(period, timedelta) else period
    assert made.recording.period == seconds * 1e6
    (batch,) = played(made, [1])
    assert [row["n"] for row in batch] == [0, 1, 2] * 2
    assert [batch[i + 3]["at"] - batch[i]["at"] for i in range(3)] == [period] * 3
    (batch,) = played(make({"at": times, "n": [0, 1, 2]}, speed=seconds), [1000])
    assert [row["n"] for row in batch] == [0, 1, 2]


def test_times_in_numbers_that_are_no_seconds_are_refused() -> None:
    with pytest.raises(DefinitionError, match='"at" holds what is no time'):
        make({"at": [1_709_208_000_000_000_000]})
    with pytest.raises(DefinitionError, match='"at" holds what is no time'):
        make({"at": [1.0, float("nan")]})


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"at": ["noon"]}, 'must be of times, dates, or numbers of seconds, but is of type string'),
        ({"at": [1, None]}, '1 rows have no "at"'),
        ({"at": pa.array([], pa.int64())}, "there are no rows"),
        ({"when": [1]}, 'there is no column "at" in the data; there are when'),
        ({}, "at least one column"),
        (3, "data must be the path of a file or a table, not int"),
        ("recording.xls", "does not tell its format"),
        (pa.table({"at": range(2_000_000), "x": np.random.default_rng(1).random(2_000_000)}),
         "MB, more than the 8 MB"),
    ],
    ids=range(8),
)  # fmt: skip
def test_what_cannot_be_played_is_refused(data: Any, why: str) -> None:
    with pytest.raises(DefinitionError, match=why):
        make(data)


@pytest.mark.parametrize(
    ("option", "value"),
    [("speed", s) for s in (0, -1, float("inf"), float("nan"), "fast", True, None)]
    + [("rows_per_batch", n) for n in (0, 1.5, True)],
)
def test_what_is_no_option_is_refused(option: str, value: Any) -> None:
    with pytest.raises(DefinitionError, match=f"{option} must be"):
        make(at(0, 1), **{option: value})


def test_rounds_that_would_never_end_are_refused() -> None:
    with pytest.raises(DefinitionError, match="less than a millisecond"):
        make(at(0, 1), speed=1e9, loop=True)


def test_data_in_memory_travel_compressed() -> None:
    made = make({"at": range(1_000_000), "x": np.zeros(1_000_000)})
    assert len(made.data) < LARGEST


def test_a_stream_under_a_manual_clock(tmp_path: Path) -> None:
    parquet.write_table(at(0, 0.3, 0.9, 1.5), tmp_path / "a.parquet")
    with ManualContext("500ms") as ssc:
        stream = ssc.replay(tmp_path / "a.parquet", "at")
        got = collected(stream.map(lambda row: row["n"]))
        ssc.start()
        ssc.advance("1500ms")
    assert got == [[0, 1], [2], [3]]
