"""The programs of `benchmarks.throughput` on PySpark's DStreams, two files a batch."""

from __future__ import annotations

from collections.abc import Callable
from operator import add, sub
from pathlib import Path
from typing import Any

from pyspark.streaming import DStream

from benchmarks.peers.on_dstreams import TICK, results
from benchmarks.throughput import PROCESSES, WINDOW, is_there, is_wanted, rank, with_one


def last(files: list[Path], build: Callable[[DStream], DStream]) -> list[Any]:
    """Return what a stream gives of the last batch."""
    batches = [files[i : i + PROCESSES] for i in range(0, len(files), PROCESSES)]
    return results(batches, build, parts=1)[-1]


def counts(lines: DStream) -> DStream:
    return lines.flatMap(str.split).map(with_one)


def window(lines: DStream) -> DStream:
    length = WINDOW * TICK
    slid = counts(lines).reduceByKeyAndWindow(add, sub, length, TICK, PROCESSES)
    return slid.filter(is_there)


def grep(files: list[Path]) -> Any:
    return last(files, lambda lines: lines.filter(is_wanted).count())[0]


def word_count(files: list[Path]) -> Any:
    return last(files, lambda lines: counts(lines).reduceByKey(add, PROCESSES).count())[0]


def windowed_word_count(files: list[Path]) -> Any:
    return last(files, lambda lines: window(lines).count())[0]


def top_10_of_it(files: list[Path]) -> Any:
    def top(rdd: Any) -> Any:
        return rdd.context.parallelize(rdd.top(10, key=rank), 1)

    return last(files, lambda lines: window(lines).transform(top))
