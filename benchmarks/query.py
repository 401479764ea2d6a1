"""Ad hoc SQL over 10 million retained rows, and what it costs the streams that go on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from math import log
from pathlib import Path
from statistics import fmean, median
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import livebatch as lb
from benchmarks.measure import Measure, percentile, seconds
from livebatch.closures import ship
from livebatch.events import BatchSettled, Event
from livebatch.rdd import RDD
from livebatch.rdd.operation import Read
from livebatch.sql import query

BATCHES, ROWS = 20, 500_000
PAGES, USERS = 1_000, 100_000
ROUNDS = 7
RATIO = 0.7
"""As fast as so many times DuckDB on a Parquet file, or faster."""

LIVE_BATCHES = 100
SLOWER_MS = 50

QUERIES = {
    "count": "SELECT count(*) FROM views",
    "average": "SELECT avg(ms), max(score) FROM views",
    "filter": "SELECT count(*), avg(score) FROM views WHERE ms > 900",
    "by batch": "SELECT batch_time, count(*), sum(ms) FROM views GROUP BY 1 ORDER BY 1",
    "by page": "SELECT page, count(*), avg(ms) FROM views GROUP BY page",
    "by user": "SELECT user, sum(score) FROM views GROUP BY user ORDER BY 2 DESC LIMIT 10",
    "quantile": "SELECT approx_quantile(ms, 0.99), count(DISTINCT user) FROM views WHERE ms > 500",
    "top rows": "SELECT * FROM views ORDER BY score DESC LIMIT 10",
}


def run() -> list[Measure]:
    """Measure each query and its equal on Parquet in turns, then batches with and without."""
    with retained() as ssc, TemporaryDirectory(prefix="lb-") as folder:
        path = Path(folder, "views.parquet")
        pq.write_table(query("FROM views", context=ssc).to_arrow(), path)
        pairs = {name: against_parquet(sql, ssc, path) for name, sql in QUERIES.items()}
        alone = delays(ssc)
        with without_pause(partial(query, QUERIES["by page"], context=ssc)):
            beside = delays(ssc)
    return [
        *(compared(name, ours, theirs) for name, (ours, theirs) in pairs.items()),
        mean_of([ours / theirs for ours, theirs in pairs.values()]),
        Measure("100 ms batches while queries run without pause (p50)", median(beside), "ms",
                None, median(alone), "without queries"),
        Measure("the same (p99)", percentile(beside, 0.99), "ms",
                percentile(alone, 0.99) + SLOWER_MS, percentile(alone, 0.99), "without queries"),
    ]  # fmt: skip


def compared(name: str, ours: float, theirs: float) -> Measure:
    """Return how long a query takes beside DuckDB on Parquet."""
    beside = "DuckDB, the same threads, a Parquet file in the page cache"
    return Measure(f"{name} (median of {ROUNDS})", ours * 1000, "ms", None, theirs * 1000, beside)


def mean_of(ratios: list[float]) -> Measure:
    """Return the geometric mean of the ratios to Parquet."""
    mean = float(np.exp(fmean(map(log, ratios))))
    return Measure("all of them, as a part of Parquet's time (geometric mean)", mean, "×",
                   round(1 / RATIO, 2))  # fmt: skip


def against_parquet(sql: str, ssc: lb.StreamingContext, path: Path) -> tuple[float, float]:
    """Return the median seconds of a query, and of the same on Parquet, in turns."""
    (setting,) = query("SELECT current_setting('threads') AS threads", context=ssc)
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(ROUNDS):
        ours.append(seconds(lambda: query(sql, context=ssc)))
        theirs.append(seconds(lambda: on_parquet(sql, path, setting["threads"])))
    return median(ours), median(theirs)


def on_parquet(sql: str, path: Path, threads: int) -> pa.Table:
    """Return the result of a query, from a new connection as ours is."""
    with duckdb.connect(config={"threads": threads}) as connection:
        connection.execute(f"CREATE VIEW views AS FROM '{path}'")
        return connection.sql(sql).to_arrow_table()


@contextmanager
def retained() -> Iterator[lb.StreamingContext]:
    """Give a context whose stream ``views`` has settled, and a stream ``live`` that goes on."""
    with lb.StreamingContext("100ms", workers=2) as ssc:
        views = ssc.queue_stream()
        readers = [ship(partial(some_views, seed)) for seed in range(2 * BATCHES)]
        halves = zip(readers[::2], readers[1::2], strict=True)
        ssc.put(views, *(RDD(Read(pair), runner=ssc.runner) for pair in halves))
        ssc.register("views", views)
        live = ssc.queue_stream(default=range(1000)).map(lambda n: (n % 10, n))
        ssc.register("live", live.reduce_by_key(lambda a, b: a + b))
        with settled(ssc, "views") as arrive:
            ssc.start()
            arrive(BATCHES)
        yield ssc


def some_views(seed: int) -> pa.Table:
    """Return half a batch."""
    chance, rows = np.random.default_rng(seed), ROWS // 2
    names = np.array([f"/articles/{number}" for number in range(PAGES)])
    return pa.table(
        {
            "page": names[chance.integers(0, PAGES, rows)],
            "user": chance.integers(0, USERS, rows),
            "ms": chance.integers(0, 1000, rows),
            "score": chance.random(rows),
        }
    )


@contextmanager
def settled(ssc: lb.StreamingContext, name: str) -> Iterator[Callable[[int], list[int]]]:
    """Give a function that waits for so many batches of a stream and returns their delays."""
    found: list[int] = []
    more = threading.Condition()

    def listen(event: Event) -> None:
        if isinstance(event, BatchSettled) and event.batch.name == name and event.batch.rows:
            with more:
                found.append(event.batch.delay)
                more.notify()

    def arrive(count: int) -> list[int]:
        with more:
            assert more.wait_for(lambda: len(found) >= count, 120), f"only {len(found)} batches"
            return found[:count]

    end = ssc.connection.listen(listen)
    try:
        yield arrive
    finally:
        end()


def delays(ssc: lb.StreamingContext) -> list[int]:
    """Return the milliseconds from batch time to settled of the next batches of ``live``."""
    with settled(ssc, "live") as arrive:
        return arrive(LIVE_BATCHES)


@contextmanager
def without_pause(function: Callable[[], Any]) -> Iterator[None]:
    """Within this, a function is called again and again in a thread of its own."""
    enough = threading.Event()

    def repeat() -> None:
        while not enough.is_set():
            function()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()
