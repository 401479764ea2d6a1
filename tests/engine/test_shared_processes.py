"""Broadcast variables, accumulators and listeners, where all is in processes of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import livebatch as lb
from tests.helpers import eventually

pytestmark = pytest.mark.process


class Told(lb.StreamingListener):
    """Notes the completed batches, and raises."""

    def __init__(self) -> None:
        self.records: list[int] = []

    def on_batch_completed(self, batch_completed: Any) -> None:
        info = batch_completed.batch_info
        assert 0 <= info.scheduling_delay <= info.total_delay
        self.records.append(info.num_records)
        raise ValueError("a listener's own fault")


class Both(lb.AccumulatorParam[tuple[int, int]]):
    """Pairs of numbers, added up."""

    def zero(self, value: tuple[int, int]) -> tuple[int, int]:
        return 0, 0

    def add_in_place(self, value1: tuple[int, int], value2: tuple[int, int]) -> tuple[int, int]:
        return value1[0] + value2[0], value1[1] + value2[1]


def test_what_is_shared_is_shared_by_all_processes(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("first")
    told = Told()
    with lb.StreamingContext("200ms", workers=2) as ssc:
        ssc.add_streaming_listener(told)
        word = ssc.broadcast(source.read_text, refresh_every="200ms")
        factor = ssc.broadcast(2)
        seen: Any = ssc.accumulator(0)
        pairs: Any = ssc.accumulator((0, 0), Both())
        read: Any = ssc.accumulator(0)
        queue = ssc.queue_stream([[1, 2]] * 5)
        numbers = queue.map(lambda n: (seen.add(1), n * factor.value)[1]).cache()

        def check(rdd: lb.RDD[int]) -> None:
            rdd.foreach(lambda n: pairs.add((n, 1)))
            if not rdd.is_empty():
                read.add(seen.value)

        numbers.foreach_rdd(check)
        ssc.register("words", numbers.map(lambda n: (n, word.value)))
        ssc.start()
        eventually(lambda: sum(told.records) == 10)
        assert (seen.value, pairs.value) == (10, (30, 10))  # by two outputs and three actions
        assert read.value > 0
        source.write_text("second")
        eventually(lambda: word.value == "second")
        factor.refresh(10)
        factor.unpersist()
        ssc.put(queue, [7])
        eventually(lambda: (70, "second") in ssc.streams["words"].last("1m").collect())
        ssc.stop(stop_spark_context=False, stop_gracefully=True)
        assert ssc.parallelize([1, 2]).map(lambda n: n * factor.value).sum() == 30
