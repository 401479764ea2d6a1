"""Polars with one thread, which asks once of all files: without windows of batches, and so less."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.peers.answers import finished
from benchmarks.peers.data import WINDOW
from benchmarks.peers.on_polars_loop import SCHEMA, counted, is_wanted, top, views, words


def lines_of(files: list[Path]) -> pl.LazyFrame:
    return pl.scan_csv(
        files, has_header=False, new_columns=["line"], separator="\x01", quote_char=None
    )


def grep(files: list[Path]) -> Any:
    return lines_of(files).filter(is_wanted).select(pl.len()).collect(engine="streaming").item()


def word_count(files: list[Path]) -> Any:
    """Count all words once; the last window's top ten are only for comparison."""

    def found(of: list[Path]) -> Any:
        return top(lines_of(of).select(words).group_by("word").agg(pl.len().alias("n"))).collect(
            engine="streaming"
        )

    found(files)
    return lambda: found(files[-WINDOW:]).rows()


def campaigns(files: list[Path]) -> Any:
    found = counted(views(pl.scan_ndjson(files, schema=SCHEMA))).collect(engine="streaming")
    counts = {(start, campaign): n for start, campaign, n, _ in found.rows()}
    last = found["last"].max()
    return lambda: finished(counts, last)  # type: ignore[arg-type]
