"""PySpark's DStreams, by Python functions on records, a file a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import add, sub
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pyspark import SparkConf, SparkContext
from pyspark.streaming import DStream, StreamingContext

from benchmarks.peers.answers import finished
from benchmarks.peers.data import WINDOW
from benchmarks.peers.functions import Views, both, by_window, event, is_view, is_wanted, rank

TICK = 1
"""Seconds between batches, if they do not take longer, as they do: then they follow at once."""


def spark() -> SparkContext:
    settings = SparkConf().setMaster("local[2]").set("spark.ui.enabled", "false")
    sc = SparkContext.getOrCreate(settings.set("spark.driver.host", "127.0.0.1"))
    sc.setLogLevel("ERROR")
    return sc


def results(
    batches: Sequence[Sequence[Path]], build: Callable[[DStream], DStream], parts: int = 2
) -> list[list[Any]]:
    """Return what a stream gives of batches, each of some files with so many partitions each."""
    sc = spark()
    FOUND.clear()
    with TemporaryDirectory() as folder:
        ssc = StreamingContext(sc, TICK)
        ssc.checkpoint(folder)
        queue = [sc.union([sc.textFile(str(f), parts) for f in files]) for files in batches]
        build(ssc.queueStream(queue)).foreachRDD(note)
        ssc.start()
        while len(FOUND) < len(batches):
            ssc.awaitTerminationOrTimeout(0.1)
        ssc.stop(stopSparkContext=False, stopGraceFully=False)
    return FOUND[: len(batches)]


FOUND: list[list[Any]] = []
"""What batches have given; here, because PySpark pickles all that `note` holds."""


def note(rdd: Any) -> None:
    FOUND.append(rdd.collect())


def grep(files: list[Path]) -> Any:
    found = results([[file] for file in files], lambda lines: lines.filter(is_wanted).count())
    return sum(count for [count] in found)


def word_count(files: list[Path]) -> Any:
    def build(lines: DStream) -> DStream:
        ones = lines.flatMap(str.split).map(lambda word: (word, 1))
        counts = ones.reduceByKeyAndWindow(add, sub, WINDOW * TICK, TICK, 2)
        return counts.transform(lambda rdd: rdd.context.parallelize(rdd.top(10, key=rank), 1))

    return results([[file] for file in files], build)[-1]


def campaigns(files: list[Path]) -> Any:
    def build(lines: DStream) -> DStream:
        return lines.map(event).filter(is_view).map(by_window).reduceByKey(both, 2)

    views = Views()
    for pairs in results([[file] for file in files], build):
        views.add(pairs)
    return lambda: finished(views.counts, views.last)
