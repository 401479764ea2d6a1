"""How busy this machine is."""

from __future__ import annotations

from itertools import islice
from typing import Any, Literal, Protocol

import msgspec
import psutil
import pyarrow as pa

from livebatch.clock import SystemClock, Timer, stopwatch
from livebatch.errors import DefinitionError
from livebatch.interval import Duration, format_millis, to_millis
from livebatch.sources.base import Receiver

FINEST = 100
"""Processor time is counted in hundredths of a second: over less than 100 ms it says nothing."""

_TIME = pa.field("time", pa.timestamp("ms", tz="UTC"))

MACHINE = pa.schema(
    [
        _TIME,
        ("cpu", pa.float64()),
        ("memory", pa.float64()),
        ("memory_used", pa.int64()),
        ("disk_read", pa.float64()),
        ("disk_write", pa.float64()),
        ("net_sent", pa.float64()),
        ("net_received", pa.float64()),
        ("load", pa.float64()),
    ]
)

PROCESSES = pa.schema(
    [
        _TIME,
        ("name", pa.string()),
        ("pid", pa.int64()),
        ("cpu", pa.float64()),
        ("memory_mb", pa.float64()),
    ]
)


class Source(msgspec.Struct, frozen=True):
    """Return a stream of measurements of the machine that the engine runs on.

    Of kind ``"machine"`` a record has:

    - ``time``: when it was measured, UTC;
    - ``cpu``: how busy all processors are together, percent;
    - ``memory``, ``memory_used``: memory that is not available, percent; in use, bytes;
    - ``disk_read``, ``disk_write``, ``net_sent``, ``net_received``: bytes per second since the
      record before, of all disks and all networks (also that of the machine with itself); 0
      where they are not counted, as in some containers;
    - ``load``: processes that want a processor, average of the last minute.

    Of kind ``"processes"`` there is a record for each of the busiest processes, busiest first:
    ``time``, ``name``, ``pid``, ``cpu`` (percent of one processor, so it may exceed 100) and
    ``memory_mb`` (resident memory, 1 MB = 10⁶ bytes).

    Args:
        every: time between measurements, at least 100 ms.
        kind: ``"machine"`` or ``"processes"``.
        top: how many processes.

    Raises:
        DefinitionError: ``every`` is no duration or too short, there is no such kind, or ``top``
            is no positive number.

    Example:
        ::

            ssc.system_metrics("500ms").map(lambda row: row["cpu"]).pprint()
            ssc.system_metrics(kind="processes", top=3).pprint()
    """

    every: Duration = "1s"
    kind: Literal["machine", "processes"] = "machine"
    top: int = 5

    def __post_init__(self) -> None:
        millis = to_millis(self.every, "every")
        if millis < FINEST:
            raise DefinitionError(f"every must be at least {FINEST}ms, not {self.every!r}")
        # Not every form in which a duration is written can travel.
        msgspec.structs.force_setattr(self, "every", format_millis(millis))
        if self.kind not in ("machine", "processes"):
            raise DefinitionError(f'kind must be "machine" or "processes", not {self.kind!r}')
        if type(self.top) is not int or self.top < 1:
            raise DefinitionError(f"top must be a whole number from 1 on, not {self.top!r}")

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the records."""
        return MACHINE if self.kind == "machine" else PROCESSES

    def run(self, receiver: Receiver) -> None:
        """Measure and emit until stopped."""
        sampler: Sampler = Machine() if self.kind == "machine" else Processes(self.top)
        receiver.report("receiving", f"every {self.every}")
        clock, timer = SystemClock(), Timer(to_millis(self.every) / 1000)
        # Rates need two readings, but the first answer should not take a whole interval; and
        # after a receiver that held us up two readings must not come too close to each other.
        shortest = FINEST / 1000
        wait = shortest
        while not receiver.stopping(wait):
            time = clock.now()
            rows = [{"time": time, **row} for row in sampler.rows()]
            receiver.emit(pa.Table.from_pylist(rows, self.schema))
            timer.due()
            wait = timer.left() or shortest


class Sampler(Protocol):
    """Measures; what it says of rates is since the last time."""

    def rows(self) -> list[dict[str, Any]]:
        """Return the records but for their time."""


class Machine:
    """Measures the machine as a whole."""

    def __init__(self) -> None:
        psutil.cpu_percent()
        self._at, self._bytes = stopwatch(), _bytes_so_far()

    def rows(self) -> list[dict[str, Any]]:
        before, self._at = self._at, stopwatch()
        memory = psutil.virtual_memory()
        return [
            {
                "cpu": psutil.cpu_percent(),
                "memory": memory.percent,
                "memory_used": memory.used,
                **self._rates(self._at - before),
                "load": psutil.getloadavg()[0],
            }
        ]

    def _rates(self, seconds: float) -> dict[str, float]:
        """Return bytes per second; a counter that went back, as a disk was removed, gives 0."""
        before, self._bytes = self._bytes, _bytes_so_far()
        return {name: max(0, self._bytes[name] - before[name]) / seconds for name in before}


class Processes:
    """Measures the busiest processes."""

    def __init__(self, top: int) -> None:
        self._top = top
        self._by_cpu()

    def rows(self) -> list[dict[str, Any]]:
        described = map(_describe, self._by_cpu())
        return list(islice((row for row in described if row), self._top))

    def _by_cpu(self) -> list[psutil.Process]:
        # Processes are kept from one call to the next, and so is what they had used by then.
        found = psutil.process_iter(["cpu_percent"])
        return sorted(found, key=lambda process: (-_cpu(process), process.pid))


def _cpu(process: psutil.Process) -> float:
    return process.info["cpu_percent"] or 0.0  # None where it may not be looked at


def _describe(process: psutil.Process) -> dict[str, Any] | None:
    """Return a process's record, or None if it has gone meanwhile."""
    try:
        name, memory = process.name(), process.memory_info().rss
    except psutil.Error:
        return None
    return {"name": name, "pid": process.pid, "cpu": _cpu(process), "memory_mb": memory / 1e6}


def _bytes_so_far() -> dict[str, int]:
    try:
        disk: object = psutil.disk_io_counters()
    except (NotImplementedError, OSError, RuntimeError):
        disk = None
    net = psutil.net_io_counters()
    return {
        "disk_read": getattr(disk, "read_bytes", 0),
        "disk_write": getattr(disk, "write_bytes", 0),
        "net_sent": getattr(net, "bytes_sent", 0),
        "net_received": getattr(net, "bytes_recv", 0),
    }
