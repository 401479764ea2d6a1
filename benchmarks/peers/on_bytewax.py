"""Bytewax, whose steps take batches of a thousand lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import bytewax.operators as op
import msgspec
from bytewax.connectors.files import DirSource
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSink, run_main

from benchmarks.peers import TEN_SECONDS, finished, measured
from benchmarks.peers.data import ADS, WORD

BATCH = 1000


class Event(msgspec.Struct):
    """The fields that are needed."""

    ad_id: str
    event_type: str
    event_time: int


def done(files: list[Path], step: Any) -> list[Any]:
    """Return what a step makes of all batches of lines."""
    flow, found = Dataflow("benchmark"), list[Any]()
    pattern = files[0].name if len(files) == 1 else "*.txt"
    lines = op.input("lines", flow, DirSource(files[0].parent, pattern, BATCH))
    op.output("found", op.flat_map_batch("step", lines, step), TestingSink(found))
    run_main(flow)
    return found


def grep(files: list[Path]) -> int:
    wanted = f" {WORD} "
    return sum(done(files, lambda lines: [sum(wanted in line for line in lines)]))


def campaigns(files: list[Path]) -> list[Any]:
    decode = msgspec.json.Decoder(Event).decode
    of = dict(zip(*(column.to_pylist() for column in ADS.columns), strict=True))

    def step(lines: list[str]) -> Iterable[Any]:
        counts, last = Counter[tuple[int, int]](), 0
        for event in map(decode, lines):
            if event.event_type == "view" and event.ad_id in of:
                last = event.event_time
                counts[last // TEN_SECONDS * TEN_SECONDS, of[event.ad_id]] += 1
        return [(counts, last)]

    total, last = Counter[tuple[int, int]](), 0
    for counts, newest in done(files, step):
        total.update(counts)
        last = max(last, newest)
    return finished(total, last)


if __name__ == "__main__":
    measured({"grep": grep, "campaigns": campaigns})
