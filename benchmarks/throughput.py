"""Per-record Python functions in the engine, beside bare processes and PySpark's DStreams."""

from __future__ import annotations

import heapq
import json
import multiprocessing
import os
import random
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from itertools import accumulate
from operator import add, itemgetter, sub
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, NamedTuple
from zlib import crc32

import psutil

import livebatch as lb
from benchmarks.measure import Measure
from benchmarks.peers import Ask, missing, started
from benchmarks.peers.data import SCALE

BATCHES, LINES, WORDS = 14, int(50_000 * SCALE), 16
LARGE = 5
"""So many times as many lines has a batch of grep, which takes so much less time."""

WARM = 2
"""So many batches go ahead and are not counted."""

WINDOW = 6
VOCABULARY = 100_000
PATTERN = f" w{98:05d} "
"""A word that is in 1.3 % of the lines, between spaces."""

PROCESSES, ROUNDS = 2, 3
OF_BARE, OF_DSTREAMS = 0.8, 3.0

Counts = dict[str, int]
second = itemgetter(1)


class Cost(NamedTuple):
    """What some batches took: seconds of all processes' work, and of the clock; and what came out
    of the last, so that all who compute it can be seen to compute the same."""

    work: float
    wall: float
    result: Any


# -- the programs: the same functions for all --------------------------------------------------


def is_wanted(line: str) -> bool:
    return PATTERN in line


def with_one(word: str) -> tuple[str, int]:
    return word, 1


def is_there(pair: tuple[str, int]) -> bool:
    return pair[1] > 0


def rank(pair: tuple[str, int]) -> tuple[int, str]:
    return pair[1], pair[0]


def streams(lines: Any) -> dict[str, Any]:
    """Return livebatch's streams, by what they compute."""
    counts = lines.flat_map(str.split).map(with_one)
    window = counts.reduce_by_key_and_window(add, sub, WINDOW, 1, PROCESSES).filter(is_there)
    return {
        "grep": lines.filter(is_wanted).count(),
        "word count": counts.reduce_by_key(add, PROCESSES).count(),
        "windowed word count": window.count(),
        "top 10 of it": window.top(10, key=rank),
    }


NAMES = ("grep", "word count", "windowed word count", "top 10 of it")


# -- livebatch ---------------------------------------------------------------------------------


def in_engine(ssc: lb.StreamingContext, name: str, folder: Path) -> Cost:
    """Run a program over the files on the workers of an engine process."""
    stream = streams(ssc.queue_stream())[name]
    parts = [[ssc.text_file(str(path), 1) for path in batch] for batch in files(folder)]
    history = [first.union(*others) for first, *others in parts]
    ssc.run_batch(stream, history[:WARM])
    pid = ssc.status().pid
    worked, begun = work_of(os.getpid()) + work_of(pid), perf_counter()
    run = ssc.run_batch(stream, history[WARM:])
    wall = perf_counter() - begun
    work = work_of(os.getpid()) + work_of(pid) - worked
    return Cost(work, wall, run.latest if name == NAMES[3] else run.latest[0])


def work_of(pid: int) -> float:
    """Return the seconds that a process and its descendants have worked; of this process, only
    itself, since the engine is among its descendants."""
    process = psutil.Process(pid)
    others = [] if pid == os.getpid() else process.children(recursive=True)
    times = [each.cpu_times() for each in (process, *others)]
    return sum(t.user + t.system for t in times)


# -- bare processes ----------------------------------------------------------------------------


class Bare:
    """One of the processes: it has a partition of each batch, and of each shuffle.

    Args:
        number: which of the two it is.
        peer: a pipe to the other one.
        name: of the program.
    """

    def __init__(self, number: int, peer: Any, name: str) -> None:
        self._number, self._peer, self._name = number, peer, name
        self._buckets: dict[str, int] = {}
        self._batches: deque[Counts] = deque()
        self._total: Counts = {}

    def batch(self, path: Path) -> Any:
        """Return this process's part of the result of a batch."""
        with path.open(encoding="utf-8") as file:
            lines = map(str.rstrip, file)
            if self._name == "grep":
                return sum(1 for _ in filter(is_wanted, lines))
            words = (word for line in lines for word in line.split())
            counts = self._exchanged(folded(map(with_one, words)))
        if self._name == "word count":
            return len(counts)
        window = self._slid(counts)
        if self._name == "windowed word count":
            return len(window)
        return heapq.nlargest(10, window, key=rank)

    def _exchanged(self, counts: Counts) -> Counts:
        """Return the counts of the words that this process is to have, of both."""
        parts: tuple[list[Any], ...] = ([], [])
        for pair in counts.items():
            parts[self._bucket(pair[0])].append(pair)
        if self._number:
            theirs = self._peer.recv()
            self._peer.send(parts[0])
        else:
            self._peer.send(parts[1])
            theirs = self._peer.recv()
        return folded([*parts[self._number], *theirs])

    def _bucket(self, word: str) -> int:
        if word not in self._buckets:
            self._buckets[word] = crc32(word.encode()) % PROCESSES
        return self._buckets[word]

    def _slid(self, counts: Counts) -> list[tuple[str, int]]:
        total = self._total
        self._batches.append(counts)
        if len(self._batches) > WINDOW:
            for word, count in self._batches.popleft().items():
                total[word] = sub(total[word], count)
        for word, count in counts.items():
            total[word] = add(total[word], count) if word in total else count
        return list(filter(is_there, total.items()))


def folded(pairs: Iterable[tuple[str, int]]) -> Counts:
    """Add up the values of each key, with a function of two values."""
    found: Counts = {}
    for word, count in pairs:
        found[word] = add(found[word], count) if word in found else count
    return found


def bare_process(number: int, peer: Any, answers: Any, name: str, folder: str) -> None:
    """Run a program in one of the processes."""
    bare = Bare(number, peer, name)
    worked = begun = 0.0
    for at, batch in enumerate(files(Path(folder))):
        if at == WARM:  # begin anew, as the run on the engine does
            bare = Bare(number, peer, name)
            worked, begun = work_of(os.getpid()), perf_counter()
        result = bare.batch(batch[number])
    answers.send((work_of(os.getpid()) - worked, perf_counter() - begun, result))


def in_bare_processes(name: str, folder: Path) -> Cost:
    """Run a program over the files in two processes that do nothing else."""
    context = multiprocessing.get_context("spawn")
    ends, answers = context.Pipe(), [context.Pipe() for _ in range(PROCESSES)]
    started = [
        context.Process(target=bare_process, args=(n, ends[n], answers[n][1], name, str(folder)))
        for n in range(PROCESSES)
    ]
    for process in started:
        process.start()
    for end in (*ends, *(theirs for _, theirs in answers)):
        end.close()  # so that one that dies is noticed
    found = [Cost(*mine.recv()) for mine, _ in answers]
    for process in started:
        process.join()
    results = [cost.result for cost in found]
    if name == NAMES[3]:
        result: Any = heapq.nlargest(10, [pair for part in results for pair in part], key=rank)
    else:
        result = sum(results)
    return Cost(sum(c.work for c in found), max(c.wall for c in found), result)


# -- PySpark -----------------------------------------------------------------------------------


def on_dstreams(ask: Ask, name: str, folder: Path) -> Cost:
    """Run a program on PySpark's DStreams."""
    history = files(folder)
    for part in (history[:WARM], history[WARM:]):
        taken = ask(name.replace(" ", "_"), [path for batch in part for path in batch])
    return Cost(*taken)


# -- data, and figures -------------------------------------------------------------------------


def write_files(folder: Path) -> None:
    """Write two files of lines for each batch: 16 words of 5 digits, by Zipf's law."""
    chance = random.Random(1)
    words = [f"w{n:05d}" for n in range(VOCABULARY)]
    weights = list(accumulate(1 / (n + 1) for n in range(VOCABULARY)))
    for batch in range(BATCHES):
        for part in range(PROCESSES):
            drawn = chance.choices(words, cum_weights=weights, k=LINES // PROCESSES * WORDS)
            lines = (" ".join(drawn[i : i + WORDS]) for i in range(0, len(drawn), WORDS))
            path = folder / "small" / f"{batch:03d}-{part}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "large").mkdir()
    for batch in range(BATCHES):
        for part in range(PROCESSES):
            numbers = [(batch + more) % BATCHES for more in range(LARGE)]
            text = "".join((folder / "small" / f"{n:03d}-{part}.txt").read_text() for n in numbers)
            (folder / "large" / f"{batch:03d}-{part}.txt").write_text(text)


def files(folder: Path) -> list[list[Path]]:
    """Return the files of each batch."""
    return [sorted(folder.glob(f"{batch:03d}-*.txt")) for batch in range(BATCHES)]


def run() -> list[Measure]:
    """Measure each program on all of them, in turns."""
    if lacks := missing("programs"):
        print(f"PySpark is left out: {lacks}")
    with TemporaryDirectory(prefix="lb-") as place, ExitStack() as stack:
        folder, ssc = Path(place), stack.enter_context(lb.StreamingContext(workers=PROCESSES))
        write_files(folder)
        spark = None if lacks else stack.enter_context(started("programs"))
        large = {"grep": folder / "large"}
        return [
            measure
            for name in NAMES
            for measure in compared(name, ssc, spark, large.get(name, folder / "small"))
        ]


def compared(name: str, ssc: lb.StreamingContext, spark: Ask | None, folder: Path) -> list[Measure]:
    """Return a program's records per second of work beside the same in bare processes, medians of
    runs in turns, and beside PySpark, if it is there, which runs once."""
    ways: dict[str, Callable[[], Cost]] = {
        "livebatch": partial(in_engine, ssc, name, folder),
        "bare": partial(in_bare_processes, name, folder),
    }
    rounds = [{way: measure() for way, measure in ways.items()} for _ in range(ROUNDS)]
    results = [cost.result for costs in rounds for cost in costs.values()]
    lines = (BATCHES - WARM) * LINES * (LARGE if folder.name == "large" else 1)
    ours = median(costs["livebatch"].work for costs in rounds)
    ratio = median(costs["bare"].work / costs["livebatch"].work for costs in rounds)
    found = [
        Measure(f"{name}: of bare processes, by work", ratio, "×", least=OF_BARE),
        Measure(
            f"{name}: per core-second", lines / ours, "records", None, lines / ours / ratio, "bare"
        ),
    ]
    if spark:
        theirs = on_dstreams(spark, name, folder)
        results.append(theirs.result)
        times = theirs.work / ours
        found.append(Measure(f"{name}: of DStreams, by work", times, "×", least=OF_DSTREAMS))
    assert len(set(map(json.dumps, results))) == 1, results
    return found
