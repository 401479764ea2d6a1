"""The log: entries as files, of which any one may be cut off or damaged."""

from __future__ import annotations

from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebatch.closures import ship
from livebatch.engine.files import Damaged, Files
from livebatch.engine.log import (
    UNKNOWN,
    Allocated,
    Began,
    Changed,
    Entry,
    FileLog,
    MemoryLog,
    NotSettled,
    Settled,
    Started,
    read_log,
)
from livebatch.engine.spill import write_all
from livebatch.graph import Output
from livebatch.rdd import to_lineage
from livebatch.wire import Define, Remove
from tests.engine.lineages import source

TIME = st.integers(0, 2**53)
TEXT = st.text(max_size=20)
LINEAGE = st.lists(st.lists(st.integers(0, 9))).map(lambda rows: to_lineage(source(*rows)))
ENTRIES: st.SearchStrategy[list[Entry]] = st.lists(
    st.one_of(
        st.builds(Allocated, TIME, st.integers(0, 99), st.dictionaries(TEXT, LINEAGE, max_size=2)),
        st.builds(Settled, TIME),
        st.builds(Started, TIME),
        st.builds(NotSettled, TIME, TEXT, TEXT),
        st.builds(Changed, st.builds(Remove, TEXT)),
        st.builds(Began, st.dictionaries(TEXT, st.dictionaries(TEXT, st.integers(0, 9)))),
    ),
    max_size=6,
)
ONCE: list[Entry] = [Started(0), Allocated(1000, 1, {}), NotSettled(1000, "out", "ValueError: é")]


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path)


def written(folder: str, entries: list[Entry]) -> FileLog:
    log = FileLog(folder)
    for entry in entries:
        log.append(entry)
    return log


def damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        changes = {
            "cut off": data[: len(data) // 2],
            "empty": b"",
            "one bit": data[:-1] + bytes([data[-1] ^ 1]),
            "zeros": data + bytes(100),
        }
        path.write_bytes(changes[how])


HOWS = ["gone", "cut off", "empty", "one bit", "zeros"]


@given(ENTRIES, st.integers(0, 6))
def test_entries_are_read_in_the_order_in_which_they_were_written(
    entries: list[Entry], after: int
) -> None:
    folder = mkdtemp()
    written(folder, entries)
    again = FileLog(folder)
    assert again.number == len(entries)
    assert list(again.read(after)) == entries[after:]
    assert read_log(folder) == entries


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("which", ["log", "copies"])
def test_one_damaged_file_costs_no_entry_that_nothing_else_tells_of(
    folder: str, how: str, which: str
) -> None:
    written(folder, ONCE)
    for path in Path(folder, which).iterdir():
        damage(path, how)
    assert list(FileLog(folder).read()) == ONCE


@pytest.mark.parametrize("how", ["cut off", "one bit", "empty"])
def test_which_batch_has_settled_may_get_lost_but_not_what_comes_after(
    folder: str, how: str
) -> None:
    entries = [Allocated(1, 1, {}), Settled(1), Allocated(2, 1, {})]
    log = written(folder, entries)
    damage(Path(folder, "log", log.names()[1]), how)
    found = FileLog(folder)
    assert list(found.read()) == [entries[0], UNKNOWN, entries[2]]
    found.append(Settled(2))
    assert list(FileLog(folder).read())[2:] == [entries[2], Settled(2)]


@pytest.mark.parametrize("how", HOWS)
def test_after_what_cannot_be_read_nothing_is(folder: str, how: str) -> None:
    log = written(folder, [Started(0), Allocated(1, 1, {}), Settled(1)])
    for which in "log", "copies":
        damage(Path(folder, which, log.names()[1]), how)
    found = FileLog(folder)
    assert list(found.read()) == [Started(0)]
    found.cut(1)
    found.append(Allocated(1, 2, {}))
    assert list(FileLog(folder).read()) == [Started(0), Allocated(1, 2, {})]


def test_what_is_forgotten_is_gone_and_the_rest_stays(folder: str) -> None:
    log = written(folder, ONCE)
    log.forget(2)
    assert list(log.read(2)) == list(FileLog(folder).read()) == ONCE[2:]
    assert FileLog(folder).number == 3


def test_code_is_there_before_what_needs_it(folder: str) -> None:
    function = ship(lambda record: record)
    log = written(folder, [Changed(Define((), (Output("out", "in", function),)))])
    assert Files(f"{folder}/code").names() == [function.digest]  # type: ignore[union-attr]
    assert list(log.read()) == list(FileLog(folder).read())


def test_an_entry_that_cannot_be_written_leaves_nothing(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = written(folder, ONCE[:1])
    written_so_far = []

    def fill(file: int, chunks: Any) -> None:
        written_so_far.append(file)
        write_all(file, chunks if len(written_so_far) == 1 else list(chunks)[:1])
        if len(written_so_far) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("livebatch.engine.files.write_all", fill)
    with pytest.raises(OSError, match="No space"):
        log.append(ONCE[1])
    monkeypatch.undo()
    assert [len(list(Path(folder, which).iterdir())) for which in ("log", "copies")] == [1, 1]
    log.append(Settled(5))
    assert list(FileLog(folder).read()) == [ONCE[0], Settled(5)]


@pytest.mark.parametrize("sync", [False, True])
def test_files(folder: str, sync: bool) -> None:
    files = Files(f"{folder}/some/where", sync)
    files.write("b", b"one", memoryview(b"two"))
    files.write("a")
    assert (files.names(), bytes(files.read("b")), bytes(files.read("a"))) == (
        ["a", "b"],
        b"onetwo",
        b"",
    )
    files.write("b", b"new")
    assert bytes(files.read("b")) == b"new"
    files.delete(["a", "not there"])
    assert files.names() == ["b"]
    with pytest.raises(FileNotFoundError):
        files.read("a")


@given(st.binary(max_size=50), st.data())
def test_whatever_is_changed_in_a_file_is_noticed(data: bytes, draw: st.DataObject) -> None:
    files = Files(folder := mkdtemp())
    files.write("one", data)
    path = Path(folder, "one")
    changed = bytearray(path.read_bytes())
    changed[draw.draw(st.integers(0, len(changed) - 1))] ^= draw.draw(st.integers(1, 255))
    path.write_bytes(changed)
    with pytest.raises(Damaged):
        files.read("one")


def test_files_lie_on_any_file_system(folder: str) -> None:
    files = Files(f"file://{folder}/uri")
    files._local = False  # as on an object store
    files.write("one", b"some", b" bytes")
    assert bytes(files.read("one")) == b"some bytes"


def test_a_log_in_memory_keeps_the_order_and_the_newest() -> None:
    log = MemoryLog(most=10)
    for time in range(100):
        log.append(Settled(time))
    assert log.entries[-10:] == [Settled(time) for time in range(90, 100)]
    assert len(log.entries) < 20
