"""``%engine monitor``: how an engine and its streams keep up, as it happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Event, Thread
from typing import TypeAlias

import pyarrow as pa

from livebatch.errors import LivebatchError
from livebatch.events import EngineStatus, StreamStatus, TaskRuns
from livebatch.interval import to_datetime
from livebatch.kernel_ext.layout import Dashboard
from livebatch.widgets import Panel, show

EVERY = 1.0
"""Seconds between two looks at the engine."""

WINDOW, OF_TASKS = 300.0, 30.0
MB = 1e6

_RUNS = pa.schema(
    {
        "worker": pa.string(),
        "stream": pa.string(),
        "stage": pa.string(),
        "begun": pa.timestamp("us", tz="UTC"),
        "ms": pa.float64(),
    }
)
_SCHEMA = pa.schema({"of": pa.string(), "amount": pa.float64()})

Rows: TypeAlias = Iterator[tuple[str, float]]


class Monitor:
    """Seven pictures of an engine: what its streams give, how long their batches take, how late
    they begin, how many wait, which tasks run on which worker, how busy each is, and what blocks
    take.

    They stand for what Spark's Streaming tab shows. The monitor ends with its views, and when the
    engine is gone.

    Args:
        ask: returns how the engine is doing.
        tasks: returns the tasks that have ended after so many, and those that run.
    """

    def __init__(self, ask: Callable[[], EngineStatus], tasks: Callable[[int], TaskRuns]) -> None:
        self._ask, self._tasks = ask, tasks
        self._count = 0
        self._before: EngineStatus | None = None
        self._panels = {
            "rate": _panel("rows/s", "line"),
            "batch time": _panel("batch time, % of the interval", "line"),
            "scheduling delay": _panel("scheduling delay, ms", "line"),
            "waiting": _panel("waiting batches and jobs", "line"),
            "tasks": _panel("tasks", "gantt", OF_TASKS),
            "busy": _panel("workers, % of the time at work", "heatmap"),
            "memory": _panel("blocks, MB", "line"),
        }
        self._stop = Event()
        self._thread = Thread(target=self._run, name="livebatch-monitor", daemon=True)
        self._thread.start()

    @property
    def dashboard(self) -> Dashboard:
        """The pictures, side by side."""
        rate, time, delay, waiting, tasks, busy, memory = self._panels.values()
        rows = [[rate, time], [delay, waiting], [tasks], [busy, memory]]
        return Dashboard(rows, "the engine")

    def close(self) -> None:
        """End it, and its views."""
        self._stop.set()
        self._thread.join()
        for panel in self._panels.values():
            panel.close()

    def _run(self) -> None:
        while not self._stop.wait(EVERY) and any(p.comm for p in self._panels.values()):
            try:
                self.look()
            except LivebatchError:
                for panel in self._panels.values():
                    panel.view.status("the engine is gone", "warn")
                return

    def look(self) -> None:
        """Ask the engine once, and show what it says."""
        status, tasks = self._ask(), self._tasks(self._count)
        self._count = tasks.count
        self._panels["tasks"].view.push(to_datetime(status.now), _table(tasks))
        for name, rows in (
            ("rate", _rates(self._before, status)),
            ("batch time", _each(status, _share)),
            ("scheduling delay", _each(status, lambda stream: stream.began)),
            ("waiting", _waiting(status)),
            ("busy", _busy(self._before, status)),
            ("memory", _memory(status)),
        ):
            found = [{"of": key, "amount": amount} for key, amount in rows]
            table = pa.Table.from_pylist(found, _SCHEMA)
            self._panels[name].view.push(to_datetime(status.now), table)
        self._before = status


def _panel(title: str, kind: str, window: float = WINDOW) -> Panel:
    return show(f"monitor · {title}", kind, window=window, title=title)


def _table(tasks: TaskRuns) -> pa.Table:
    rows = [
        {
            "worker": f"worker {run.worker}",
            "stream": run.stream or "jobs",
            "stage": run.label,
            "begun": round(1000 * run.begun),
            "ms": None if run.seconds is None else 1000 * run.seconds,
        }
        for run in tasks.runs
    ]
    return pa.Table.from_pylist(rows, _RUNS)


def _each(status: EngineStatus, figure: Callable[[StreamStatus], float]) -> Rows:
    """Yield a figure of every stream that has had a batch."""
    return ((s.name, float(figure(s))) for s in status.streams if s.last is not None)


def _rates(before: EngineStatus | None, status: EngineStatus) -> Rows:
    """Yield the rows a second of every stream, and what its sources are limited to and drop."""
    yield from _each(status, lambda stream: stream.rate)
    earlier = {stream.name: stream.input.dropped for stream in before.streams} if before else {}
    seconds = (status.now - before.now) / 1000 if before else 0.0
    for stream in status.streams:
        if stream.input.limit is not None:
            yield f"{stream.name}: limit", stream.input.limit
        dropped = stream.input.dropped - earlier.get(stream.name, stream.input.dropped)
        if dropped > 0 and seconds > 0:
            yield f"{stream.name}: dropped", dropped / seconds


def _share(stream: StreamStatus) -> float:
    return 100 * (stream.delay - stream.began) / stream.slide


def _waiting(status: EngineStatus) -> Rows:
    yield "batches", float(sum(stream.queued for stream in status.streams))
    yield "jobs at work", float(status.pending)


def _busy(before: EngineStatus | None, status: EngineStatus) -> Rows:
    """Yield what share of the time since the last look each worker has been at work."""
    if before is None or status.now <= before.now:
        return
    seconds = (status.now - before.now) / 1000
    known = dict(zip(before.workers, before.worked, strict=True))
    for pid, worked in zip(status.workers, status.worked, strict=True):
        yield f"worker {pid}", min(100.0, 100 * (worked - known.get(pid, 0.0)) / seconds)


def _memory(status: EngineStatus) -> Rows:
    yield "in memory", status.stored / MB
    yield "on disk", sum(stream.spilled for stream in status.streams) / MB
    yield "waiting input", sum(stream.input.waiting for stream in status.streams) / MB
