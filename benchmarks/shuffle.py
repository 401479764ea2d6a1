"""Shuffles of a million rows on two workers, beside plain Python, and past a worker's memory."""

from __future__ import annotations

import pickle
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from operator import add, itemgetter
from statistics import median
from typing import Any, TypeAlias

from benchmarks.measure import Measure, seconds
from livebatch.rdd import RDD
from livebatch.testing import ManualContext, local_executor

ROWS, KEYS, WORDS = 1_000_000, 100_000, 1_000
ROUNDS = 3

MIB = 1 << 20
SMALL, LARGE = 384 * MIB, 4096 * MIB
LONG_ROWS, LETTERS = 150_000, 4_000

Pairs: TypeAlias = list[tuple[int, int]]


def run() -> list[Measure]:
    """Measure each shuffle and its equal in one Python process, in turns."""
    rows = pairs(0) + pairs(1)
    words = [f"w{key % WORDS}" for key, _ in rows]
    with local_executor(2) as executor, ManualContext(executor=executor) as ssc:
        stored = ssc.parallelize([0, 1], 2).flat_map(pairs).persist()
        stored.count()
        text = stored.map(lambda row: f"w{row[0] % WORDS}").persist()
        text.count()
        other = stored.map_values(str).filter(lambda row: row[0] < KEYS // 10).persist()
        other.count()
        beside = [(key, str(value)) for key, value in rows if key < KEYS // 10]
        found = [
            compared("count words", lambda: text.count_by_value(), partial(Counter, words)),
            compared("reduce_by_key", lambda: consume(stored.reduce_by_key(add)),
                     partial(reduced, rows)),
            compared("group_by_key", lambda: consume(stored.group_by_key()),
                     partial(grouped, rows)),
            compared("sort_by_key", lambda: consume(stored.sort_by_key()),
                     partial(sorted, rows, key=itemgetter(0))),
            compared("join with a tenth", lambda: consume(stored.join(other)),
                     partial(joined, rows, beside)),
            compared("repartition", lambda: consume(stored.repartition(4)),
                     partial(moved, rows), "pickle and unpickle the rows"),
        ]  # fmt: skip
    return [*found, past_memory()]


def compared(
    what: str,
    ours: Callable[[], Any],
    theirs: Callable[[], Any],
    beside: str = "the same in one Python process, rows at hand",
) -> Measure:
    """Return how long a shuffle takes beside plain Python, medians of runs in turns."""
    ours()
    taken = [(seconds(ours), seconds(theirs)) for _ in range(ROUNDS)]
    mine, plain = (median(column) for column in zip(*taken, strict=True))
    return Measure(f"{what}, {ROWS:,} rows", mine * 1000, "ms", None, plain * 1000, beside)


def past_memory() -> Measure:
    """Return how long sorting takes where the rows are half as much again as a worker's memory,
    beside the same with memory enough."""
    small, large = (sorting(memory) for memory in (SMALL, LARGE))
    size = LONG_ROWS * LETTERS // MIB
    what = f"sort {size} MiB in a worker of {SMALL // MIB} MiB"
    return Measure(what, small, "s", None, large, f"in a worker of {LARGE // MIB} MiB")


def sorting(memory: int) -> float:
    with local_executor(1, memory=memory) as executor, ManualContext(executor=executor) as ssc:
        rows = ssc.parallelize(range(10), 2).flat_map(long_rows)
        return seconds(lambda: consume(rows.sort_by_key(num_partitions=1)))


def consume(rdd: RDD[Any]) -> int:
    """Compute all rows where they are, and bring back only how many there are."""
    return rdd.count()


def pairs(seed: int) -> Pairs:
    """Return half of the rows."""
    chance = random.Random(seed)
    return [(chance.randrange(KEYS), n) for n in range(ROWS // 2)]


def long_rows(seed: int) -> Iterator[tuple[int, bytes]]:
    """Yield a tenth of the long rows."""
    chance = random.Random(seed)
    for n in range(LONG_ROWS // 10):
        yield chance.randrange(LONG_ROWS), n.to_bytes(4, "big") * (LETTERS // 4)


# -- the same in plain Python ------------------------------------------------------------------


def reduced(rows: Pairs) -> dict[int, int]:
    found: defaultdict[int, int] = defaultdict(int)
    for key, value in rows:
        found[key] += value
    return found


def grouped(rows: Pairs) -> dict[int, list[int]]:
    found: defaultdict[int, list[int]] = defaultdict(list)
    for key, value in rows:
        found[key].append(value)
    return found


def joined(rows: Pairs, others: list[tuple[int, str]]) -> int:
    table: defaultdict[int, list[str]] = defaultdict(list)
    for key, text in others:
        table[key].append(text)
    return sum(1 for key, value in rows for _ in table.get(key, ()))


def moved(rows: Pairs) -> Pairs:
    found: Pairs = pickle.loads(pickle.dumps(rows, protocol=5))
    return found
