"""How late batches are when a worker or the engine dies, and what checkpoints cost."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from operator import add
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import psutil

import livebatch as lb
from benchmarks.measure import Measure, bare_processes
from livebatch.engine.speculation import ENOUGH
from livebatch.engine.supervisor import MOST
from livebatch.events import BatchSettled, Event

BATCH, EVERY, TIMES = 500, 8, 10
"""Milliseconds of a batch; so many batches go by between two accidents; so many accidents."""


WINDOW, SNAPSHOTS, WORDS = "30s", "5s", 200_000
"""A window, how often a snapshot is taken, records in a batch: 400,000 a second."""

DEATHS, ROUNDS, COUNTED = MOST - 1, 3, 40
"""So often the engine is killed; costs are compared; batches are counted each time."""


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
    accidents = [measure for name, act in ACCIDENTS.items() for measure in accident(name, act)]
    return [*accidents, *window_and_worker(), *engine_killed(), *cost()]


def window_and_worker() -> list[Measure]:
    """Measure the same of a killed worker with a window and checkpoints."""
    with TemporaryDirectory() as folder:
        options = {"checkpoint": folder, "checkpoint_every": SNAPSHOTS}
        return accident("killed, window and checkpoints", ACCIDENTS["killed"], WINDOW, **options)


def engine_killed() -> list[Measure]:
    """Measure the time from the death of an engine to the next batch that has settled."""
    news: list[tuple[int, float]] = []
    came = threading.Event()

    def listen(event: Event) -> None:
        if isinstance(event, BatchSettled) and event.batch.name == "measured":
            news.append((event.batch.time, perf_counter()))
            came.set()

    def after(time: int) -> float:
        while not (found := [at for batch, at in news if batch > time]):
            assert came.wait(60), "no batch has settled"
            came.clear()
        return found[0]

    taken = []
    with TemporaryDirectory() as folder, windowed(f"{BATCH}ms", checkpoint=folder) as ssc:
        ssc.connection.listen(listen)
        for _ in range(DEATHS):
            after(news[-1][0] + 6 * BATCH if news else 0)
            engine = psutil.Process(ssc.status().pid)
            newest, killed = news[-1][0], perf_counter()
            engine.kill()
            taken.append(after(newest) - killed)
    limit = bare_processes(2)[0]
    return [
        Measure("engine killed, to the next batch (median)", median(taken), "s", 3, limit,
                "two bare Pythons with pyarrow and pyzmq"),
        Measure("engine killed, to the next batch (worst)", max(taken), "s"),
    ]  # fmt: skip


def cost() -> list[Measure]:
    """Measure what batches cost with checkpoints and without, in turns."""
    pairs = []
    for _ in range(ROUNDS):
        with TemporaryDirectory() as folder:
            pairs.append((processor_time(), processor_time(folder)))
    without, kept = (median(column) for column in zip(*pairs, strict=True))
    ratio = median(b / a for a, b in pairs)
    return [
        Measure(
            "processor time of a batch, with checkpoints", kept, "ms", None, without, "without"
        ),
        Measure("the same, of that without", ratio, "×", 1.1),
    ]


def processor_time(folder: str | None = None) -> float:
    """Return how many milliseconds of processor time an engine and its workers take for a batch."""
    with windowed(f"{BATCH}ms", checkpoint=folder, supervised=False) as ssc:
        engine = psutil.Process(ssc.status().pid)
        processes = [engine, *engine.children(recursive=True)]
        settled(ssc, 4)()
        before = sum(sum(process.cpu_times()[:2]) for process in processes)
        settled(ssc, COUNTED)()
        after = sum(sum(process.cpu_times()[:2]) for process in processes)
    return (after - before) * 1000 / COUNTED


def windowed(batch: str, **options: Any) -> lb.StreamingContext:
    """Return a context that counts words in a window, as ``measured``."""
    ssc = lb.StreamingContext(batch, workers=1, checkpoint_every=SNAPSHOTS, **options)
    words = ssc.queue_stream(default=[(n % 500, 1) for n in range(WORDS)])
    counts = words.reduce_by_key_and_window(add, None, WINDOW, batch)
    ssc.register("measured", counts)
    ssc.start()
    return ssc


def accident(
    name: str, act: Callable[[], None], window: str | None = None, **options: Any
) -> list[Measure]:
    """Measure the delays of batches in whose first task a worker comes to grief the first time."""
    struck: list[int] = []
    others: list[int] = []
    with (
        TemporaryDirectory() as folder,
        lb.StreamingContext(f"{BATCH}ms", workers=1, **options) as ssc,
    ):
        delays = settled(ssc, EVERY * (TIMES + 1))
        numbers: list[list[int]] = [[n] * 100 for n in range(EVERY * (TIMES + 2))]
        stream = ssc.queue_stream(numbers).map(lambda n: once(folder, n, act))
        ones = stream.map(lambda n: (n, 1))
        ssc.register(
            "measured",
            ones.reduce_by_key_and_window(add, None, window) if window else ones.reduce_by_key(add),
        )
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
