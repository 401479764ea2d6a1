"""Workers die, by the system's hand and by their own; answers are the same."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from operator import add, sub
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livebatch.engine.executors.local import LocalExecutor
from livebatch.errors import JobFailed
from tests.model.harness import Batches, bags, context, history, play, watch
from tests.model.killing import KillingExecutor
from tests.model.strategies import batches_of, pairs

pytestmark = pytest.mark.process


def total(key: Any, value: Any, state: Any) -> Any:
    if not state.is_timing_out():
        state.update(state.get(0) + value)
    return key, state.get(0)


def first_two(row: Any) -> Any:
    return row[:2]


EXPRESSIONS: list[Callable[[Any], Any]] = [
    lambda s: s.map_values(abs).filter(all),
    lambda s: s.reduce_by_key(add, 3).group_by_key(2).map_values(len),
    lambda s: s.window(3).count(),
    lambda s: s.reduce_by_key_and_window(add, sub, 3, 1),
    lambda s: s.reduce_by_key_and_window(add, None, 4, 1, 3),
    lambda s: s.count_approx_distinct_by_window(4),
    lambda s: s.update_state_by_key(lambda new, n: (n or 0) + len(new)),
    lambda s: s.map_with_state(total, timeout=2).union(s.session_window(2, 0, add).map(first_two)),
    lambda s: s.transform(lambda rdd: rdd.union(rdd)).count_by_value_and_window(2),
]


@settings(max_examples=3)
@given(
    batches_of(pairs, most=5),
    st.lists(st.integers(1, 25), min_size=1, max_size=3, unique=True),
)
def test_killed_workers_change_no_answer(
    local: LocalExecutor, batches: list[list[Any]], moments: list[int]
) -> None:
    executor = KillingExecutor(local, moments)
    with context(executor) as ssc:
        stream = ssc.queue_stream(batches)
        seen = [watch(build(stream)) for build in EXPRESSIONS]
        ssc.start()
        ssc.advance(len(batches))
        ssc.await_termination(timeout=0)
    expected = [build(history(batches)).batches for build in EXPRESSIONS]
    assert [bags(found) for found in seen] == [bags(wanted) for wanted in expected]
    assert len(executor.killed) == len(moments)


def die_once(marker: Path) -> Callable[[Any], Any]:
    """Return a function that kills the process it runs in, the first time it is called."""
    path, unlink = str(marker), os.unlink
    marker.touch()

    def function(row: Any) -> Any:
        with suppress(FileNotFoundError):
            unlink(path)
            os.kill(os.getpid(), signal.SIGKILL)
        return row

    return function


@pytest.mark.parametrize(
    "build",
    [
        lambda s, f: s.map(f).reduce_by_key(add),
        lambda s, f: s.reduce_by_key_and_window(lambda a, b: f(a) + b, sub, 2, 1),
        lambda s, f: s.update_state_by_key(lambda new, n: sum(new, f(n) or 0)),
        lambda s, f: s.map_with_state(lambda key, new, state: state.update(f(new)) or (key, new)),
    ],
    ids=["map", "inverse window", "state", "mapped state"],
)
def test_a_task_that_kills_its_worker_once_is_run_again(
    build: Any, local: LocalExecutor, tmp_path: Path
) -> None:
    batches = [[("a", 1), ("b", 2), ("a", 3)], [("a", 4)], [("b", 5), ("b", 6)]]
    expected = build(history(batches), lambda row: row)
    function = die_once(tmp_path / "marker")
    found = play(lambda s: build(s, function), batches, local)
    assert not (tmp_path / "marker").exists()
    assert bags(found) == bags(expected.batches)


def test_a_task_that_always_kills_its_worker_fails_only_its_batch(local: LocalExecutor) -> None:
    def function(row: int) -> int:
        if row == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return row

    with context(local) as ssc:
        stream = ssc.queue_stream([[1], [2], [3]])
        seen: Batches = watch(stream.map(function))
        ssc.start()
        ssc.advance(3)
        with pytest.raises(JobFailed, match="4 workers died"):
            ssc.await_termination(timeout=0)
    assert seen == {1: [1], 3: [3]}
    assert len(local.pids()) == 2
