"""Frames through workers and blocks, beside DuckDB at once and, if there, a loop of Polars."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import duckdb
import numpy as np
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.measure import Measure
from livebatch.testing import ManualContext, collected, local_executor

BATCHES, LINES, WORDS, VOCABULARY, WINDOW = 40, 50_000, 16, 100_000, 30
KEYS, SMALL, SMALL_BATCHES, ROUNDS = 100_000, 1_000, 60, 3
SPLIT = "SELECT unnest(string_split(line, ' ')) AS word FROM"
GREP = "line LIKE '%w99 %'"
TOP = "SELECT word, count(*) AS n FROM {} GROUP BY word ORDER BY n DESC, word LIMIT 10"
P99 = "SELECT key, approx_quantile(ms, 0.99) AS p99 FROM {} GROUP BY key"

Build = Callable[[Any], Any]


def run() -> list[Measure]:
    """Measure each workload in turns, after a first turn that is not counted."""
    with TemporaryDirectory(prefix="lb-") as folder, local_executor(1) as executor:
        lines, events = made(Path(folder, "lines"), line_table), made(Path(folder, "ev"), events_of)
        return [
            *grep(lines, executor),
            *word_count(lines, executor),
            *quantiles(events, executor),
            small_batches(executor),
        ]


def grep(files: list[Path], executor: Any) -> list[Measure]:
    def build(frame: Any) -> Any:
        return frame.filter(GREP).agg(n="count(*)")

    def ours() -> int:
        return sum(row["n"] for batch in streamed(files, build, executor) for row in batch)

    def theirs() -> int:
        return at_once(files, f"SELECT count(*) AS n FROM {{}} WHERE {GREP}")[0]["n"]

    return compared("grep", {"DuckDB at once": theirs}, ours)


def word_count(files: list[Path], executor: Any) -> list[Measure]:
    """The ten words that a window has most of, at every slide; DuckDB counts all words once."""

    def ours() -> list[Any]:
        return streamed(
            files,
            lambda f: f.sql(f"{SPLIT} this").window(WINDOW).sql(TOP.format("this")),
            executor,
        )[-1]

    def once() -> list[Any]:
        at_once(files, TOP.format(f"({SPLIT} {{}})"))
        return at_once_of_last(files)

    return compared("windowed word count", {"DuckDB at once": once, **polars_loop(files)}, ours)


def at_once_of_last(files: list[Path]) -> list[Any]:
    """The last window's answer, for comparison; what it takes is not counted."""
    with uncounted():
        return at_once(files[-WINDOW:], TOP.format(f"({SPLIT} {{}})"))


def quantiles(files: list[Path], executor: Any) -> list[Measure]:
    def ours() -> int:
        return len(
            streamed(files, lambda f: f.window(WINDOW).sql(P99.format("this")), executor)[-1]
        )

    def theirs() -> int:
        return [len(at_once(files[max(0, i - WINDOW) : i], P99)) for i in range(1, len(files) + 1)][
            -1
        ]

    return compared("p99 of 100 k keys", {"DuckDB, every window anew": theirs}, ours)


def small_batches(executor: Any) -> Measure:
    """How long a batch of 1,000 rows takes from tick to settled."""
    rows = [[(f"k{n % 50}", n) for n in range(SMALL)]] * SMALL_BATCHES
    taken: list[float] = []
    with ManualContext("1s", executor=executor) as ssc:
        frame = ssc.queue_stream(rows).to_frame({"k": "VARCHAR", "n": "BIGINT"})
        window = frame.filter("n > 10").window(WINDOW).group_by("k").agg(n="sum(n)")
        ssc.register("small", window)
        ssc.start()
        for _ in range(SMALL_BATCHES):
            begun = perf_counter()
            ssc.advance("1s")
            taken.append(perf_counter() - begun)
    return Measure("1,000 rows to window", median(taken[WINDOW:]) * 1000, "ms", 10)


def compared(
    what: str, others: dict[str, Callable[[], Any]], ours: Callable[[], Any]
) -> list[Measure]:
    """Return records per core-second of all, in turns; the answers must be the same."""
    systems = {"livebatch": ours, **others}
    taken: dict[str, list[float]] = {name: [] for name in systems}
    for turn in range(ROUNDS + 1):
        answers = []
        for name, system in systems.items():
            with suppress(KeyError):
                begun = cpu_seconds()
                answers.append(system())
                if turn:
                    taken[name].append(cpu_seconds() - begun)
        assert all(answer == answers[0] for answer in answers), (what, answers)
    rates = {name: BATCHES * LINES / median(found) / 1e6 for name, found in taken.items()}
    mine = rates["livebatch"]
    return [
        Measure(f"{what}: livebatch", mine, "M rows/core-s", None, rates[name], name)
        for name in others
    ]


_uncounted = 0.0


@contextmanager
def uncounted() -> Iterator[None]:
    """Leave out what is done meanwhile."""
    global _uncounted
    begun = cpu_seconds()
    yield
    _uncounted += cpu_seconds() - begun


def cpu_seconds() -> float:
    """CPU seconds of this process and its children, those that live included."""
    me = psutil.Process()
    times = [process.cpu_times() for process in (me, *me.children(recursive=True))]
    return sum(t.user + t.system for t in times) - _uncounted


def streamed(files: list[Path], build: Build, executor: Any) -> list[list[Any]]:
    """What a stream gives of files that come one by one."""
    with TemporaryDirectory(prefix="lb-") as folder, ManualContext("1s", executor=executor) as ssc:
        columns = pq.read_schema(files[0])
        found = collected(build(ssc.file_stream(folder, "parquet", columns).to_frame()))
        ssc.start()
        for file in files:
            os.link(file, Path(folder, file.name))
            ssc.advance("1s")
        ssc.await_termination(timeout=0)
    return found


def at_once(files: list[Path], sql: str) -> list[Any]:
    """What one thread of DuckDB gives of all files."""
    source = f"read_parquet({[str(file) for file in files]})"
    with duckdb.connect(config={"threads": 1}) as connection:
        return list(connection.sql(sql.format(source)).to_arrow_table().to_pylist())


def polars_loop(files: list[Path]) -> dict[str, Callable[[], Any]]:
    """The same by hand: counts of each batch, a window of those, its top ten."""
    os.environ["POLARS_MAX_THREADS"] = "1"
    try:
        import polars as pl
    except ImportError:
        return {}

    def loop() -> list[Any]:
        window: deque[Any] = deque(maxlen=WINDOW)
        for file in files:
            words = pl.read_parquet(file).select(
                pl.col("line").str.split(" ").explode().alias("word")
            )
            window.append(words.group_by("word").agg(pl.len().alias("n")))
            merged = pl.concat(list(window)).group_by("word").agg(pl.col("n").sum())
            top = merged.sort(["n", "word"], descending=[True, False]).head(10)
        return top.to_dicts()

    return {"a loop of Polars": loop}


def made(folder: Path, table: Callable[[int], pa.Table]) -> list[Path]:
    """Write a file for each batch."""
    folder.mkdir()
    files = [folder / f"{i:03}.parquet" for i in range(BATCHES)]
    for i, file in enumerate(files):
        pq.write_table(table(i), file)
    return files


def line_table(seed: int) -> pa.Table:
    """Lines of words, of which the n-th is 1/n times as frequent as the first."""
    chance = np.random.default_rng(seed)
    weights = 1 / np.arange(1, VOCABULARY + 1)
    chosen = chance.choice(VOCABULARY, LINES * WORDS, p=weights / weights.sum())
    words = pa.array([f"w{i}" for i in range(VOCABULARY)]).take(pa.array(chosen))
    offsets = pa.array(np.arange(0, LINES * WORDS + 1, WORDS, dtype=np.int32))
    return pa.table({"line": pc.binary_join(pa.ListArray.from_arrays(offsets, words), " ")})


def events_of(seed: int) -> pa.Table:
    chance = np.random.default_rng(seed)
    return pa.table({"key": chance.integers(0, KEYS, LINES), "ms": chance.exponential(30, LINES)})
