"""What a slide of a window costs a core, beside reducing all batches of the window anew."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from operator import add, sub
from time import process_time
from typing import Any

from benchmarks.measure import Measure
from livebatch.testing import ManualContext

ROWS = 1_000
KEYS = (1_000, 100_000)
LENGTHS = (10, 60, 600)
SLIDES = 16

WAYS: dict[str, Callable[[Any, int], Any]] = {
    "anew": lambda s, n: s.reduce_by_key(add).window(n).reduce_by_key(add),
    "with inverse": lambda s, n: s.reduce_by_key_and_window(add, sub, n),
    "with inverse, filtered": lambda s, n: s.reduce_by_key_and_window(add, sub, n, filter_func=any),
    "without inverse": lambda s, n: s.reduce_by_key_and_window(add, None, n),
}


def run() -> list[Measure]:
    """Measure windows of each length and way over the same streams, in this process alone, so
    that what else the machine does counts little."""
    return [measure for keys in KEYS for measure in over(keys)]


def over(keys: int) -> Iterator[Measure]:
    """Yield what slides cost over a stream of so many different keys."""
    seeds = [[seed] for seed in range(max(LENGTHS) + len(LENGTHS) * len(WAYS) * (SLIDES + 2))]
    with ManualContext() as ssc:
        rows = ssc.queue_stream(seeds).flat_map(lambda seed: pairs(seed, keys))
        source = ssc.register("source", rows, retain=max(LENGTHS))
        ssc.start()
        ssc.advance(max(LENGTHS))
        for length in LENGTHS:
            costs = {name: slide(ssc, way(source, length)) for name, way in WAYS.items()}
            anew = costs.pop("anew")
            for name, cost in costs.items():
                what = f"{length} batches of {ROWS:,} rows, {keys:,} keys, {name}"
                yield Measure(what, cost * 1000, "ms", None, anew * 1000, "anew")


def slide(ssc: ManualContext, window: Any) -> float:
    """Return the mean core-seconds of a slide, once the window is full."""
    ssc.register("window", window, retain="1s")
    ssc.advance(1)
    begun = process_time()
    ssc.advance(SLIDES)
    taken = process_time() - begun
    ssc.remove("window")
    return taken / SLIDES


def pairs(seed: int, keys: int) -> list[tuple[int, int]]:
    """Return the rows of a batch."""
    chance = random.Random(seed)
    return [(chance.randrange(keys), 1) for _ in range(ROWS)]
