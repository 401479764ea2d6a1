"""Counts of windows that move on, by the hashes of their keys."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livebatch.engine.executors.inline import InlineExecutor
from livebatch.frames import counted
from livebatch.testing import ManualContext, collected

COLUMNS = {"k": "VARCHAR", "n": "DOUBLE"}
keys = st.tuples(st.sampled_from(["", "a", "ß", "b", None]), st.sampled_from([0.0, None, 1.5]))
batches = st.lists(st.lists(keys, max_size=7), min_size=1, max_size=8)
KINDS = {"UUID": "lpad(n::VARCHAR, 32, '0')", "TIMETZ": "'00:00:0' || n", "HUGEINT": "n"}
MOST = "SELECT k, n, count(*) AS c FROM this GROUP BY ALL ORDER BY c DESC LIMIT 2"
hashes = ["hash({})", "hash({}) % 2", "0::UBIGINT"]


@pytest.mark.parametrize("hash_of", hashes, ids=["hashes", "two hashes", "one hash"])
def test_counts_whatever_the_hashes(monkeypatch: pytest.MonkeyPatch, hash_of: str) -> None:
    hashed = counted.hashed

    def other(plan: Any) -> Any:
        own, plan = hash_of.format(plan.keys), hashed(plan)
        queries = {
            part: getattr(plan, part).replace(f"hash({plan.keys})", own)
            for part in ("partial", "merge", "slide")
        }
        return replace(plan, **queries)

    monkeypatch.setattr(counted, "hashed", other)

    @settings(max_examples=15)
    @given(batches, st.integers(1, 4), st.integers(1, 2), st.integers(1, 2))
    def holds(given_batches: list[list[Any]], length: int, slide: int, slots: int) -> None:
        with ManualContext("1s", executor=InlineExecutor(slots)) as ssc:
            frame = ssc.queue_stream(given_batches).to_frame(COLUMNS).window(length, slide)
            found = collected(frame.group_by("k, n").agg(c="count(*)"))
            most = collected(frame.sql(MOST))
            ssc.start()
            ssc.advance(len(given_batches))
            ssc.await_termination(timeout=0)
        for i, (batch, first) in enumerate(zip(found, most, strict=True)):
            at = (i + 1) * slide
            rows = [row for part in given_batches[max(0, at - length) : at] for row in part]
            counts = Counter(rows)
            assert {(row["k"], row["n"]): row["c"] for row in batch} == counts
            assert [row["c"] for row in first] == [n for _, n in counts.most_common(2)]
            assert all(counts[row["k"], row["n"]] == row["c"] for row in first)

    holds()


@pytest.mark.parametrize(("kind", "text"), KINDS.items(), ids=KINDS)
def test_keys_that_arrow_has_as_another_type_are_counted_once(kind: str, text: str) -> None:
    batches = [[("a", 1.0), ("a", 2.0)], [("a", 1.0)], [("a", 2.0), ("a", 1.0)]]
    with ManualContext("1s", executor=InlineExecutor(2)) as ssc:
        frame = ssc.queue_stream(batches).to_frame(COLUMNS).select("n::INTEGER AS n").window(2)
        found = collected(frame.group_by(f"({text})::{kind} AS key").agg(c="count(*)"))
        ssc.start()
        ssc.advance(3)
        ssc.await_termination(timeout=0)
    assert [sorted(row["c"] for row in batch) for batch in found] == [[1, 1], [1, 2], [1, 2]]
