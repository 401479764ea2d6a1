"""Bytewax, whose steps take batches: of a thousand lines, or of all lines of a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import bytewax.operators as op
from bytewax.connectors.files import DirSource
from bytewax.dataflow import Dataflow
from bytewax.inputs import DynamicSource, StatelessSourcePartition
from bytewax.testing import TestingSink, run_main

from benchmarks.peers.answers import finished
from benchmarks.peers.functions import Pair, Views, Words, by_window, event, is_view, is_wanted

BATCH = 1000


class Batches(StatelessSourcePartition[str], DynamicSource[str]):
    """The lines of files, in order: those of a file at once."""

    def __init__(self, files: list[Path]) -> None:
        self._files = iter(files)

    def build(self, step_id: str, worker_index: int, worker_count: int) -> Batches:
        return self

    def next_batch(self) -> list[str]:
        return next(self._files).read_text().splitlines()  # its StopIteration is the end


def done(files: list[Path], step: Callable[[list[str]], Iterable[Any]]) -> list[Any]:
    """Return what a step makes of all batches of a thousand lines, in any order."""
    flow, found = Dataflow("benchmark"), list[Any]()
    pattern = files[0].name if len(files) == 1 else "*.txt"
    lines = op.input("lines", flow, DirSource(files[0].parent, pattern, BATCH))
    op.output("found", op.flat_map_batch("step", lines, step), TestingSink(found))
    run_main(flow)
    return found


def grep(files: list[Path]) -> Any:
    return sum(done(files, lambda lines: [sum(map(is_wanted, lines))]))


def word_count(files: list[Path]) -> Any:
    def slid(words: Words | None, lines: list[str]) -> tuple[Words, Any]:
        words = words or Words()
        return words, words.slide(lines)

    flow, found = Dataflow("benchmark"), list[Any]()
    lines = op.input("lines", flow, Batches(files))
    batches = op.flat_map_batch("batch", lines, lambda lines: [("all", lines)])
    op.output("found", op.stateful_map("window", batches, slid), TestingSink(found))
    run_main(flow)
    return found[-1][1]


def campaigns(files: list[Path]) -> Any:
    def step(lines: list[str]) -> Iterable[Pair]:
        views = Views()
        views.add(map(by_window, filter(is_view, map(event, lines))))
        return [(key, (count, views.last)) for key, count in views.counts.items()]

    views = Views()
    views.add(done(files, step))
    return lambda: finished(views.counts, views.last)
