"""A loop over micro-batches, by hand."""

from __future__ import annotations

from collections import Counter, deque
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.peers import TEN_SECONDS, finished, measured
from benchmarks.peers.data import ADS, WORD

WINDOW = 30
SCHEMA = {"ad_id": pl.String, "event_type": pl.String, "event_time": pl.Int64}


def lines_of(file: Path) -> pl.DataFrame:
    return pl.read_csv(
        file, has_header=False, new_columns=["line"], separator="\x01", quote_char=None
    )


def grep(files: list[Path]) -> int:
    wanted = pl.col("line").str.contains(f" {WORD} ", literal=True)
    return sum(lines_of(file).filter(wanted).height for file in files)


def word_count(files: list[Path]) -> list[Any]:
    """Counts of each batch, a window of those, its top ten."""
    window: deque[pl.DataFrame] = deque(maxlen=WINDOW)
    for file in files:
        words = lines_of(file).select(pl.col("line").str.split(" ").explode().alias("word"))
        window.append(words.group_by("word").agg(pl.len().alias("n")))
        merged = pl.concat(list(window)).group_by("word").agg(pl.col("n").sum())
        top = merged.sort(["n", "word"], descending=[True, False]).head(10)
    return top.rows()


def campaigns(files: list[Path]) -> list[Any]:
    ads, counts, last = pl.from_arrow(ADS), Counter[tuple[int, int]](), 0
    assert isinstance(ads, pl.DataFrame)
    start = pl.col("event_time") // TEN_SECONDS * TEN_SECONDS
    for file in files:
        events = pl.read_ndjson(file, schema=SCHEMA)
        views = events.filter(pl.col("event_type") == "view").join(ads, on="ad_id")
        found = views.group_by(start.alias("start"), "campaign_id").len()
        for begin, campaign, n in found.rows():
            counts[begin, campaign] += n
        last = max(last, views["event_time"].max())  # type: ignore[type-var, assignment]
    return finished(counts, last)


if __name__ == "__main__":
    measured({"grep": grep, "word_count": word_count, "campaigns": campaigns})
