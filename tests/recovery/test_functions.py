"""What functions did for batches that have settled is not done again after a crash."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path

import livebatch as lb
from livebatch.engine.executors.inline import InlineExecutor
from livebatch.testing import START
from tests.recovery.harness import Reborn


def note(folder: Path, time: datetime, rdd: lb.RDD[int]) -> None:
    with (folder / str(round(time.timestamp()))).open("a") as file:
        file.write(f"{rdd.count()}\n")


def test_each_is_called_once_and_the_streams_beside_it_go_on(
    tmp_path: Path, every_block_stored: None
) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    life = Reborn(str(tmp_path / "checkpoint"), 10, lambda: InlineExecutor(2))
    numbers = life.ssc.queue_stream([[1], [2, 3], [], [4, 5, 6], [7]])
    life.ssc.register("out", numbers.map(str))
    numbers.foreach_rdd(partial(note, notes))
    life.ssc.start()
    for second in (2, 4):
        life.advance_to(second)
        life.crash()
    life.advance_to(6)
    found = [(int(path.name) - START // 1000, path.read_text()) for path in notes.iterdir()]
    assert sorted(found)[:5] == [(1, "1\n"), (2, "2\n"), (3, "0\n"), (4, "3\n"), (5, "1\n")]
    assert life.results("out")[5] == ["7"]
