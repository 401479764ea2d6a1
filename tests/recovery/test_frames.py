"""Frames give what they would have given, whenever their engine dies."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livebatch.engine.executors.inline import InlineExecutor
from livebatch.errors import EngineError
from tests.recovery.harness import Crash, Reborn, crashes, play

COLUMNS = {"k": "VARCHAR", "n": "BIGINT", "ts": "TIMESTAMP WITH TIME ZONE"}
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)

FRAMES: dict[str, Callable[[Any], Any]] = {
    "counts of a window": lambda f: f.window("4s", "1s").group_by("k").agg("count(*) AS c"),
    "states of a window": lambda f: (
        f.window("4s", "1s").group_by("k").agg("avg(n) AS a, min(ts) AS t, max(n) AS m")
    ),
    "rows of a window": lambda f: f.window("3s", "1s").group_by("k").agg("mode(n) AS m"),
    "states or rows": lambda f: (
        f.window("4s", "2s").group_by("k").agg("approx_count_distinct(n) AS u")
    ),
    "event time": lambda f: (
        f.window_on("ts", "3s", watermark="2s").group_by("k").agg("sum(n) AS s")
    ),
    "late rows": lambda f: f.window_on("ts", "2s", watermark="1s").late,
}

rows = st.tuples(
    st.sampled_from(["a", "b", None]),
    st.integers(-5, 5) | st.none(),
    st.integers(0, 12).map(lambda seconds: BEGIN + timedelta(seconds=seconds)),
)


@pytest.mark.parametrize("build", FRAMES.values(), ids=FRAMES)
def test_a_frame_is_as_if_nothing_had_happened(
    build: Callable[[Any], Any], every_block_stored: None
) -> None:
    def frame(stream: Any) -> Any:
        return build(stream.to_frame(COLUMNS))

    @settings(max_examples=4)
    @given(st.lists(st.lists(rows, max_size=6), min_size=3, max_size=7), crashes)
    def check(batches: list[list[Any]], deaths: list[Crash]) -> None:
        undisturbed = play(frame, batches, [])
        found = play(frame, batches, deaths, every=2)
        assert {at: _bag(rows) for at, rows in found.items()} == {
            at: _bag(rows) for at, rows in undisturbed.items()
        }

    check()


def _bag(rows: list[Any]) -> list[str]:
    return sorted(map(repr, rows))


@pytest.mark.parametrize("build", ["states of a window", "counts of a window"])
def test_states_of_another_duckdb_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, build: str
) -> None:
    life = Reborn(str(tmp_path), 1, lambda: InlineExecutor(2))
    life.ssc.register("out", FRAMES[build](life.ssc.queue_stream().to_frame(COLUMNS)))
    life.ssc.start()
    life.advance_to(3)
    monkeypatch.setattr("livebatch.engine.versions.duckdb_version", lambda: "9.9")
    with pytest.raises(EngineError, match=r"states that DuckDB .* has made, which DuckDB 9\.9"):
        life.crash()
