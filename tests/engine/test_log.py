"""The log of batches, also when its end is cut off or damaged."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebatch.engine.log import (
    Allocated,
    Entry,
    FileLog,
    MemoryLog,
    NotSettled,
    Settled,
    before,
    read_log,
)

TIME = st.integers(0, 2**53)
TEXT = st.text(max_size=20)
ENTRIES: st.SearchStrategy[list[Entry]] = st.lists(
    st.one_of(
        st.builds(Allocated, TIME, st.integers(0, 99), st.dictionaries(TEXT, st.lists(TEXT))),
        st.builds(Settled, TIME),
        st.builds(NotSettled, TIME, TEXT, TEXT),
    ),
    max_size=6,
)
SOME: list[Entry] = [
    Allocated(1000, 1, {"in": ["b1", "b2"]}),
    NotSettled(1000, "out", "ValueError: é"),
]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log") / "batches"


def write(path: Path, *entries: Entry) -> list[int]:
    """Write a new log; return where each entry begins, and the end."""
    path.unlink(missing_ok=True)
    log, ends = FileLog(path), [0]
    for entry in entries:
        log.append(entry)
        ends.append(path.stat().st_size)
    log.close()
    return ends


@given(ENTRIES)
def test_entries_are_read_in_the_order_in_which_they_were_written(
    path: Path, entries: list[Entry]
) -> None:
    write(path, *entries)
    assert list(read_log(path)) == entries


@given(ENTRIES, st.data())
def test_of_a_log_that_was_cut_off_the_whole_entries_are_left(
    path: Path, entries: list[Entry], data: st.DataObject
) -> None:
    ends = write(path, *entries)
    size = data.draw(st.integers(0, ends[-1]), "size")
    path.write_bytes(path.read_bytes()[:size])
    assert list(read_log(path)) == entries[: sum(end <= size for end in ends) - 1]


@given(ENTRIES.filter(bool), st.data())
def test_of_a_damaged_log_the_entries_before_the_damage_are_left(
    path: Path, entries: list[Entry], data: st.DataObject
) -> None:
    ends = write(path, *entries)
    written = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, ends[-1] - 1), "at")
    written[at] ^= 1 << data.draw(st.integers(0, 7), "bit")
    path.write_bytes(written)
    found, whole = list(read_log(path)), sum(end <= at for end in ends) - 1
    # Only the length of the last entry can be wrong without harm.
    harmless = at - ends[-2] in range(4)
    assert found == entries[:whole] or (harmless and found == entries)


def test_zeros_at_the_end_are_damage_too(path: Path) -> None:
    # A file system that lost its last writes may have made the file longer all the same.
    write(path, *SOME)
    path.write_bytes(path.read_bytes() + bytes(4096))
    assert list(read_log(path)) == SOME


def test_an_entry_is_there_as_soon_as_it_was_appended(path: Path) -> None:
    path.unlink(missing_ok=True)
    log = FileLog(path)
    log.append(SOME[0])
    assert list(read_log(path)) == SOME[:1]
    log.append(SOME[1])
    assert list(read_log(path)) == SOME
    log.close()


def test_a_log_that_is_opened_again_goes_on(path: Path) -> None:
    write(path, SOME[0])
    log = FileLog(path)
    log.append(SOME[1])
    log.close()
    assert list(read_log(path)) == SOME


def test_only_its_user_may_read_a_log(path: Path) -> None:
    write(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_log_in_memory_keeps_the_order() -> None:
    log = MemoryLog()
    for entry in SOME:
        log.append(entry)
    assert log.entries == SOME


def test_a_log_takes_up_no_more_than_two_files(path: Path) -> None:
    path.unlink(missing_ok=True)
    log = FileLog(path, most=500)
    entries = [Settled(time) for time in range(300)]
    sizes = []
    for entry in entries:
        log.append(entry)
        sizes.append(sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*")))
    log.close()
    assert max(sizes) < 1100
    kept = [*read_log(before(path)), *read_log(path)]
    assert kept == entries[-len(kept) :]
    assert len(kept) > 10
    log.remove()
    assert not list(path.parent.glob(f"{path.name}*"))
