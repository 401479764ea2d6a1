"""Polars with one thread in a loop over micro-batches, by hand, with real windows."""

from __future__ import annotations

from collections import Counter, deque
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from benchmarks.peers.answers import TEN_SECONDS, finished, summary
from benchmarks.peers.data import ADS, P99_WINDOW, WINDOW, WORD

Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)

SCHEMA = {"ad_id": pl.String, "event_type": pl.String, "event_time": pl.Int64}
is_wanted = pl.col("line").str.contains(f" {WORD} ", literal=True)
words = pl.col("line").str.split(" ").explode().alias("word")
start = (pl.col("event_time") // TEN_SECONDS * TEN_SECONDS).alias("start")
p99 = pl.col("ms").quantile(0.99, "higher")


def lines_of(file: Path) -> pl.DataFrame:
    return pl.read_csv(
        file, has_header=False, new_columns=["line"], separator="\x01", quote_char=None
    )


def top(counts: Frame) -> Frame:
    return counts.sort(["n", "word"], descending=True).head(10)


def views(events: Frame) -> Frame:
    ads = pl.from_arrow(ADS)
    assert isinstance(ads, pl.DataFrame)
    found = events.filter(pl.col("event_type") == "view")
    return found.join(ads.lazy() if isinstance(found, pl.LazyFrame) else ads, on="ad_id")


def counted(views: Frame) -> Frame:
    """Return the count of each window and campaign, and the last time."""
    groups = views.group_by(start, "campaign_id")
    return groups.agg(pl.len().alias("n"), pl.col("event_time").max().alias("last"))


def grep(files: list[Path]) -> Any:
    return sum(lines_of(file).filter(is_wanted).height for file in files)


def word_count(files: list[Path]) -> Any:
    """Counts of each batch, a window of those, its top ten."""
    window: deque[pl.DataFrame] = deque(maxlen=WINDOW)
    for file in files:
        window.append(lines_of(file).select(words).group_by("word").agg(pl.len().alias("n")))
        found = top(pl.concat(window).group_by("word").agg(pl.col("n").sum()))
    return found.rows()


def campaigns(files: list[Path]) -> Any:
    counts, last = Counter[tuple[int, int]](), 0
    for file in files:
        found = counted(views(pl.read_ndjson(file, schema=SCHEMA)))
        for begin, campaign, n, newest in found.rows():
            counts[begin, campaign] += n
            last = max(last, newest)
    return lambda: finished(counts, last)


def quantiles(files: list[Path]) -> Any:
    """The quantiles of each window's rows."""
    window: deque[pl.DataFrame] = deque(maxlen=P99_WINDOW)
    for file in files:
        window.append(pl.read_parquet(file))
        found = pl.concat(window).group_by("key").agg(p99).rows()
    return lambda: summary(found)
