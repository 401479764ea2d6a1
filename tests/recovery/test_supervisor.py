"""The process that starts engines again, and what happens without it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

import livebatch as lb
from livebatch.engine.runtime import clean_stale, find_engine, runtime_dir
from livebatch.errors import EngineLost
from tests.helpers import eventually

pytestmark = pytest.mark.process


def test_an_engine_whose_supervisor_is_killed_goes_on_and_keeps_its_blocks(tmp_path: Path) -> None:
    with lb.StreamingContext("100ms", workers=1, name="alone", checkpoint=tmp_path) as ssc:
        counts = ssc.register("counts", ssc.queue_stream(default=[1, 2]).count())
        ssc.start()
        engine = psutil.Process(ssc.status().pid)
        supervisor = engine.parent()
        assert supervisor is not None
        supervisor.kill()
        supervisor.wait(10)
        eventually(lambda: find_engine("alone").supervisor is None)
        clean_stale()
        assert Path(find_engine("alone").shared_memory).is_dir()
        before = ssc.status()
        assert before.pid == engine.pid
        eventually(lambda: ssc.status().streams[0].batches > before.streams[0].batches + 3)
        assert counts.latest().collect() == [2]
    engine.wait(10)


BUG = """
import signal

def fail(number, frame):
    raise RuntimeError("a bug")

signal.signal(signal.SIGUSR1, fail)
"""
"""Read by every Python process that has its folder on its path: has a signal raise anywhere."""


def end_by_a_bug(ssc: lb.StreamingContext) -> None:
    """Have an engine end, wherever it is, and wait for the next one's batches."""
    eventually(lambda: ssc.status().streams[0].batches > 5)
    before = ssc.status()
    os.kill(before.pid, signal.SIGUSR1)
    eventually(lambda: ssc.status().pid != before.pid)
    eventually(lambda: (ssc.status().streams[0].last or 0) > before.now + 500)


def test_an_engine_that_a_bug_ends_is_started_again_from_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(BUG)
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "checkpoint"
    with lb.StreamingContext("100ms", workers=1, checkpoint=folder, checkpoint_every="1s") as ssc:
        ones = ssc.queue_stream(default=[("n", 1)])
        total = ssc.register("total", ones.update_state_by_key(lambda new, n: sum(new) + (n or 0)))
        ssc.start()
        for _ in range(2):
            end_by_a_bug(ssc)
        states = [state for _, state in total.state.history("n")]
        assert len(states) > 10
        assert states == list(range(states[0], states[0] + len(states)))


def test_an_engine_that_dies_again_and_again_is_given_up(tmp_path: Path) -> None:
    with lb.StreamingContext("100ms", workers=1, checkpoint=tmp_path) as ssc:
        supervisor = psutil.Process(ssc.status().pid).parent()
        assert supervisor is not None
        died: set[int] = set()
        while len(died) < 5:
            engine = eventually(
                lambda: next((p for p in supervisor.children() if p.pid not in died), None)
            )
            engine.kill()
            died.add(engine.pid)
        supervisor.wait(20)
        with pytest.raises(EngineLost):
            ssc.status()


def test_an_engine_started_anew_after_a_crash_has_a_log(tmp_path: Path) -> None:
    options = {"name": "anew", "workers": 1, "checkpoint": tmp_path, "supervised": False}
    ssc = lb.StreamingContext("100ms", **options)
    engine = psutil.Process(ssc.status().pid)
    engine.kill()
    eventually(lambda: not engine.is_running() or engine.status() == psutil.STATUS_ZOMBIE)
    ssc.detach()
    with lb.StreamingContext("100ms", **options) as ssc:
        assert Path(runtime_dir(), "anew.log").exists()


LATE_BUG = """
import sys

if "livebatch.engine" in sys.orig_argv:
    import livebatch.engine.core as core

    def fail(*_):
        raise RuntimeError("a bug after all was set up")

    core.Engine.poll = fail
"""


def test_an_engine_that_fails_late_in_its_start_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(LATE_BUG)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EngineLost, match="could not start: RuntimeError: a bug after all was set"):
        lb.StreamingContext("100ms", workers=1, checkpoint=tmp_path / "checkpoint")
