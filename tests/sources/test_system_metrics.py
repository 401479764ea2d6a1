"""Measurements of the machine that the tests run on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import psutil
import pyarrow as pa
import pytest

from livebatch.errors import DefinitionError
from livebatch.sources import source
from livebatch.sources import system_metrics as module
from livebatch.sources.system_metrics import MACHINE, PROCESSES, Machine, Processes
from tests.sources.collector import running

RATES = ("disk_read", "disk_write", "net_sent", "net_received")


@pytest.fixture
def busy() -> Iterator[psutil.Process]:
    """A process that does nothing but compute."""
    command = [sys.executable, "-c", "print(flush=True)\nwhile True: pass"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        yield psutil.Process(process.pid)
        process.kill()


def test_rows_of_one_schema_in_an_even_rhythm() -> None:
    metrics = source("system_metrics", {"every": "100ms"})
    with running(metrics) as collector:
        collector.wait_for(lambda c: len(c.emitted) >= 8)
    assert collector.error is None
    assert {table.num_rows for table in collector.emitted} == {1}
    table = pa.concat_tables(collector.emitted)
    assert table.schema == metrics.schema == MACHINE
    for row in table.to_pylist():
        assert 0 <= row["cpu"] <= 100
        assert 0 < row["memory"] <= 100
        assert 0 < row["memory_used"] <= psutil.virtual_memory().total
        assert all(row[name] >= 0 for name in (*RATES, "load"))
    times = table["time"].to_pylist()
    assert times == sorted(times)
    assert times[7] - times[0] >= timedelta(seconds=0.65)
    assert abs(times[0] - datetime.now(UTC)) < timedelta(minutes=1)


def test_the_first_row_does_not_wait_for_a_long_interval() -> None:
    with running(source("system_metrics", {"every": "1h"})) as collector:
        collector.wait_for(lambda c: len(c.emitted) == 1)
    assert collector.reports == [("receiving", "every 1h")]


class Waits:
    """A receiver that says how long it was asked to wait, and is held up now and then."""

    def __init__(self, clock: SimpleNamespace, rows: int, emitting: float) -> None:
        self.clock, self.rows, self.emitting = clock, rows, emitting
        self.times: list[float] = []

    def emit(self, records: pa.Table) -> None:
        self.times.append(round(self.clock.now, 6))
        self.clock.now += self.emitting

    def report(self, state: str, detail: str = "") -> None:
        pass

    def stopping(self, seconds: float = 0.0) -> bool:
        self.clock.now += seconds
        return len(self.times) == self.rows


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The time that `livebatch.clock` reads."""
    clock = SimpleNamespace(now=0.0)
    for name in ("time", "monotonic", "perf_counter"):
        monkeypatch.setattr(f"livebatch.clock.time.{name}", lambda: clock.now)
    return clock


@pytest.mark.parametrize(
    ("emitting", "times"),
    [(0.05, [0.1, 1.0, 2.0, 3.0, 4.0]), (0.9, [0.1, 2.0, 3.0, 4.0, 5.0])],
)
def test_the_rhythm_does_not_drift(
    clock: SimpleNamespace, emitting: float, times: list[float]
) -> None:
    receiver = Waits(clock, 5, emitting)
    source("system_metrics", {}).run(receiver)
    assert receiver.times == times


def test_after_a_hold_up_readings_do_not_come_too_close(clock: SimpleNamespace) -> None:
    receiver = Waits(clock, 4, emitting=5.0)
    source("system_metrics", {}).run(receiver)
    assert receiver.times == [0.1, 5.2, 10.3, 15.4]


def test_rates_are_bytes_per_second(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = SimpleNamespace(read_bytes=1000, write_bytes=50)
    readings = iter([10.0, 12.0])
    monkeypatch.setattr(module, "stopwatch", lambda: next(readings))
    monkeypatch.setattr(psutil, "disk_io_counters", lambda: SimpleNamespace(**vars(disk)))
    machine = Machine()
    disk.read_bytes, disk.write_bytes = 1600, 0
    row = machine.rows()[0]
    assert (row["disk_read"], row["disk_write"]) == (300.0, 0.0)


def test_what_is_not_counted_is_nought(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_there() -> None:
        raise NotImplementedError

    monkeypatch.setattr(psutil, "net_io_counters", lambda: None)
    for disk in (lambda: None, not_there):
        monkeypatch.setattr(psutil, "disk_io_counters", disk)
        assert [Machine().rows()[0][name] for name in RATES] == [0, 0, 0, 0]


def test_the_busiest_processes_first(busy: psutil.Process) -> None:
    metrics = source("system_metrics", {"every": "200ms", "kind": "processes", "top": 3})

    def seen(collector: Any) -> bool:
        found = [row for table in collector.emitted for row in table.to_pylist()]
        return any(row["pid"] == busy.pid and row["cpu"] > 10 for row in found)

    with running(metrics) as collector:
        collector.wait_for(seen)
    assert {table.schema for table in collector.emitted} == {metrics.schema} == {PROCESSES}
    for table in collector.emitted:
        cpu = table["cpu"].to_pylist()
        assert len(cpu) == min(3, len(psutil.pids()))
        assert cpu == sorted(cpu, reverse=True)
        assert len(set(table["time"].to_pylist())) == 1
    row = next(r for t in collector.emitted for r in t.to_pylist() if r["pid"] == busy.pid)
    assert row["name"] == busy.name()
    assert 1 < row["memory_mb"] < 1000


def test_a_process_that_goes_between_readings_is_left_out(busy: psutil.Process) -> None:
    processes = Processes(top=10_000)
    assert busy.pid in [row["pid"] for row in processes.rows()]
    busy.kill()
    busy.wait()
    pids = [row["pid"] for row in processes.rows()]
    assert busy.pid not in pids
    assert os.getpid() in pids


def test_the_next_takes_the_place_of_one_that_goes_while_it_is_read(
    busy: psutil.Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = psutil.Process()
    busy.info, mine.info = {"cpu_percent": 99.0}, {"cpu_percent": None}
    monkeypatch.setattr(psutil, "process_iter", lambda attrs: [busy, mine])
    processes = Processes(top=1)
    busy.kill()
    busy.wait()
    row = processes.rows()[0]
    assert (row["pid"], row["cpu"]) == (mine.pid, 0.0)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"every": "99ms"}, "at least 100ms"),
        ({"every": "soon"}, "every"),
        ({"kind": "disk"}, "kind"),
        ({"top": 0}, "top"),
        ({"top": 1.5}, "top"),
    ],
)
def test_wrong_options_are_refused_where_they_are_written(
    options: dict[str, Any], what: str
) -> None:
    with pytest.raises(DefinitionError, match=what):
        source("system_metrics", options)


@pytest.mark.parametrize("every", ["1500ms", 1.5, timedelta(seconds=1.5)])
def test_options_come_back(every: Any) -> None:
    made = source("system_metrics", {"every": every, "kind": "processes", "top": 2})
    options = msgspec.to_builtins(made)
    assert options == {"every": "1500ms", "kind": "processes", "top": 2}
    assert source("system_metrics", options) == made
