"""Windows of states or of rows, whichever is found to cost less, beside each of the two alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measure import Measure
from benchmarks.peers import work
from livebatch.frames import chosen
from livebatch.frames.choice import Choice
from livebatch.interval import Millis
from livebatch.testing import ManualContext, local_executor

ROWS, WINDOW, BATCHES, COUNTED = 50_000, 4, 16, 6
KEYS = (1_000, 100_000)
CALLS = ("avg(ms)", "approx_quantile(ms, 0.99)", "approx_count_distinct(ms)")
WORSE = 1.3
WAYS = ("states", "rows")


class Fixed(Choice):
    """Uses one way, always."""

    way = 0

    def ways_at(self, time: Millis) -> tuple[int, tuple[int, ...]]:
        return self.way, (self.way,)


def run() -> list[Measure]:
    """Measure each aggregate over few keys and over many."""
    found = []
    with TemporaryDirectory(prefix="lb-") as place, local_executor(1) as executor:
        for keys in KEYS:
            folder = Path(place, str(keys))
            files = number_files(folder, keys)
            found += [measured(call, keys, files, executor) for call in CALLS]
    return found


def measured(call: str, keys: int, files: list[Path], executor: Any) -> Measure:
    """The cost of a slide beside that of the better of the two ways."""
    costs = {}
    for way in range(2):
        with always(way):
            costs[WAYS[way]] = slide_ms(call, files, executor)
    better = min(costs, key=costs.__getitem__)
    ours = slide_ms(call, files, executor)
    what = f"{call} by {keys // 1000} k keys, chosen"
    return Measure(what, ours, "ms", WORSE * costs[better], costs[better], better)


@contextmanager
def always(way: int) -> Iterator[None]:
    """Within this, windows are computed in one way."""
    before, Fixed.way = chosen.Choice, way
    chosen.Choice = Fixed  # type: ignore[misc]
    try:
        yield
    finally:
        chosen.Choice = before  # type: ignore[misc]


def slide_ms(call: str, files: list[Path], executor: Any) -> float:
    """The median CPU time of the last slides, once all is settled."""
    taken = []
    with TemporaryDirectory(prefix="lb-") as folder, ManualContext("1s", executor=executor) as ssc:
        frame = ssc.file_stream(folder, "parquet", {"key": "BIGINT", "ms": "BIGINT"}).to_frame()
        window = frame.window(WINDOW).sql(f"SELECT key, {call} AS v FROM this GROUP BY key")
        ssc.register("window", window)
        ssc.start()
        for number in range(BATCHES):
            begun = work()
            Path(folder, f"{number:03}.parquet").hardlink_to(files[number % len(files)])
            ssc.advance("1s")
            taken.append(work() - begun)
        ssc.await_termination(timeout=0)
    return 1000 * median(taken[-COUNTED:])


def number_files(folder: Path, keys: int) -> list[Path]:
    folder.mkdir()
    chance, files = np.random.default_rng(4), []
    for number in range(WINDOW + 1):
        columns = {"key": chance.integers(0, keys, ROWS), "ms": chance.integers(0, 10_000, ROWS)}
        files.append(folder / f"{number}.parquet")
        pq.write_table(pa.table(columns), files[-1])
    return files
