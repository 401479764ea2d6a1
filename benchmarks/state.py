"""States by key: what a batch costs by the keys held and touched, beside PySpark and a dict.

PySpark is measured in the same run if it is there: pip install 'livebatch[bench]', and Java.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from shutil import which
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from benchmarks.measure import Measure, seconds
from livebatch.testing import ManualContext, local_executor

TOUCHED = 1_000
HELD = (10_000, 100_000, 1_000_000)
LONG, SHORT, WARM = 600, 5, 3
"""Batches with cheap and with costly states, and before what counts. The long run is long enough
for the largest state to be compacted."""


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
    for held in HELD:
        ours, plain = updated(held), bare_dict(held)
        what = f"update_state_by_key, {held:,} keys: CPU time of a batch"
        found.append(Measure(what, ours, "ms", None, plain, "the same in a bare dict"))
        if find_spec("pyspark") and which("java"):
            theirs = in_spark(held)
            found.append(Measure("  beside PySpark", ours, "ms", theirs / 5, theirs, "PySpark"))
    if not (find_spec("pyspark") and which("java")):
        print("PySpark is left out: it needs pip install 'livebatch[bench]' and Java 17")
    return found


def mapped(held: int) -> tuple[float, float]:
    """Return the median duration and the mean CPU time of a batch, in ms."""

    def build(stream: Any, initial: Any) -> Any:
        return stream.map_with_state(count, initial=initial)

    return measured(build, held, LONG)


def updated(held: int) -> float:
    """Return the mean CPU time of a batch, in ms."""

    def build(stream: Any, initial: Any) -> Any:
        return stream.update_state_by_key(add_up, initial_rdd=initial)

    return measured(build, held, SHORT)[1]


def measured(build: Callable[..., Any], held: int, batches: int) -> tuple[float, float]:
    with local_executor(2) as executor, ManualContext("1s", executor) as ssc:
        initial = ssc.parallelize(range(2), 2).flat_map(lambda part: keys_of(held, part))
        stream = ssc.queue_stream(touched(held, batches + WARM))
        ssc.register("state", build(stream, initial), retain="2s")
        ssc.start()
        ssc.advance(WARM)
        before = cpu_seconds()
        taken = [seconds(lambda: ssc.advance(1)) for _ in range(batches)]
        ssc.await_termination(timeout=0)
        return median(taken) * 1000, (cpu_seconds() - before) * 1000 / batches


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


def bare_dict(held: int) -> float:
    """Return the CPU time of a batch, in ms, where the state is a dict and all else is nothing."""
    state = dict((*keys_of(held, 0), *keys_of(held, 1)))
    before = cpu_seconds()
    for batch in touched(held, SHORT):
        new: dict[str, list[int]] = {}
        for key, value in batch:
            new.setdefault(key, []).append(value)
        for key in state.keys() | new.keys():
            state[key] = add_up(new.get(key, []), state.get(key))
    return (cpu_seconds() - before) * 1000 / SHORT


def cpu_seconds() -> float:
    """Return the CPU time that this process and its descendants have taken."""
    process = psutil.Process()
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    own = process.cpu_times()
    return sum(t.user + t.system for t in times) + own.children_user + own.children_system


# -- PySpark -----------------------------------------------------------------------------------


def in_spark(held: int) -> float:
    """Return the mean CPU time of a batch, in ms: of the driver, the JVM and Python's workers."""
    environment = os.environ | {
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
    }
    command = [sys.executable, "-m", "benchmarks.state", str(held)]
    result = subprocess.run(
        command, env=environment, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    taken: float = json.loads(result.stdout.splitlines()[-1])
    return taken


def spark_batches(held: int) -> float:
    """Run the batches in PySpark, as many of them before any counts."""
    from pyspark import SparkConf, SparkContext
    from pyspark.streaming import StreamingContext

    conf = SparkConf().setMaster("local[2]").set("spark.ui.enabled", "false")
    conf.set("spark.default.parallelism", "2").set("spark.driver.memory", "4g")
    with TemporaryDirectory() as folder, SparkContext(conf=conf) as sc:
        ssc = StreamingContext(sc, 1)
        ssc.checkpoint(folder)
        initial = sc.parallelize(range(2), 2).flatMap(lambda part: keys_of(held, part))
        batches = [sc.parallelize(batch, 2) for batch in touched(held, SHORT + WARM + 1)]
        stream = ssc.queueStream(batches)
        stream.updateStateByKey(add_up, initialRDD=initial).foreachRDD(note)
        ssc.start()
        while len(NOTED) <= WARM + SHORT:
            ssc.awaitTerminationOrTimeout(0.2)
        ssc.stop(stopSparkContext=False, stopGraceFully=False)
    return (NOTED[WARM + SHORT] - NOTED[WARM]) * 1000 / SHORT


NOTED: list[float] = []
"""The CPU time after each batch; here, because PySpark pickles all that `note` refers to."""


def note(rdd: Any) -> None:
    rdd.count()
    NOTED.append(cpu_seconds())


if __name__ == "__main__":
    print(json.dumps(spark_batches(int(sys.argv[1]))))
