"""How late a batch is whose only worker is killed, stopped, or hangs."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import livebatch as lb
from benchmarks.measure import Measure
from livebatch.engine.speculation import ENOUGH
from livebatch.events import BatchSettled, Event

BATCH, EVERY, TIMES = 500, 8, 10
"""Milliseconds of a batch; so many batches go by between two accidents; so many accidents."""


def hang() -> None:
    """Wait for ever, deaf to interrupts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Event().wait()


ACCIDENTS: dict[str, Callable[[], None]] = {
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "stopped": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "hung": hang,
}


def run() -> list[Measure]:
    """Measure everything."""
    return [measure for name, act in ACCIDENTS.items() for measure in accident(name, act)]


def accident(name: str, act: Callable[[], None]) -> list[Measure]:
    """Measure the delays of batches in whose first task a worker comes to grief the first time."""
    struck: list[int] = []
    others: list[int] = []
    with TemporaryDirectory() as folder, lb.StreamingContext(f"{BATCH}ms", workers=1) as ssc:
        delays = settled(ssc, EVERY * (TIMES + 1))
        numbers: list[list[int]] = [[n] * 100 for n in range(EVERY * (TIMES + 2))]
        stream = ssc.queue_stream(numbers).map(lambda n: once(folder, n, act))
        ssc.register("measured", stream.map(lambda n: (n, 1)).reduce_by_key(lambda a, b: a + b))
        ssc.start()
        for n, delay in enumerate(delays()):
            if n > ENOUGH:
                (struck if n and n % EVERY == 0 else others).append(delay)
    usual = median(others)
    return [
        Measure(f"batch delay, worker {name} (median)", median(struck), "ms", 1000,
                usual, "other batches"),
        Measure(f"batch delay, worker {name} (worst)", max(struck), "ms"),
    ]  # fmt: skip


def once(folder: str, n: int, act: Callable[[], None]) -> int:
    """Come to grief at every so many-th batch, the first time that anybody computes it."""
    if n and n % EVERY == 0:
        try:
            os.close(os.open(Path(folder, str(n)), os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return n
        act()
    return n


def settled(ssc: lb.StreamingContext, count: int) -> Callable[[], list[int]]:
    """Return what waits for so many batches, and gives their delays in milliseconds."""
    found: list[Any] = []
    enough = threading.Event()

    def listen(event: Event) -> None:
        if isinstance(event, BatchSettled) and event.batch.name == "measured":
            found.append(event.batch.delay)
            if len(found) == count:
                enough.set()

    ssc.connection.listen(listen)

    def wait() -> list[int]:
        assert enough.wait(count * BATCH / 1000 + 60), f"only {len(found)} batches have settled"
        return found[:count]

    return wait
