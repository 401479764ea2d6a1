"""livebatch's streams of rows, by Python functions on records, in an engine with one worker."""

from __future__ import annotations

from operator import add, sub
from pathlib import Path
from typing import Any

from benchmarks.peers.answers import finished
from benchmarks.peers.data import WINDOW
from benchmarks.peers.functions import Views, both, by_window, event, is_view, is_wanted, rank
from benchmarks.peers.on_frames import engine, of_lines


def grep(files: list[Path]) -> Any:
    run = of_lines(files, engine().queue_stream().filter(is_wanted).count())
    return lambda: sum(run.rows())


def word_count(files: list[Path]) -> Any:
    ones = engine().queue_stream().flat_map(str.split).map(lambda word: (word, 1))
    counts = ones.reduce_by_key_and_window(add, sub, WINDOW, 1, 1)
    run = of_lines(files, counts.top(10, key=rank))
    return lambda: run.latest


def campaigns(files: list[Path]) -> Any:
    views = engine().queue_stream().map(event).filter(is_view)
    run = of_lines(files, views.map(by_window).reduce_by_key(both, 1))
    found = Views()
    found.add(run.rows())
    return lambda: finished(found.counts, found.last)
