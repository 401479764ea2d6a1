"""%engine monitor: what its pictures are given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from livebatch.errors import EngineLost
from livebatch.events import EngineStatus, InputStatus, StreamStatus, TaskRun, TaskRuns
from livebatch.kernel_ext import monitor as module
from livebatch.kernel_ext.monitor import Monitor
from livebatch.testing import ManualContext
from livebatch.widgets import live
from tests.helpers import eventually
from tests.kernel_ext.notebook import Notebook, rows

STREAM = StreamStatus("s", 1000, 5, 10, 5000, 300, 0, None, rate=8.0, began=50, queued=2)


class Engine:
    """Says how it is doing, as told."""

    def __init__(self) -> None:
        self.status = self.at(0, (0.0, 0.0))
        self.gone = False

    def at(self, now: int, worked: tuple[float, ...], *streams: StreamStatus) -> EngineStatus:
        return EngineStatus(
            1000, True, now, tuple(range(len(worked))), streams, 3_000_000, 1, 7, worked=worked
        )

    def tasks(self, after: int) -> TaskRuns:
        """One task more each time, and one that runs."""
        ended = TaskRun(7, "s", "map(len)", self.status.now - 500.0, 0.25)
        return TaskRuns(after + 1, (ended, TaskRun(8, "", "", self.status.now - 50.0, None)))

    def __call__(self) -> EngineStatus:
        if self.gone:
            raise EngineLost("it is gone")
        return self.status


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setattr(module, "EVERY", 3600)
    return Engine()


@pytest.fixture
def monitor(engine: Engine) -> Iterator[Monitor]:
    monitor = Monitor(engine, engine.tasks)
    yield monitor
    monitor.close()


def newest(monitor: Monitor, title: str) -> Any:
    """What a picture was given last."""
    return lambda: dict(rows(live()[f"monitor · {title}"]))


def test_the_figures_of_streams_and_workers(engine: Engine, monitor: Monitor) -> None:
    monitor.look()
    engine.status = engine.at(2000, (0.5, 1.8), STREAM)
    monitor.look()
    for title, expected in {
        "rows/s": {"s": "8"},
        "batch time, % of the interval": {"s": "25"},
        "scheduling delay, ms": {"s": "50"},
        "waiting batches and jobs": {"batches": "2", "jobs at work": "1"},
        "workers, % of the time at work": {"worker 0": "25", "worker 1": "90"},
        "blocks, MB": {"in memory": "3", "on disk": "0", "waiting input": "0"},
    }.items():
        found = newest(monitor, title)
        eventually(lambda found=found, expected=expected: found() == expected)


def test_what_sources_are_limited_to_and_what_they_drop(engine: Engine, monitor: Monitor) -> None:
    for now, dropped in ((1000, 100), (3000, 700)):
        said = InputStatus("", 2500.0, 4_000_000, 8_000_000, dropped, "drop_oldest")
        engine.status = engine.at(now, (), msgspec.structs.replace(STREAM, input=said))
        monitor.look()
    rate, memory = newest(monitor, "rows/s"), newest(monitor, "blocks, MB")
    eventually(lambda: rate() == {"s": "8", "s: limit": "2,500", "s: dropped": "300"})
    eventually(lambda: memory().get("waiting input") == "4")


def test_the_tasks_that_have_ended_and_those_that_run(engine: Engine, monitor: Monitor) -> None:
    engine.status = engine.at(60_000, (0.0,))
    monitor.look()
    monitor.look()
    feed = live()["monitor · tasks"].view._feed
    eventually(lambda: (found := feed.rows()) is not None and found.num_rows == 3)
    *ended, running = feed.rows().to_pylist()
    assert {(row["lane"], row["name"], row["detail"], row["ms"]) for row in ended} == {
        ("worker 7", "s", "map(len)", 250.0)
    }
    assert (running["name"], running["ms"]) == ("jobs", None)
    assert monitor._count == 2


def test_a_worker_that_has_come_since_is_counted_from_nothing(
    engine: Engine, monitor: Monitor
) -> None:
    monitor.look()
    engine.status = engine.at(1000, (0.5, 0.0, 0.25))
    monitor.look()
    found = newest(monitor, "workers, % of the time at work")
    eventually(lambda: found() == {"worker 0": "50", "worker 1": "0", "worker 2": "25"})


def test_it_ends_with_its_views_and_when_the_engine_is_gone(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EVERY", 0.01)
    first = Monitor(engine, engine.tasks)
    first.close()
    assert not [key for key in live() if key.startswith("monitor")]
    second = Monitor(engine, engine.tasks)
    engine.gone = True
    eventually(lambda: not second._thread.is_alive())
    second.close()


def test_a_notebook_has_one_monitor(notebook: Notebook, ssc: ManualContext) -> None:
    board: Any = notebook.works("%engine monitor").value
    assert len(board.panels) == 7
    notebook.works("%engine monitor")
    assert board.panels[0].comm is None
    assert len([key for key in live() if key.startswith("monitor")]) == 7
    notebook.shell.magics_manager.registry["StreamMagics"].notebook._monitor.close()
