"""Metrics of video sessions: metrics kept × sessions taken in per second, by workers.

Every session counts for the five figures of its cell; all 1,000 are computed anew by every batch.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from operator import add
from statistics import median
from time import perf_counter
from typing import Any

import livebatch as lb
from benchmarks.measure import Measure
from benchmarks.throughput import Cost, work_of

CELLS, FIGURES = 200, 5
METRICS = CELLS * FIGURES
SESSIONS, BEATS, BATCHES = 60_000, 6, 12
WINDOW = 6
PARTITIONS, ROUNDS = 4, 5

Beat = tuple[int, int, bool, float, float, float]
"""Of which session, its cell, whether it is the last, seconds played and stalled, megabits."""

Sums = tuple[float, ...]


# -- the program: the same functions with and without an engine --------------------------------


def by_session(beat: Beat) -> tuple[int, Beat]:
    return beat[0], beat


def follow(session: int, beat: Beat, state: Any) -> tuple[int, Sums] | None:
    """Add a beat to a session; return its cell and its sums if it is over."""
    sums = add_up(state.get((1, 0, 0.0, 0.0, 0.0)), (0, 1, *beat[3:]))
    if not beat[2]:
        state.update(sums)
        return None
    state.remove()
    return beat[1], sums


def add_up(some: Sums, others: Sums) -> Sums:
    return tuple(map(add, some, others))


def figures(pair: tuple[int, Sums]) -> tuple[int, Sums]:
    """Return the five metrics of a cell."""
    cell, (count, beats, played, stalled, megabits) = pair
    share = stalled / (played + stalled)
    return cell, (count, beats / count, played / count, share, megabits / played)


def metrics(beats: Any) -> Any:
    """Return livebatch's stream."""
    over = beats.map(by_session).map_with_state(follow, num_partitions=PARTITIONS)
    return over.reduce_by_key_and_window(add_up, None, WINDOW, 1, PARTITIONS).map(figures)


class Known:
    """The state of a session where there is no engine."""

    def __init__(self, states: dict[int, Sums], key: int) -> None:
        self._states, self._key = states, key

    def get(self, default: Sums) -> Sums:
        return self._states.get(self._key, default)

    def update(self, new: Sums) -> None:
        self._states[self._key] = new

    def remove(self) -> None:
        self._states.pop(self._key, None)


def bare(history: Iterable[list[Beat]]) -> list[tuple[int, Sums]]:
    """Run the program in this process: dicts, and all batches of the window added up."""
    states: dict[int, Sums] = {}
    window: list[dict[int, Sums]] = []
    found: list[tuple[int, Sums]] = []
    for batch in history:
        over = (follow(key, beat, Known(states, key)) for key, beat in map(by_session, batch))
        window = [*window[1 - WINDOW :], folded(pair for pair in over if pair)]
        found = list(map(figures, folded(p for part in window for p in part.items()).items()))
    return found


def folded(pairs: Iterable[tuple[int, Sums]]) -> dict[int, Sums]:
    """Add up the sums of each cell."""
    sums: dict[int, Sums] = {}
    for cell, new in pairs:
        sums[cell] = add_up(sums[cell], new) if cell in sums else new
    return sums


# -- data, and figures -------------------------------------------------------------------------


def heartbeats() -> list[list[Beat]]:
    """Return batches of beats: sessions begin evenly, and each has a beat in every batch."""
    chance = random.Random(1)
    cells = [n % CELLS for n in range(SESSIONS)]
    batches: list[list[Beat]] = [[] for _ in range(BATCHES)]
    for session, cell in enumerate(cells):
        first = session % (BATCHES - BEATS + 1)
        for beat in range(BEATS):
            numbers = chance.random(), chance.random(), chance.random()
            batches[first + beat].append((session, cell, beat == BEATS - 1, *numbers))
    return batches


def in_engine(ssc: lb.StreamingContext, history: Sequence[Any]) -> Cost:
    """Run the program over batches that lie in the engine."""
    pid = ssc.status().pid
    worked, begun = work_of(os.getpid()) + work_of(pid), perf_counter()
    found = ssc.run_batch(metrics(ssc.queue_stream()), history).latest
    wall = perf_counter() - begun
    return Cost(work_of(os.getpid()) + work_of(pid) - worked, wall, found)


def alone(history: Sequence[list[Beat]]) -> Cost:
    """Run the program in this process."""
    worked, begun = work_of(os.getpid()), perf_counter()
    found = bare(history)
    wall = perf_counter() - begun
    return Cost(work_of(os.getpid()) - worked, wall, found)


def kept(ssc: lb.StreamingContext, batch: list[Beat]) -> Any:
    """Return a batch as an RDD whose blocks are in the engine's store."""
    rdd = ssc.parallelize(batch, PARTITIONS).cache()
    rdd.count()
    return rdd


def run() -> list[Measure]:
    """Measure the same sessions on one worker, on two, and without an engine, in turns."""
    history = heartbeats()
    with lb.StreamingContext(workers=1) as first, lb.StreamingContext(workers=2) as second:
        ways: list[Callable[[], Cost]] = [partial(alone, history)]
        for ssc in (first, second):
            ways.append(partial(in_engine, ssc, [kept(ssc, batch) for batch in history]))
        rounds = [[way() for way in ways] for _ in range(ROUNDS + 1)][1:]
    assert all(rounded(cost.result) == rounded(rounds[0][0].result) for cost in chain(*rounds))
    rate = METRICS * SESSIONS / 1e6
    bare_s, one_s, two_s = (median(cost.wall for cost in way) for way in zip(*rounds, strict=True))
    unit, limit = "million metrics × sessions/s", rate / bare_s
    return [
        Measure("one worker", rate / one_s, unit, None, limit, "a bare process"),
        Measure("two workers", rate / two_s, unit, None, limit, "a bare process"),
        Measure("two workers, of one", median(a.wall / b.wall for _, a, b in rounds), "×"),
        Measure("one worker, of bare, by work", median(a.work / b.work for a, b, _ in rounds), "×"),
        Measure(
            "two workers, of bare, by work", median(a.work / b.work for a, _, b in rounds), "×"
        ),
        Measure("two workers: sessions per second", SESSIONS / two_s, "sessions"),
    ]


def rounded(rows: Iterable[tuple[int, Sums]]) -> list[Any]:
    """Return rows in order, without what depends on the order of addition."""
    return sorted((cell, [round(value, 6) for value in sums]) for cell, sums in rows)
