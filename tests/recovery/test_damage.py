"""A snapshot is damaged, and the one before it is as good, with the log since then."""

from __future__ import annotations

from pathlib import Path

import pytest

from livebatch.engine.executors.inline import InlineExecutor
from livebatch.engine.files import Files
from livebatch.errors import EngineError
from livebatch.testing import START
from tests.recovery.harness import Reborn

BATCHES = [["a", "b"], ["a"], ["c", "a"], ["b"], ["a", "c"], ["c"], ["b"]]


def damage_newest(folder: Path) -> None:
    tear(max((folder / "snapshots").iterdir()))


def tear(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def begun(folder: Path) -> Reborn:
    life = Reborn(str(folder), 1, lambda: InlineExecutor(2))
    words = life.ssc.queue_stream(BATCHES).map(lambda word: (word, 1))
    life.ssc.register("out", words.update_state_by_key(lambda new, n: (n or 0) + len(new)))
    life.ssc.start()
    return life


def test_one_after_the_other_may_be_damaged(tmp_path: Path, every_block_stored: None) -> None:
    life = begun(tmp_path)
    for second in (2, 3, 4, 5):
        life.advance_to(second)
        damage_newest(tmp_path)
        life.crash()
    life.advance_to(7)
    assert dict(life.results("out")[7]) == {"a": 4, "b": 3, "c": 3}


def test_the_one_before_stays_where_one_could_not_be_written(
    tmp_path: Path, every_block_stored: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = begun(tmp_path)
    life.advance_to(2)
    with monkeypatch.context() as full:
        full.setattr("livebatch.engine.files.Files.write", torn)
        life.advance_to(3)
        life.ssc.stepped.run()
        assert "no space" in life.ssc.status().checkpoints.trouble  # type: ignore[union-attr]
    life.advance_to(4)
    life.ssc.stepped.run()
    damage_newest(tmp_path)
    life.crash()
    life.advance_to(7)
    assert dict(life.results("out")[7]) == {"a": 4, "b": 3, "c": 3}


def test_input_stays_for_the_snapshot_that_was_gone_on_from(
    tmp_path: Path, every_block_stored: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = begun(tmp_path)
    life.advance_to(2)
    life.ssc.stepped.run()
    monkeypatch.setattr("livebatch.engine.files.Files.write", torn)
    life.crash()
    life.ssc.stepped.run()
    assert life.ssc.stepped.engine.keeping.since == START + 2000


def test_nothing_begins_anew_in_silence_where_all_are_damaged(
    tmp_path: Path, every_block_stored: None
) -> None:
    life = begun(tmp_path)
    life.advance_to(3)
    there = sorted((tmp_path / "snapshots").iterdir())
    for path in there:
        tear(path)
    for _ in range(2):
        with pytest.raises(EngineError, match="all are damaged: bring the files back"):
            life.crash()
    assert sorted((tmp_path / "snapshots").iterdir()) == there


def test_an_engine_that_died_before_there_was_anything_begins(tmp_path: Path) -> None:
    (tmp_path / "snapshots").mkdir()
    (tmp_path / "snapshots" / f"{1:015}").write_bytes(b"lb01torn")
    life = begun(tmp_path)
    life.advance_to(2)
    life.crash()
    life.advance_to(7)
    assert dict(life.results("out")[7]) == {"a": 4, "b": 3, "c": 3}


write = Files.write


def torn(files: Files, name: str, *chunks: bytes, wait: bool = True) -> None:
    """Write a file; of a snapshot not all."""
    if "-" in name or not files._folder.endswith("snapshots"):
        return write(files, name, *chunks, wait=wait)
    write(files, name, chunks[0][:9])
    raise OSError(28, "No space left on device")


def test_a_change_counts_although_it_cannot_be_logged_where_its_source_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(files: Files, name: str, *chunks: bytes, wait: bool = True) -> None:
        if name.endswith("-Began"):
            raise OSError(28, "No space left on device")
        write(files, name, *chunks, wait=wait)

    life = Reborn(str(tmp_path), 3, lambda: InlineExecutor(2))
    with monkeypatch.context() as nearly:
        nearly.setattr("livebatch.engine.files.Files.write", full)
        ticks = life.ssc.rate_stream(4).map(lambda row: row["value"])
        life.ssc.register("out", ticks)
    life.ssc.start()
    life.advance_to(2)
    life.crash()
    life.advance_to(4)
    found = life.results("out")
    assert sorted(n for second in sorted(found) for n in found[second]) == list(range(16))
