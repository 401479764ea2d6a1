"""Engines of real processes that are stopped or killed, and go on."""

from __future__ import annotations

import os
import re
import threading
from itertools import pairwise
from pathlib import Path

import pytest

import livebatch as lb
from livebatch.engine.runtime import runtime_dir
from livebatch.errors import EngineError
from tests.helpers import script
from tests.recovery.processes import context, counted, kill

pytestmark = pytest.mark.process

SCRIPT = """
    import sys
    import livebatch as lb

    def add(new, total):
        count, so_far = total or (0, 0)
        return count + len(new), so_far + sum(new)

    def set_up():
        print("set up")
        ssc = lb.StreamingContext("100ms", workers=1)
        ssc.checkpoint(sys.argv[1])
        numbers = ssc.rate_stream(500).map(lambda row: ("all", row["value"]))
        ssc.register("total", numbers.update_state_by_key(add))
        return ssc

    ssc = lb.StreamingContext.get_or_create(sys.argv[1], set_up, workers=1, supervised=False)
    ssc.start()
    found = ssc.streams["total"].await_batch()
    count, _ = found.collect_as_map()["all"]
    ssc.streams["total"].await_batch(lambda rdd: rdd.first()[1][0] > count + 100)
    ssc.stop(stop_gracefully=True)
    print(count)
"""


def test_a_script_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    folder, said = tmp_path / "checkpoint", []
    for _ in range(2):
        with script(tmp_path, SCRIPT, str(folder)) as running:
            said.append(running.finish().split())
    (*first, at_first), (*second, later) = said
    assert (first, second) == (["set", "up"], [])
    assert int(later) > int(at_first) + 100
    with context(folder) as ssc:
        assert counted(ssc) > int(later) + 100


def test_missed_batches_are_left_out_if_so_told(tmp_path: Path) -> None:
    with context(tmp_path) as ssc:
        before = counted(ssc, 100)
    with context(tmp_path, missed="skip") as ssc:
        assert counted(ssc, before + 100)
        kept = ssc.status().checkpoints
        times = [rdd.batch_time or 0 for rdd in ssc.settled(ssc.streams["total"])]
    assert kept is not None
    assert kept.recovery is not None
    assert kept.recovery.skipped
    gaps = [(b - a) // 100 - 1 for a, b in pairwise(times) if b - a > 100]
    assert gaps == [kept.recovery.missed]


def test_torn_files_are_passed_over_and_the_log_says_so(tmp_path: Path) -> None:
    ssc = context(tmp_path, checkpoint_every="300ms")
    before = counted(ssc, 300)
    kill(ssc)
    snapshot = sorted((tmp_path / "snapshots").iterdir())[-1]
    allocated = sorted((tmp_path / "log").glob("*-Allocated"))[-1]
    for path in snapshot, allocated, tmp_path / "copies" / allocated.name:
        os.truncate(path, path.stat().st_size // 2)
    with context(tmp_path) as ssc:
        assert counted(ssc, before + 100)
        said = (runtime_dir() / f"{ssc.status().name}.log").read_text()
    assert re.search(r"a checkpoint is damaged, so the one before it is used: .*0000", said)
    assert re.search(rf"passed over a file of the log: .*{allocated.name}", said)


def test_a_folder_is_one_engines(tmp_path: Path) -> None:
    with context(tmp_path) as ssc:
        pid = ssc.status().pid
        for options in {}, {"engine": "embedded"}:
            with pytest.raises(EngineError, match=rf"pid {pid}\): attach to that, stop it, or"):
                context(tmp_path, **options)
        with lb.StreamingContext("100ms", engine="embedded", workers=1) as other:
            with pytest.raises(EngineError, match=rf"pid {pid}\)"):
                other.checkpoint(tmp_path)
            other.checkpoint(tmp_path / "another")
        counted(ssc, 100)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for folder in file, file / "below":
        with pytest.raises(EngineError, match=rf"in {folder} \(not a directory\): give a folder"):
            context(folder)


def test_an_engine_that_cannot_keep_up_still_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = threading.Event()
    monkeypatch.setattr("os.fsync", lambda descriptor: slow.wait(0.03))
    with lb.StreamingContext("20ms", engine="embedded", workers=1, checkpoint=tmp_path) as ssc:
        batches = ssc.register("numbers", ssc.queue_stream(default=[1]))
        ssc.start()
        for _ in range(3):
            assert batches.await_batch().count() == 1
        slow.set()
