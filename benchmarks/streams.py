"""Streams of tables through workers and blocks, beside DuckDB at once and the peers that are there.

Figures are records per core-second: of all processes, in turns, medians. What each system computes
is the same, which is checked. DuckDB at once does less: no windows, no batches.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import duckdb
import psutil

from benchmarks.measure import Measure
from benchmarks.peers import Taken, apart, is_there
from benchmarks.peers.data import (
    ADS,
    EVENTS,
    LINES,
    SLICE,
    WORD,
    event_files,
    line_files,
    quantile_files,
    sliced,
)
from livebatch.testing import ManualContext, collected, local_executor

WINDOW, SMALL, SMALL_BATCHES, ROUNDS = 30, 1_000, 60, 5
SPLIT = "SELECT unnest(string_split(line, ' ')) AS word FROM"
GREP = f"line LIKE '% {WORD} %'"
TOP = "SELECT word, count(*) AS n FROM {} GROUP BY word ORDER BY n DESC, word LIMIT 10"
P99 = "SELECT key, approx_quantile(ms, 0.99) AS p99 FROM {} GROUP BY key"
EVENT = {"ad_id": "VARCHAR", "event_type": "VARCHAR", "event_time": "BIGINT"}
COUNTS = """
    SELECT time_bucket(to_seconds(10), epoch_ms(event_time)) AS start, campaign_id, count(*) AS n
    FROM events JOIN ads USING (ad_id) WHERE event_type = 'view' GROUP BY ALL"""

Build = Callable[[Any], Any]
Systems = dict[str, tuple[Callable[[], Any], float | None]]


def run() -> list[Measure]:
    """Measure each workload in turns, after a first turn that is not counted."""
    for name in ("polars", "bytewax", "pyspark"):
        if not is_there(name):
            print(f"{name} is not installed, or has no Java: left out")
    with TemporaryDirectory(prefix="lb-") as folder, local_executor(1) as executor:
        lines, events = line_files(Path(folder, "lines")), event_files(Path(folder, "events"))
        slices = sliced(lines, Path(folder, "slices"))
        numbers = quantile_files(Path(folder, "numbers"))
        return [
            *grep(lines, executor),
            *word_count(slices, executor),
            *campaigns(events, executor),
            *quantiles(numbers, executor),
            small_batches(executor),
            scaling(slices),
        ]


def grep(files: list[Path], executor: Any) -> list[Measure]:
    def frames() -> int:
        build = of_lines(lambda frame: frame.filter(GREP).agg(n="count(*)"))
        return sum(row["n"] for batch in streamed(files, build, executor) for row in batch)

    def rows() -> int:
        def is_wanted(line: str) -> bool:
            return f" {WORD} " in line

        build = of_text(lambda lines: lines.filter(is_wanted).count())
        return sum(n for batch in streamed(files, build, executor) for n in batch)

    def at_once() -> Any:
        return asked(f"SELECT count(*) FROM {text(files)} WHERE {GREP}")[0][0]

    others: Systems = {"DuckDB at once": (at_once, 0.8), "livebatch rows": (rows, None)}
    others |= apart(files, "grep", {"polars": None, "bytewax": 3, "pyspark": 15})
    return compared("grep", LINES, others, frames)


def word_count(files: list[Path], executor: Any) -> list[Measure]:
    """The ten words that a window has most of, at every slide; DuckDB counts all words once."""

    def frames() -> list[Any]:
        def build(frame: Any) -> Any:
            return frame.sql(f"{SPLIT} this").window(WINDOW).sql(TOP.format("this"))

        return [(row["word"], row["n"]) for row in streamed(files, of_lines(build), executor)[-1]]

    def at_once() -> list[Any]:
        asked(TOP.format(f"({SPLIT} {text(files)})"))
        with uncounted():  # the last window's answer is for comparison
            return asked(TOP.format(f"({SPLIT} {text(files[-WINDOW:])})"))

    others: Systems = {"DuckDB at once": (at_once, 0.85)}
    others |= apart(files, "word_count", {"polars": 1.5})
    return compared("windowed word count, top 10", LINES, others, frames)


def campaigns(files: list[Path], executor: Any) -> list[Measure]:
    """Views of each campaign in windows of ten seconds of event time."""

    def frames() -> list[Any]:
        def build(lines: Any) -> Any:
            views = lines.to_frame(EVENT, "json").filter("event_type = 'view'").join(ADS, "ad_id")
            timed = views.select("campaign_id, epoch_ms(event_time) AS ts")
            return (
                timed.window_on("ts", "10s", outliers=0).group_by("campaign_id").agg(n="count(*)")
            )

        found = [row for batch in streamed(files, build, executor) for row in batch]
        return sorted((str(r["window_start"]), r["campaign_id"], r["n"]) for r in found)

    def at_once() -> list[Any]:
        source = f"read_json({names(files)}, format='newline_delimited', columns={EVENT})"
        with duckdb.connect(config={"threads": 1}) as connection:
            connection.register("ads", ADS)
            found = connection.sql(COUNTS.replace("events", source)).fetchall()
            with uncounted():  # the windows that no later event has finished
                last = max(start for start, _, _ in found)
        return sorted((str(start), campaign, n) for start, campaign, n in found if start < last)

    others: Systems = {"DuckDB at once": (at_once, 0.8)}
    others |= apart(files, "campaigns", {"polars": None, "bytewax": 3, "pyspark": 15})
    return compared("JSON events, joined, by event time", EVENTS, others, frames)


def quantiles(files: list[Path], executor: Any) -> list[Measure]:
    def frames() -> int:
        found = streamed(files, lambda f: f.window(10).sql(P99.format("this")), executor, "parquet")
        return len(found[-1])

    def anew() -> int:
        for i in range(1, len(files) + 1):
            found = asked(P99.format(f"read_parquet({names(files[max(0, i - 10) : i])})"))
        return len(found)

    others: Systems = {"DuckDB, every window anew": (anew, None)}
    return compared("p99 of 100 k keys", len(files) * SLICE, others, frames, 1)


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


def scaling(files: list[Path]) -> Measure:
    """How much faster two workers are than one at counting words, two files a batch."""

    def build(frame: Any) -> Any:
        return frame.sql(f"{SPLIT} this").group_by("word").agg(n="count(*)").agg(n="max(n)")

    taken: dict[int, list[float]] = {1: [], 2: []}
    with local_executor(1) as one, local_executor(2) as two:
        for turn in range(ROUNDS + 1):
            for workers, executor in ((1, one), (2, two)):
                begun = perf_counter()
                streamed(files, of_lines(build), executor, each=2)
                if turn:
                    taken[workers].append(perf_counter() - begun)
    return Measure("two workers, of one", median(taken[1]) / median(taken[2]), "×", least=1.7)


def compared(
    what: str, records: int, others: Systems, ours: Callable[[], Any], rounds: int = ROUNDS
) -> list[Measure]:
    """Return records per core-second of all, in turns; the answers must be the same."""
    systems = {"livebatch": ours, **{name: system for name, (system, _) in others.items()}}
    taken: dict[str, list[float]] = {name: [] for name in systems}
    for turn in range(rounds + 1):
        answers = {}
        for name, system in systems.items():
            if turn > 1 and name == "pyspark":
                continue  # which takes long to start, and once is enough to tell
            begun = cpu_seconds()
            answer, cpu = system(), cpu_seconds() - begun
            if isinstance(answer, Taken):
                cpu, answer = answer
            answers[name] = answer
            if turn or name == "pyspark":
                taken[name].append(cpu)
        wrong = [name for name, answer in answers.items() if answer != answers["livebatch"]]
        assert not wrong, (what, wrong, answers)
    rates = {name: records / median(found) / 1e6 for name, found in taken.items()}
    mine = rates["livebatch"]
    found = [Measure(f"{what}: livebatch frames", mine, "M records/core-s")]
    for name, (_, least) in others.items():
        of = Measure(f"{what}: of {name}", mine / rates[name], "×", least=least)
        found += [of, Measure(f"{what}: {name}", rates[name], "M records/core-s")]
    return found


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


def of_lines(build: Build) -> Build:
    """Return a program on a frame of lines as one on their stream."""
    return lambda lines: build(lines.to_frame({"line": "VARCHAR"}))


def of_text(build: Build) -> Build:
    return build


def streamed(
    files: Sequence[Path], build: Build, executor: Any, format: str = "text", each: int = 1
) -> list[list[Any]]:
    """What a stream gives of files that come one by one, or ``each`` at a time."""
    with TemporaryDirectory(prefix="lb-") as folder, ManualContext("1s", executor=executor) as ssc:
        if format == "text":
            found = collected(build(ssc.text_file_stream(folder)))
        else:
            columns = {"key": "BIGINT", "ms": "DOUBLE"}
            found = collected(build(ssc.file_stream(folder, format, columns).to_frame()))
        ssc.start()
        for i in range(0, len(files), each):
            for file in files[i : i + each]:
                os.link(file, Path(folder, file.name))
            ssc.advance("1s")
        ssc.await_termination(timeout=0)
    return found


def asked(sql: str) -> list[Any]:
    """What one thread of DuckDB answers."""
    with duckdb.connect(config={"threads": 1}) as connection:
        return connection.sql(sql).fetchall()


def names(files: Sequence[Path]) -> list[str]:
    return [str(file) for file in files]


def text(files: Sequence[Path]) -> str:
    """The lines of files, as DuckDB reads them."""
    options = "delim='\x01', quote='', escape='', header=false, columns={'line': 'VARCHAR'}"
    return f"read_csv({names(files)}, {options})"
