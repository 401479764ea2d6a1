"""What is measured, how it is shown, and the bare costs that it is shown beside."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import ClassVar, Protocol

import psutil
import zmq

MIB = 1 << 20
BARE = "import cloudpickle, msgspec, pyarrow, zmq; print(flush=True); input()"


class Row(Protocol):
    """A row of a table, and the head of the table it is in."""

    @property
    def head(self) -> tuple[str, ...]:
        """What each column is."""

    def cells(self) -> tuple[str, ...]:
        """Return what is in each column."""


@dataclass(frozen=True)
class Measure:
    """One figure.

    Attributes:
        what: is measured.
        value: in the unit.
        unit: such as ``ms``.
        target: what it should be at most; None: it is there for comparison.
        limit: what it cannot be better than, measured in the same run; None: not known.
        beside: what the limit is.
        least: what it should be at least, where more is better.
    """

    head: ClassVar = ("", "measured", "target", "ratio", "limit in the same run")

    what: str
    value: float
    unit: str
    target: float | None = None
    limit: float | None = None
    beside: str = ""
    least: float | None = None

    def cells(self) -> tuple[str, ...]:
        """Return it as a row of the table."""
        value, met = f"{self.value:,.3g} {self.unit}", ""
        if self.target is not None:
            met = f"≤ {self.target:g}  {'met' if self.value <= self.target else 'MISSED'}"
        elif self.least is not None:
            met = at_least(self.value, self.least)
        if not self.limit:
            return self.what, value, met, "", ""
        beside = f"{self.limit:,.3g} {self.unit}: {self.beside}"
        return self.what, value, met, f"{self.value / self.limit:,.1f} ×", beside


def at_least(value: float, least: float) -> str:
    """Say what a value should be at least, and whether it is."""
    return f"≥ {least:g}  {'met' if value >= least else 'MISSED'}"


def show(rows: Sequence[Row]) -> None:
    """Print rows as a table."""
    table = [rows[0].head, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    print()
    for cells in table:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        print("  ".join(padded).rstrip(), flush=True)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that a share of all values does not exceed.

    >>> percentile([3, 1, 2], 0.5), percentile(range(100), 0.99)
    (2, 98)
    """
    ordered = sorted(values)
    return ordered[max(0, round(share * len(ordered)) - 1)]


def seconds(function: Callable[[], object]) -> float:
    """Return how long a call takes."""
    begun = perf_counter()
    function()
    return perf_counter() - begun


def typical(function: Callable[[], object], count: int = 500) -> float:
    """Return the median duration of a call, in seconds, when it is warm."""
    for _ in range(count // 10):
        function()
    return median(seconds(function) for _ in range(count))


def memory_of(*pids: int) -> float:
    """Return the MiB that processes and their descendants take together; what they share is
    counted once where the system tells (PSS), else in each (RSS)."""
    found: set[psutil.Process] = set()
    for pid in pids:
        process = psutil.Process(pid)
        found |= {process, *process.children(recursive=True)}
    details = [process.memory_full_info() for process in found]
    return float(sum(getattr(each, "pss", each.rss) for each in details)) / MIB


def bare_processes(count: int) -> tuple[float, float]:
    """Return the seconds until so many bare Pythons have loaded what the engine's processes
    cannot do without, and the MiB they take."""
    begun = perf_counter()
    with ExitStack() as stack:
        command = [sys.executable, "-c", BARE]
        pipe = subprocess.PIPE
        started = [
            stack.enter_context(subprocess.Popen(command, stdin=pipe, stdout=pipe))
            for _ in range(count)
        ]
        for process in started:
            assert process.stdout is not None
            process.stdout.readline()
        taken = perf_counter() - begun
        memory = memory_of(*(process.pid for process in started))
        for process in started:
            process.kill()
    return taken, memory


@contextmanager
def echo() -> Iterator[Callable[[bytes], None]]:
    """Give a function that sends bytes to another process and waits until they are back."""
    with TemporaryDirectory(prefix="lb-") as folder, zmq.Context() as context:
        address = f"ipc://{Path(folder, 'echo')}"
        with context.socket(zmq.ROUTER) as socket:
            socket.linger = 0
            socket.bind(address)
            command = [sys.executable, "-m", "benchmarks.measure", address]
            with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
                peer, _ = socket.recv_multipart()

                def round_trip(data: bytes) -> None:
                    socket.send_multipart([peer, data])
                    socket.recv_multipart()

                yield round_trip
                process.kill()


def round_trip_ms(size: int = 500) -> float:
    """Return the median duration of a message of so many bytes to another process and back."""
    with echo() as round_trip:
        return typical(lambda: round_trip(bytes(size))) * 1000


def serve_echo(address: str) -> None:
    """Send everything back, until killed."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.connect(address)
        socket.send(str(os.getpid()).encode())
        while True:
            socket.send(socket.recv())


if __name__ == "__main__":
    serve_echo(sys.argv[1])
