"""Windows of event time: what is in them, when they are finished, and what is late."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livebatch.engine.executors.base import Executor
from livebatch.engine.executors.inline import InlineExecutor
from livebatch.errors import DefinitionError, QueryError
from livebatch.frames import drift
from livebatch.testing import ManualContext, collected

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS = {"ts": "TIMESTAMP WITH TIME ZONE", "k": "VARCHAR"}
SIZE, WAIT = 5, 3
FAR = 10**9

Batches = list[list[tuple[int | None, str]]]


def at(second: int) -> datetime:
    return EPOCH + timedelta(seconds=second)


def played(batches: Batches, executor: Executor) -> tuple[list[Any], list[Any]]:
    """Windows as (start, key, count), and late rows as (second, key), batch by batch."""
    rows = [[(None if s is None else at(s), k) for s, k in batch] for batch in batches]
    with ManualContext("1s", executor=executor) as ssc:
        frame = ssc.queue_stream(rows).to_frame(COLUMNS)
        windows = frame.window_on("ts", f"{SIZE}s", watermark=f"{WAIT}s")
        counts = collected(windows.group_by("k").agg(n="count(*)"))
        late = collected(windows.late)
        ssc.start()
        ssc.advance(len(batches))
        ssc.await_termination(timeout=0)
    closed = [Counter((_second(r["window_start"]), r["k"], r["n"]) for r in b) for b in counts]
    return closed, [Counter((_second(row["ts"]), row["k"]) for row in batch) for batch in late]


def _second(time: datetime | None) -> int | None:
    return None if time is None else round((time - EPOCH).total_seconds())


def wanted(batches: Batches) -> tuple[list[Any], list[Any]]:
    """The same, row by row."""
    seen: list[int] = []
    open_windows: Counter[tuple[int, str]] = Counter()
    mark: float = float("-inf")
    closed, late = [], []
    for batch in batches:
        late.append(Counter())
        for second, key in batch:
            if second is None or second // SIZE * SIZE + SIZE <= mark:
                late[-1][second, key] += 1
            else:
                open_windows[second // SIZE * SIZE, key] += 1
        seen = sorted([*seen, *(s for s, _ in batch if s is not None)])[-2:]
        mark = seen[0] - WAIT if len(seen) == 2 else mark
        done = [window for window in open_windows if window[0] + SIZE <= mark]
        closed.append(Counter((*window, open_windows.pop(window)) for window in done))
    return closed, late


seconds = st.none() | st.integers(0, 40) | st.sampled_from([FAR])
event_batches = st.lists(
    st.lists(st.tuples(seconds, st.sampled_from("ab")), max_size=6), min_size=1, max_size=8
)


@settings(max_examples=12)
@given(event_batches, st.integers(1, 3))
def test_event_time_is_as_row_by_row(batches: Batches, slots: int) -> None:
    assert played(batches, InlineExecutor(slots)) == wanted(batches)


@settings(max_examples=4)
@given(event_batches, st.randoms(use_true_random=False))
def test_the_order_within_a_batch_does_not_matter(batches: Batches, random: Any) -> None:
    shuffled = [random.sample(batch, len(batch)) for batch in batches]
    assert played(shuffled, InlineExecutor(2)) == played(batches, InlineExecutor(2))


def test_one_row_from_the_far_future_makes_no_row_late(executor: Executor) -> None:
    batches: Batches = [[(1, "a"), (FAR, "a")], [(2, "a"), (6, "b")], [(14, "a")], [(1, "b")]]
    closed, late = played(batches, executor)
    assert closed == [Counter(), Counter(), Counter({(0, "a", 2): 1, (5, "b", 1): 1}), Counter()]
    assert late == [Counter(), Counter(), Counter(), Counter({(1, "b"): 1})]


def test_what_windows_of_event_time_refuse() -> None:
    with ManualContext("1s") as ssc:
        frame = ssc.queue_stream().to_frame(COLUMNS)
        with pytest.raises(DefinitionError, match="of type VARCHAR"):
            frame.window_on("k", "5s")
        with pytest.raises(DefinitionError, match="no such column"):
            frame.window_on("t", "5s")
        with pytest.raises(QueryError, match="count\\(DISTINCT k\\) has no states"):
            frame.window_on("ts", "5s").agg(n="count(DISTINCT k)")
        with pytest.raises(QueryError, match=r"LINE 1: sum\(nope\)\n            \^\^\^\^"):
            frame.window_on("ts", "5s").group_by("k").agg(n="sum(nope)")


def test_rows_are_read_once_for_all_that_is_made_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, reads = drift.READERS["rows"], list[int]()

    def counting(table: Any, columns: Any) -> Any:
        reads.append(len(table))
        return reader(table, columns)

    monkeypatch.setitem(drift.READERS, "rows", counting)
    batches: Batches = [[(1, "a")], [(9, "a"), (2, "b")], [(20, "b")]]
    assert played(batches, InlineExecutor()) == wanted(batches)
    assert sum(reads) == 4
