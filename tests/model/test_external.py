"""Sorting, grouping, joining and dividing more rows than memory holds."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebatch import scratch
from livebatch.block import Pickled, encode_rows, read_parts, read_rows
from livebatch.engine.store import MemoryStore
from livebatch.errors import UnstableKey
from livebatch.rdd import functions as run
from livebatch.rdd.external import sorted_rows
from livebatch.testing import ManualContext, local_executor

pairs = st.lists(st.tuples(st.integers(-3, 30), st.integers()), max_size=200)


def filling(seed: int) -> Callable[[], int]:
    """Return what tells of memory that is fuller than ever seed third time or so."""
    chance, looks = random.Random(seed), count(1)
    return lambda: 1000 * next(looks) if chance.random() < 1 / 3 else 1


@pytest.fixture(autouse=True)
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "memory", scratch.Memory())
    monkeypatch.setattr(scratch, "FIRST", 3)
    monkeypatch.setattr(scratch, "PORTION", 3)
    monkeypatch.setattr(scratch, "PIECE", 64)


def short_of_memory(seed: int) -> None:
    scratch.memory = scratch.Memory(100, filling(seed))


def in_order(rows: Any) -> list[Any]:
    return sorted(rows, key=repr)


@given(
    rows=st.lists(st.tuples(st.integers(0, 9), st.integers()), max_size=200),
    seed=st.integers(),
)
@pytest.mark.parametrize("reverse", [False, True])
def test_sorting_is_stable_in_either_direction(rows: list[Any], seed: int, reverse: bool) -> None:
    short_of_memory(seed)
    first = lambda row: row[0]  # noqa: E731
    assert list(sorted_rows(first, reverse, rows)) == sorted(rows, key=first, reverse=reverse)


@given(pairs, st.integers())
def test_the_values_of_a_key_stay_in_order(rows: list[Any], seed: int) -> None:
    groups: dict[Any, list[Any]] = {}
    for key, value in rows:
        groups.setdefault(key, []).append(value)
    short_of_memory(seed)
    assert in_order(run.group_values(iter(rows))) == in_order(groups.items())
    text = run.combine_values(str, lambda a, b: f"{a},{b}", iter(rows))
    assert dict(text) == {key: ",".join(map(str, values)) for key, values in groups.items()}


@given(pairs, st.integers())
def test_counting(rows: list[Any], seed: int) -> None:
    short_of_memory(seed)
    assert dict(run.count_values(iter(rows))) == Counter(rows)
    totals: Counter[Any] = Counter()
    for key, number in rows:
        totals[key] += number
    assert dict(run.sum_counts(iter(rows))) == totals


JOINS: dict[Callable[..., Any], Callable[[list[Any], list[Any]], list[Any]]] = {
    run.inner_join: lambda a, b: [(k, (v, w)) for k, v in a for j, w in b if j == k],
    run.left_join: lambda a, b: [(k, (v, w)) for k, v in a for w in there(b, k) or [None]],
    run.right_join: lambda a, b: [(k, (v, w)) for k, w in b for v in there(a, k) or [None]],
    run.full_join: lambda a, b: [
        *((k, (v, w)) for k, v in a for w in there(b, k) or [None]),
        *((k, (None, w)) for k, w in b if not there(a, k)),
    ],
    run.without_keys: lambda a, b: [(k, v) for k, v in a if not there(b, k)],
    run.keys_of_both: lambda a, b: [(k, None) for k in {k for k, _ in a} & {k for k, _ in b}],
}


def there(rows: list[Any], wanted: Any) -> list[Any]:
    return [value for key, value in rows if key == wanted]


@given(here=pairs, other=pairs, seed=st.integers())
@pytest.mark.parametrize("join", JOINS, ids=lambda join: join.__name__)
def test_joins(join: Callable[..., Any], here: list[Any], other: list[Any], seed: int) -> None:
    short_of_memory(seed)
    assert in_order(join(iter(here), iter(other))) == in_order(JOINS[join](here, other))


def test_memory_that_is_always_full_ends_all_the_same() -> None:
    looks = iter([1])
    scratch.memory = scratch.Memory(100, lambda: next(looks, 1000))
    rows = [(n % 100, n) for n in range(1000)]
    assert dict(run.group_values(iter(rows))) == {k: list(range(k, 1000, 100)) for k in range(100)}


def test_a_key_that_can_change_is_explained_past_memory_too() -> None:
    short_of_memory(2)
    rows = [(n, n) for n in range(50)]
    with pytest.raises(UnstableKey, match="a key must not change"):
        list(run.group_values(iter([*rows, ([1], 1)])))


@given(st.lists(st.integers() | st.text(max_size=3), max_size=60), st.integers())
def test_rows_of_a_block_come_some_at_a_time(rows: list[Any], seed: int) -> None:
    store = MemoryStore()
    short_of_memory(seed)
    ref = store.put(encode_rows(iter(rows)), "block")
    assert (read_rows(ref, store), ref.rows) == (rows, len(rows))


def test_a_block_of_many_rows_is_read_some_at_a_time() -> None:
    store, used = MemoryStore(), count(0, 10)
    scratch.memory = scratch.Memory(100, lambda: next(used))
    ref = store.put(encode_rows(iter(range(100))), "block")
    parts = list(read_parts(ref, store))
    assert len(parts) > 3
    assert [row for part in parts for row in part] == list(range(100))


def test_many_rows_lie_in_a_file_that_is_gone_with_them() -> None:
    scratch.memory = scratch.Memory(100)
    pickled = Pickled(2)
    for n in range(100):
        pickled.add([[n], ["x" * n]])
    store = MemoryStore()
    ref = store.put(pickled.encoded(), "block")
    assert read_rows(ref.at(0), store) == list(range(100))
    assert read_rows(ref.at(1), store) == ["x" * n for n in range(100)]


# -- in workers ------------------------------------------------------------------------------

MEMORY = 384 << 20
ROWS, LETTERS = 120_000, 4_000


@pytest.fixture(scope="module")
def small_workers() -> Iterator[ManualContext]:
    """A context whose worker has less memory than the rows of the tests take."""
    with local_executor(1, memory=MEMORY) as executor, ManualContext(executor=executor) as ssc:
        yield ssc


def long_rows(split: Any) -> Iterator[tuple[int, bytes]]:
    for first in split:
        chance = random.Random(first)
        for n in range(first, ROWS, 2):
            yield chance.randrange(ROWS), n.to_bytes(4, "big") * (LETTERS // 4)


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.parametrize("operation", ["sort", "group", "distinct", "join", "persist"])
def test_a_worker_goes_past_its_memory(small_workers: ManualContext, operation: str) -> None:
    rows = small_workers.parallelize([0, 1], 2).map_partitions(long_rows)
    if operation == "sort":
        parts = rows.sort_by_key(num_partitions=1).map_partitions(falls).collect()
        assert parts == [(ROWS, 0)]
    elif operation == "group":
        sizes = rows.group_by_key(1).map_values(len)
        assert sizes.values().sum() == ROWS
        assert sizes.keys().distinct().count() == rows.keys().distinct().count()
    elif operation == "distinct":
        assert rows.values().distinct(1).count() == ROWS
    elif operation == "join":
        keyed = rows.map(lambda row: (row[1][:4], row[1]))
        assert keyed.join(keyed, 1).filter(lambda row: row[1][0] == row[1][1]).count() == ROWS
    else:
        kept = rows.coalesce(1).persist()
        assert kept.count() == kept.count() == ROWS
        kept.unpersist()


def falls(rows: Any) -> Iterator[tuple[int, int]]:
    """How many rows there are, and how many are smaller than the one before."""
    count = fallen = 0
    before = -1
    for key, _ in rows:
        count, fallen, before = count + 1, fallen + (key < before), key
    yield count, fallen
