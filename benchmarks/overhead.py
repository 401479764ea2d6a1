"""What the engine costs: starting it, and its work around the user's functions."""

from __future__ import annotations

import threading
from collections import Counter
from functools import partial
from operator import add
from statistics import median
from time import perf_counter
from typing import Any

import livebatch as lb
from benchmarks.measure import (
    Measure,
    bare_processes,
    memory_of,
    percentile,
    round_trip_ms,
    seconds,
    typical,
)
from livebatch.closures import builtin
from livebatch.engine.driver import InlineDriver
from livebatch.engine.executors.local import LocalExecutor
from livebatch.engine.jobs import Job, Jobs
from livebatch.events import Batch, BatchSettled, Event
from livebatch.operators.state import given_rows
from livebatch.rdd import RDD
from livebatch.rdd import functions as run_in_task
from livebatch.rdd.operation import Read
from livebatch.testing import ManualContext, local_executor

JOBS = 600
BATCHES = 200
LIVE_BATCHES = 40
ROWS = list(range(1000))


def run() -> list[Measure]:
    """Measure everything."""
    echo = round_trip_ms()
    with local_executor(2) as executor:
        while not executor.ready:
            executor.poll(0.1)
        inside = [measure(executor, echo) for measure in (task_round_trip, empty_batch, full_batch)]
    return [*live_engine(echo), *inside]


def live_engine(echo: float) -> list[Measure]:
    """Measure an engine process, from its start on."""
    ready_limit, (_, memory_limit) = bare_processes(3)[0], bare_processes(4)
    begun = perf_counter()
    with lb.StreamingContext("100ms", workers=2) as ssc:
        ready = perf_counter() - begun
        empty = ssc.parallelize([], 1)
        job = typical(empty.count) * 1000
        memory = memory_of(ssc.status().pid)  # by now that of the spare worker, too
        ssc.start()
        nothing = delays(ssc, "nothing", ssc.queue_stream().filter(bool).count())
        thousand = delays(ssc, "thousand", two_stages(ssc, LIVE_BATCHES + 5))
    bare = "three bare Pythons with pyarrow and pyzmq"
    trip = "a bare pyzmq round trip"
    plain = typical(lambda: Counter(n % 10 for n in ROWS)) * 1000
    counted = "the same in one plain Python call"
    return [
        Measure("engine with two workers ready", ready, "s", 2, ready_limit, bare),
        Measure("its memory, with a spare worker (PSS)", memory, "MiB", 400, memory_limit,
                bare.replace("three", "four")),
        Measure("empty one-task job, seen by the client (median)", job, "ms", None, echo, trip),
        Measure("empty batch by the clock (median)", median(nothing), "ms", None, echo, trip),
        Measure("two stages, 4 partitions, 1,000 records (median)", median(thousand), "ms", 10,
                plain, counted),
        Measure("the same (p90)", percentile(thousand, 0.9), "ms"),
    ]  # fmt: skip


def delays(ssc: lb.StreamingContext, name: str, stream: lb.DStream[Any]) -> list[int]:
    """Return the milliseconds from batch time to settled of a stream's batches, while it runs
    alone."""
    found: list[Batch] = []
    enough = threading.Event()

    def listen(event: Event) -> None:
        if isinstance(event, BatchSettled) and event.batch.name == name and event.batch.rows:
            found.append(event.batch)
            if len(found) == LIVE_BATCHES:
                enough.set()

    ssc.connection.listen(listen)
    ssc.register(name, stream)
    assert enough.wait(LIVE_BATCHES), f"only {len(found)} batches of {name} have settled"
    ssc.remove(name)
    return [batch.delay for batch in found[5:LIVE_BATCHES]]


def two_stages(ssc: lb.StreamingContext, batches: int) -> lb.DStream[Any]:
    """Return a stream of four map tasks and four reduce tasks, for so many batches."""
    numbers = ssc.queue_stream()
    ssc.put(numbers, *[ssc.parallelize(ROWS, 4)] * batches)
    pairs = numbers.map(lambda n: (n % 10, 1))
    reduced: lb.DStream[Any] = pairs.reduce_by_key(add, 4)
    return reduced


def task_round_trip(executor: LocalExecutor, echo: float) -> Measure:
    """Measure jobs of one empty task within the engine: planned, scheduled, run, and reported."""
    jobs = Jobs(executor, InlineDriver(), lambda rdd: False)
    nothing: RDD[Any] = RDD(Read((builtin(given_rows, []),)))
    action = builtin(run_in_task.count_rows)
    ended: list[object] = []

    def job() -> None:
        name = f"job{len(ended)}"
        jobs.run(Job(name, nothing, action, ended.append, lambda *failure: ended.append(failure)))
        while jobs.pending:
            jobs.poll(1.0)

    trip = typical(job, JOBS) * 1000
    assert not any(isinstance(end, tuple) for end in ended), ended[-1]
    what = "empty one-task job within the engine (median)"
    return Measure(what, trip, "ms", 0.3, echo, "a bare pyzmq round trip")


def empty_batch(executor: LocalExecutor, echo: float) -> Measure:
    """Measure empty batches of a filter and a count, from the tick until they have settled."""
    with ManualContext("1s", executor) as ssc:
        taken = within(ssc, ssc.queue_stream().filter(bool).count())
        assert ssc.streams["measured"].latest().collect() == [0]
    what = "empty batch, tick to settled, within the engine (median)"
    return Measure(what, taken, "ms", 3, echo, "a bare pyzmq round trip")


def full_batch(executor: LocalExecutor, echo: float) -> Measure:
    """Measure batches of two stages in the same way: 8 tasks for two workers."""
    with ManualContext("1s", executor) as ssc:
        taken = within(ssc, two_stages(ssc, BATCHES * 2))
        assert len(ssc.streams["measured"].latest().collect()) == 10
    return Measure("the same for two stages, 1,000 records", taken, "ms", None, 4 * echo,
                   "four bare pyzmq round trips")  # fmt: skip


def within(ssc: lb.StreamingContext, stream: lb.DStream[Any]) -> float:
    """Return the median milliseconds from a tick until a stream's batch has settled, for an
    engine in this thread, which has nothing else to do."""
    assert isinstance(ssc, ManualContext)
    ssc.register("measured", stream)
    ssc.start()
    ssc.advance(BATCHES // 10)
    return median(seconds(partial(ssc.advance, "1s")) for _ in range(BATCHES)) * 1000
