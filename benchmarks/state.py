"""States by key: what a batch costs by the keys held and touched, beside PySpark and a dict.

The states that all have in the end must be the same. PySpark is measured in the same run if it is
there: pip install 'livebatch[bench]', and Java.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterable
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from zlib import crc32

from benchmarks.measure import Measure, seconds
from benchmarks.peers import SPARK, missing, work
from livebatch.testing import ManualContext, local_executor

TOUCHED = 1_000
HELD = (10_000, 100_000, 1_000_000)
LONG, SHORT, WARM = 600, 5, 3
"""Batches with cheap and with costly states, and before what counts. The long run is long enough
for the largest state to be compacted."""

Sum = list[int]


def run() -> list[Measure]:
    """Measure mapped states of two sizes, and updated ones of three beside others."""
    small, large = (mapped(held) for held in (HELD[0], HELD[-1]))
    many = f"{HELD[-1]:,} keys held, {TOUCHED:,} touched"
    few = f"{HELD[0]:,} held"
    found = [
        Measure(f"map_with_state, {many}: a batch (median)", large[0], "ms", 3 * small[0],
                small[0], few),
        Measure("its CPU time, merging included (mean)", large[1], "ms", 3 * small[1],
                small[1], few),
    ]  # fmt: skip
    lacks = missing("dstreams")
    for held in HELD:
        (ours, states), (plain, right) = updated(held), bare_dict(held)
        assert states == right, (held, states, right)
        what = f"update_state_by_key, {held:,} keys: CPU time of a batch"
        found.append(Measure(what, ours, "ms", None, plain, "the same in a bare dict"))
        if not lacks:
            theirs, states = in_spark(held)
            assert states == right, (held, states, right)
            found.append(Measure("  beside PySpark", ours, "ms", theirs / 5, theirs, "PySpark"))
    if lacks:
        print(f"PySpark is left out: {lacks}")
    return found


def mapped(held: int) -> tuple[float, float]:
    """Return the median duration and the mean CPU time of a batch, in ms."""

    def build(stream: Any, initial: Any) -> Any:
        return stream.map_with_state(count, initial=initial)

    return measured(build, held, LONG)[:2]


def updated(held: int) -> tuple[float, Sum]:
    """Return the mean CPU time of a batch, in ms, and the sum of the states."""

    def build(stream: Any, initial: Any) -> Any:
        return stream.update_state_by_key(add_up, initial_rdd=initial)

    return measured(build, held, SHORT)[1:]


def measured(build: Callable[..., Any], held: int, batches: int) -> tuple[float, float, Sum]:
    with local_executor(2) as executor, ManualContext("1s", executor) as ssc:
        initial = ssc.parallelize(range(2), 2).flat_map(lambda part: keys_of(held, part))
        stream = build(ssc.queue_stream(touched(held, WARM + batches)), initial)
        ssc.register("state", stream, retain="2s")
        ssc.start()
        ssc.advance(WARM)
        before = work()
        taken = [seconds(lambda: ssc.advance(1)) for _ in range(batches)]
        ssc.await_termination(timeout=0)
        spent = work() - before
        return median(taken) * 1000, spent * 1000 / batches, sum_of(stream.latest().collect())


def keys_of(held: int, part: int) -> Any:
    """Yield half of the keys with their first state."""
    return ((f"user{n}", 1) for n in range(part, held, 2))


def touched(held: int, batches: int) -> list[list[tuple[str, int]]]:
    """Return the records of some batches."""
    chance = random.Random(held)
    return [[(f"user{n}", 1) for n in chance.sample(range(held), TOUCHED)] for _ in range(batches)]


def count(key: str, value: int, state: Any) -> tuple[str, int]:
    state.update(state.get(0) + value)
    return key, state.get()


def add_up(new: list[int], total: int | None) -> int:
    return sum(new) + (total or 0)


def sum_of(states: Iterable[tuple[str, int]]) -> Sum:
    """Return the number of states and a sum that tells them from others."""
    hashes = [crc32(key.encode()) * state for key, state in states]
    return [len(hashes), sum(hashes)]


def bare_dict(held: int) -> tuple[float, Sum]:
    """Return the CPU time of a batch, in ms, where the state is a dict and all else is nothing;
    and the sum of the states."""
    state = dict((*keys_of(held, 0), *keys_of(held, 1)))
    for number, batch in enumerate(touched(held, WARM + SHORT)):
        if number == WARM:
            before = work()
        new: dict[str, list[int]] = {}
        for key, value in batch:
            new.setdefault(key, []).append(value)
        for key in state.keys() | new.keys():
            state[key] = add_up(new.get(key, []), state.get(key))
    return (work() - before) * 1000 / SHORT, sum_of(state.items())


# -- PySpark -----------------------------------------------------------------------------------


def in_spark(held: int) -> tuple[float, Sum]:
    """Return the mean CPU time of a batch, in ms: of the driver, the JVM and Python's workers;
    and the sum of the states."""
    with TemporaryDirectory(prefix="lb-") as folder:
        command = [sys.executable, "-m", "benchmarks.state", str(held), folder]
        result = subprocess.run(command, env=os.environ | SPARK, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(result.stderr[-2000:])
    taken, states = json.loads(result.stdout.splitlines()[-1])
    return taken, states


def spark_batches(held: int, folder: str) -> None:
    """Run the batches in PySpark, print what one of those that count takes and the sum of the
    states, and end at once: a stop of PySpark's may fail."""
    from pyspark import SparkConf, SparkContext
    from pyspark.streaming import StreamingContext

    conf = SparkConf().setMaster("local[2]").set("spark.ui.enabled", "false")
    conf.set("spark.default.parallelism", "2").set("spark.driver.memory", "4g")
    sc = SparkContext(conf=conf)
    ssc = StreamingContext(sc, 1)
    ssc.checkpoint(folder)
    initial = sc.parallelize(range(2), 2).flatMap(lambda part: keys_of(held, part))
    batches = [sc.parallelize(batch, 2) for batch in touched(held, WARM + SHORT)]
    stream = ssc.queueStream(batches)
    stream.updateStateByKey(add_up, initialRDD=initial).foreachRDD(note)
    ssc.start()
    ssc.awaitTermination()


NOTED: list[float] = []
"""The CPU time after each batch; here, because PySpark pickles all that `note` refers to."""


def note(rdd: Any) -> None:
    rdd.count()
    NOTED.append(work())
    if len(NOTED) == WARM + SHORT:
        taken = (NOTED[-1] - NOTED[WARM - 1]) * 1000 / SHORT
        print(json.dumps([taken, sum_of(rdd.collect())]), flush=True)
        os._exit(0)


if __name__ == "__main__":
    spark_batches(int(sys.argv[1]), sys.argv[2])
