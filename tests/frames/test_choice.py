"""Windows that are computed now from states, now from rows."""

from __future__ import annotations

import math
from typing import Any

import pytest

from livebatch.frames import choice
from livebatch.frames.choice import Choice
from livebatch.testing import ManualContext, collected
from tests.frames.conftest import Play

COLUMNS = {"k": "VARCHAR", "n": "BIGINT"}
BATCHES: list[list[Any]] = [[(f"k{n % 3}", n * at) for n in range(at % 5 * 2)] for at in range(24)]
SQL = "SELECT k, sum(n) AS s, avg(n) AS a, approx_count_distinct(n) AS d FROM this GROUP BY k"


def wanted(length: int, slide: int) -> list[list[tuple[Any, ...]]]:
    found = []
    for at in range(slide, len(BATCHES) + 1, slide):
        rows = [row for batch in BATCHES[max(0, at - length) : at] for row in batch]
        groups = {key: [n for k, n in rows if k == key] for key, _ in rows}
        found.append(
            sorted((k, sum(ns), sum(ns) / len(ns), len(set(ns))) for k, ns in groups.items())
        )
    return found


@pytest.mark.parametrize("better", [0, math.inf], ids=["stays", "always changes"])
@pytest.mark.parametrize(("length", "slide"), [(4, 1), (6, 2), (5, 1), (2, 3), (3, 2)])
def test_windows_are_the_same_in_both_ways(
    play: Play, monkeypatch: pytest.MonkeyPatch, better: float, length: int, slide: int
) -> None:
    monkeypatch.setattr(choice, "BETTER", better)
    monkeypatch.setattr(choice, "WAIT", 1)
    found = play(lambda f: f.window(length, slide).sql(SQL), COLUMNS, BATCHES)
    assert [sorted(tuple(row.values()) for row in batch) for batch in found] == wanted(
        length, slide
    )


def test_explain_says_how_the_newest_batch_was_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "BETTER", math.inf)
    with ManualContext("1s") as ssc:
        frame = ssc.queue_stream(BATCHES).to_frame(COLUMNS).window("2s").sql(SQL)
        collected(frame)
        ssc.register("sums", frame)
        ssc.start()
        ssc.advance("1s")
        assert "from states" in ssc.explain("sums")
        ssc.advance("4s")
        assert "from window rows" in ssc.explain("sums")


def run(way_costs: tuple[float, float], batches: int) -> list[int]:
    """Return which way each batch was computed in."""
    chosen, ways = Choice(10, 1), []
    for time in range(1, batches + 1):
        way, kept = chosen.ways_at(time)
        assert way in kept
        ways.append(way)
        chosen.took(time, way_costs[way])
    return ways


def test_the_cheaper_way_is_found_and_kept() -> None:
    assert set(run((5, 1), 80)[10:]) == {1}
    assert run((1, 5), 80).count(1) == 1


def test_a_way_whose_inputs_cost_too_much_is_not_even_tried() -> None:
    chosen = Choice(10, 1)
    kept = []
    for time in range(1, 40):
        way, ways = chosen.ways_at(time)
        kept.append(len(ways))
        chosen.took(time, 1.0, 2.0 if len(ways) == 2 else 0.0)
        assert way == 0
    assert sum(kept) == 40


def test_trials_become_rare() -> None:
    assert run((1, 5), 5_000).count(1) < 10


def test_a_way_that_is_a_little_better_is_not_changed_to() -> None:
    assert run((1, 0.9), 80).count(1) == 1


def test_a_trial_that_failed_is_tried_again() -> None:
    chosen = Choice(2, 1)
    ways = []
    for time in range(1, 9):
        way, _ = chosen.ways_at(time)
        ways.append(way)
        if way == 0:
            chosen.took(time, 5.0)
        chosen.forget_before(time - 2)
    assert ways.count(1) >= 2


@pytest.mark.parametrize(("length", "slide"), [(4, 1), (6, 2), (2, 3), (1, 1)])
def test_counts_are_added_and_taken_off(play: Play, length: int, slide: int) -> None:
    def build(frame: Any) -> Any:
        made = frame.window(length, slide).group_by("k").agg("count(n) FILTER (n > 3) AS c")
        assert "taken off" in made.notes
        return made

    found = play(build, COLUMNS, BATCHES)
    for i, batch in enumerate(found):
        at = (i + 1) * slide
        rows = [row for part in BATCHES[max(0, at - length) : at] for row in part]
        keys = {k: sum(n > 3 for key, n in rows if key == k) for k, _ in rows}
        assert {row["k"]: row["c"] for row in batch} == keys
