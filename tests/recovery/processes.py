"""An engine of real processes that counts numbers, and can be killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil

import livebatch as lb
from tests.helpers import eventually


def add(new: list[int], total: tuple[int, int] | None) -> tuple[int, int]:
    count, so_far = total or (0, 0)
    return count + len(new), so_far + sum(new)


def context(folder: Path, **options: Any) -> lb.StreamingContext:
    """A context that goes on from a folder, or begins with ``total``: how many numbers a rate
    stream has given, and their sum."""
    options = {"supervised": False, **options}
    ssc = lb.StreamingContext("100ms", workers=1, checkpoint=folder, **options)
    if not ssc.streams:
        numbers = ssc.rate_stream(500).map(lambda row: ("all", row["value"]))
        ssc.register("total", numbers.update_state_by_key(add))
    ssc.start()
    return ssc


def counted(ssc: lb.StreamingContext, at_least: int = 1) -> int:
    """Wait until there have been so many numbers, none of them twice and none left out."""

    def enough(rdd: lb.RDD[Any]) -> bool:
        return any(count >= at_least for _, (count, _) in rdd.collect())

    [(_, (count, total))] = ssc.streams["total"].await_batch(enough).collect()
    assert total == count * (count - 1) // 2
    return int(count)


def engine_of(ssc: lb.StreamingContext) -> psutil.Process:
    return psutil.Process(ssc.status().pid)


def kill(ssc: lb.StreamingContext) -> None:
    """Kill the engine of a context, which is not supervised, and hang up."""
    engine = engine_of(ssc)
    engine.kill()
    eventually(lambda: not engine.is_running() or engine.status() == psutil.STATUS_ZOMBIE)
    ssc.detach()
