"""livebatch's frames, in an engine with one worker."""

from __future__ import annotations

import atexit
from functools import cache
from pathlib import Path
from typing import Any

import livebatch as lb
from benchmarks.peers.answers import summary
from benchmarks.peers.data import ADS, EVENT, GREP, P99, P99_WINDOW, SPLIT, TOP, WINDOW
from livebatch.batchrun import BatchRun

LINE = {"line": "VARCHAR"}


@cache
def engine() -> lb.StreamingContext:
    ssc = lb.StreamingContext(workers=1)
    atexit.register(ssc.stop)
    return ssc


def of_lines(files: list[Path], stream: Any) -> BatchRun:
    """Run a stream of lines over files, a batch each."""
    return engine().run_batch(stream, [engine().text_file(str(file), 1) for file in files])


def grep(files: list[Path]) -> Any:
    frame = engine().queue_stream().to_frame(LINE).filter(GREP).agg(n="count(*)")
    run = of_lines(files, frame)
    return lambda: sum(row["n"] for row in run.rows())


def word_count(files: list[Path]) -> Any:
    words = engine().queue_stream().to_frame(LINE).sql(SPLIT.format("this"))
    run = of_lines(files, words.window(WINDOW).sql(TOP.format("this")))
    return lambda: [(row["word"], row["n"]) for row in run.latest]


def campaigns(files: list[Path]) -> Any:
    events = engine().queue_stream().to_frame(EVENT, "json")
    views = events.filter("event_type = 'view'").join(ADS, "ad_id")
    timed = views.select("campaign_id, epoch_ms(event_time) AS ts")
    windows = timed.window_on("ts", "10s", outliers=0).group_by("campaign_id")
    run = of_lines(files, windows.agg(n="count(*)"))
    return lambda: sorted(
        (int(row["window_start"].timestamp()) * 1000, row["campaign_id"], row["n"])
        for row in run.rows()
    )


def quantiles(files: list[Path]) -> Any:
    numbers = engine().queue_stream().to_frame({"key": "BIGINT", "ms": "DOUBLE"})
    stream = numbers.window(P99_WINDOW).sql(P99.format("this"))
    run = engine().run_batch(stream, [engine().read(str(file)) for file in files])
    return lambda: summary((row["key"], row["p99"]) for row in run.latest)
