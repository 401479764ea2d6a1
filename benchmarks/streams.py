"""Streams of tables and of rows in an engine of processes, beside other systems on the same files.

All is measured in turns, by one clock, and medians are shown; all have to find the same. DuckDB and
Polars *at once* do less: they have no windows and no batches. DuckDB's *queries* are those of each
batch, with nothing around them, which frames have to carry out, too. Each system has one thread for
its work, PySpark two. ``SCALE=0.1`` makes the files that much smaller, for a quick run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import livebatch as lb
from benchmarks.measure import Measure, Row, at_least, seconds
from benchmarks.peers import Ask, missing, started
from benchmarks.peers.data import (
    EVENTS,
    LINES,
    NUMBERS,
    SPLIT,
    WINDOW,
    event_files,
    line_files,
    quantile_files,
    sliced,
)
from livebatch.testing import ManualContext, local_executor

SMALL, SMALL_BATCHES, ROUNDS = 1_000, 60, 5

SYSTEMS = {
    "frames": "livebatch frames",
    "rows": "livebatch rows",
    "duckdb": "DuckDB at once",
    "duckdb_loop": "DuckDB's queries",
    "polars": "Polars at once",
    "polars_loop": "Polars loop",
    "structured": "Structured Streaming",
    "dstreams": "DStreams",
    "bytewax": "bytewax",
    "pathway": "Pathway",
    "streamz": "streamz",
}

Targets = Mapping[str, float | None]
"""For each system, how much faster than it frames should be, by work."""

GREP: Targets = {
    "rows": None,
    "duckdb": 0.8,
    "duckdb_loop": None,
    "polars": None,
    "polars_loop": None,
    "structured": 15,
    "dstreams": 25,
    "bytewax": 3,
    "pathway": None,
    "streamz": None,
}
CAMPAIGNS = GREP
WORD_COUNT: Targets = {
    "rows": None,
    "duckdb": 0.85,
    "duckdb_loop": None,
    "polars": None,
    "polars_loop": 1.5,
    "dstreams": 25,
    "bytewax": 3,
    "streamz": None,
}
QUANTILES: Targets = {"duckdb": None, "polars_loop": 1.5}


@dataclass(frozen=True)
class Rate:
    """How much a system does, and how much more frames do.

    Attributes:
        workload, system: what is done, and by whom.
        work: thousands of records per CPU second of all processes.
        wall: thousands of records per second.
        by_work, by_wall: frames' rate, divided by this.
        least: what ``by_work`` should be.
    """

    workload: str
    system: str
    work: float
    wall: float
    by_work: float
    by_wall: float
    least: float | None

    @property
    def head(self) -> tuple[str, ...]:
        """What each column is."""
        what = f"{self.workload}, thousands of records"
        return what, "per core-s", "frames are", "target", "per s", "frames are"

    def cells(self) -> tuple[str, ...]:
        """Return it as a row of the table."""
        met = "" if self.least is None else at_least(self.by_work, self.least)
        by_work, by_wall = (f"{ratio:,.2f} ×" for ratio in (self.by_work, self.by_wall))
        return self.system, f"{self.work:,.0f}", by_work, met, f"{self.wall:,.0f}", by_wall


def run() -> Iterator[Sequence[Row]]:
    """Measure each workload on all systems that are there; yield a table of it."""
    for name, label in SYSTEMS.items():
        if lacks := missing(name):
            print(f"{label} is left out: {lacks}")
    with TemporaryDirectory(prefix="lb-") as place, ExitStack() as stack:
        folder = Path(place)
        lines, events = line_files(folder / "lines"), event_files(folder / "events")
        slices = sliced(lines, folder / "slices")
        numbers = quantile_files(folder / "numbers")
        systems = {n: stack.enter_context(started(n)) for n in SYSTEMS if not missing(n)}
        yield compared(systems, "grep", lines, LINES, GREP)
        yield compared(systems, "word_count", slices, LINES, WORD_COUNT)
        yield compared(systems, "campaigns", events, EVENTS, CAMPAIGNS)
        yield compared(systems, "quantiles", numbers, NUMBERS, QUANTILES)
        yield [small_batches(), scaling(slices)]


def compared(
    systems: Mapping[str, Ask], workload: str, files: list[Path], records: int, targets: Targets
) -> list[Rate]:
    """Return the rates of all systems, which take turns once they are warm; their answers must be
    the same."""
    ask = {name: systems[name] for name in ("frames", *targets) if name in systems}
    for each in ask.values():
        each(workload, files[:1])
    rounds = [{name: each(workload, files) for name, each in ask.items()} for _ in range(ROUNDS)]
    right = rounds[0]["duckdb"].answer
    for taken in rounds:
        wrong = {name: t.answer for name, t in taken.items() if t.answer != right}
        assert not wrong, (workload, right, wrong)
    return [
        Rate(
            workload,
            SYSTEMS[name],
            records / median(taken[name].work for taken in rounds) / 1000,
            records / median(taken[name].wall for taken in rounds) / 1000,
            median(taken[name].work / taken["frames"].work for taken in rounds),
            median(taken[name].wall / taken["frames"].wall for taken in rounds),
            targets.get(name),
        )
        for name in ask
    ]


def small_batches() -> Measure:
    """How long a batch of 1,000 rows takes from tick to settled."""
    rows = [[(f"k{n % 50}", n) for n in range(SMALL)]] * SMALL_BATCHES
    with local_executor(1) as executor, ManualContext("1s", executor=executor) as ssc:
        frame = ssc.queue_stream(rows).to_frame({"k": "VARCHAR", "n": "BIGINT"})
        window = frame.filter("n > 10").window(WINDOW).group_by("k").agg(n="sum(n)")
        ssc.register("small", window)
        ssc.start()
        taken = [seconds(lambda: ssc.advance("1s")) for _ in range(SMALL_BATCHES)]
    return Measure("1,000 rows to window", median(taken[WINDOW:]) * 1000, "ms", 10)


def scaling(files: list[Path]) -> Measure:
    """How much faster two workers are than one at counting words, two files a batch; and how much
    faster two processes of DuckDB are that have nothing to do with each other, half of the files
    each."""

    def once(ssc: lb.StreamingContext) -> float:
        words = ssc.queue_stream().to_frame({"line": "VARCHAR"}).sql(SPLIT.format("this"))
        most = words.group_by("word").agg(n="count(*)").agg(n="max(n)")
        parts = [ssc.text_file(str(file), 1) for file in files]
        batches = [a.union(b) for a, b in zip(parts[::2], parts[1::2], strict=True)]
        return seconds(lambda: ssc.run_batch(most, batches))

    def apart(asks: Sequence[Ask]) -> float:
        with ThreadPoolExecutor() as pool:
            parts = [files[i :: len(asks)] for i in range(len(asks))]
            return seconds(
                lambda: list(pool.map(lambda ask, part: ask("words", part), asks, parts))
            )

    ours, bare = [], []
    with (
        lb.StreamingContext(workers=1) as one,
        lb.StreamingContext(workers=2) as two,
        started("duckdb") as first,
        started("duckdb") as second,
    ):
        for _ in range(ROUNDS + 1):
            ours.append(once(one) / once(two))
            bare.append(apart([first]) / apart([first, second]))
    value, limit = median(ours[1:]), median(bare[1:])
    return Measure("two workers, of one", value, "×", None, limit, "two processes apart", 1.7)
