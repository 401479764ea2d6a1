"""Real files in a real folder, with the times that a test gives them."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebatch.closures import Builtin, load
from livebatch.errors import DefinitionError, SourceError
from livebatch.sources import PullSource, files, source
from livebatch.sources.files import CHUNK, read_lines
from livebatch.sources.folder import LOOKBACK

START = 1_700_000_000_000


class Folder:
    """A folder, the source that reads it, and the offsets from one batch to the next."""

    def __init__(self, path: Path) -> None:
        made = source("text_file_stream", {"directory": str(path)})
        assert isinstance(made, PullSource)
        self.path, self.source, self.offsets = path, made, None

    def put(self, name: str, modified: float, text: str = "") -> None:
        """Write a file that was modified so many seconds after the start."""
        path = self.path / name
        path.write_text(text or name)
        ns = START * 1_000_000 + round(modified * 1e9)
        os.utime(path, ns=(ns, ns))

    def plan(self, seconds: float) -> list[str]:
        """The names of the files that a batch reads, so many seconds after the start."""
        readers = self.readers(seconds)
        assert all(reader.args[1:] == ("utf-8",) for reader in readers)
        return [Path(reader.args[0]).name for reader in readers]

    def readers(self, seconds: float) -> list[Builtin]:
        offsets = msgspec.msgpack.decode(msgspec.msgpack.encode(self.offsets))
        assert offsets == self.offsets
        readers, self.offsets = self.source.plan(offsets, START + round(seconds * 1000))
        return readers


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    path = tmp_path / "incoming"
    path.mkdir()
    return Folder(path)


def test_new_files_are_read_once(folder: Folder) -> None:
    folder.put("old", -5)
    assert folder.plan(0) == []
    folder.put("a", 0.5)
    assert folder.plan(1) == ["a"]
    assert folder.plan(2) == []
    folder.put("b", 2.5)
    folder.put("c", 2.1)
    assert folder.plan(3) == ["c", "b"]
    assert [folder.plan(t) for t in range(4, 200)] == [[]] * 196


def test_files_of_one_moment_go_by_name(folder: Folder) -> None:
    folder.plan(0)
    for name in ("b", "a", "B", "c"):
        folder.put(name, 1)
    assert folder.plan(1) == ["B", "a", "b", "c"]


def test_a_file_from_before_is_read_if_it_is_modified_later(folder: Folder) -> None:
    folder.put("recent", -1)
    folder.put("ancient", -1000)
    folder.plan(0)
    assert folder.plan(1) == []
    folder.put("recent", 1.5)
    folder.put("ancient", 1.6)
    assert folder.plan(2) == ["recent", "ancient"]
    assert folder.plan(3) == []


def test_a_late_name_is_looked_back_for_a_minute(folder: Folder) -> None:
    folder.plan(0)
    folder.put("late", 100 - 59.999)
    folder.put("too late", 100 - 60)
    assert folder.plan(100) == ["late"]


def test_what_is_not_data_is_ignored(folder: Folder) -> None:
    folder.plan(0)
    for name in (".hidden", "_SUCCESS", "data"):
        folder.put(name, 1)
    (folder.path / "sub").mkdir()
    (folder.path / "broken").symlink_to("nowhere")
    os.utime(folder.path / "sub", (START / 1000 + 1,) * 2)
    assert folder.plan(1) == ["data"]


def test_a_file_that_still_grows_is_not_read_again(folder: Folder) -> None:
    folder.plan(0)
    folder.put("log", 0.5)
    assert folder.plan(1) == ["log"]
    for t in range(10, 200, 10):
        folder.put("log", t - 1)
        assert folder.plan(t) == []


def test_a_name_may_be_used_again_after_a_minute(folder: Folder) -> None:
    folder.plan(0)
    folder.put("latest", 0.5)
    assert folder.plan(1) == ["latest"]
    folder.put("latest", 2)
    assert folder.plan(3) == []
    assert folder.plan(63) == []
    folder.put("latest", 64)
    assert folder.plan(65) == ["latest"]


def test_a_file_dated_after_the_batch_is_read_at_once_and_once(folder: Folder) -> None:
    folder.plan(0)
    folder.put("ahead", 30)
    assert [folder.plan(t) for t in (1, 2, 30, 31, 91)] == [["ahead"], [], [], [], []]


def test_offsets_hold_no_more_than_the_last_minute(folder: Folder) -> None:
    folder.plan(0)
    for t in range(1, 300):
        folder.put(f"{t}", t)
        assert folder.plan(t) == [f"{t}"]
        assert folder.offsets is not None
        assert sum(map(len, folder.offsets.values())) <= LOOKBACK / 1000


arrivals = st.lists(
    st.tuples(st.floats(0.1, 200), st.floats(0, 59), st.booleans()), min_size=1, max_size=30
)


@given(arrivals)
def test_each_file_is_read_by_the_first_batch_that_finds_it(
    tmp_path_factory: pytest.TempPathFactory, arrivals: list[tuple[float, float, bool]]
) -> None:
    """Files come at some time, dated up to a minute before; some are taken away at once."""
    folder = Folder(tmp_path_factory.mktemp("incoming"))
    folder.plan(0)
    coming = [(at, at - age, f"{i}", gone) for i, (at, age, gone) in enumerate(arrivals)]
    for t in range(1, 202):
        now = [file for file in coming if t - 1 < file[0] <= t]
        for _, modified, name, _ in now:
            folder.put(name, modified)
        order = [name for _, modified, name, _ in sorted(now, key=lambda f: (round(f[1], 9), f[2]))]
        assert folder.plan(t) == order
        for _, _, name, gone in now:
            if gone:
                (folder.path / name).unlink()


def test_a_missing_folder_says_what_to_do_and_loses_nothing(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "later")
    assert folder.plan(0) == []
    with pytest.raises(SourceError, match=r"no such file or directory.*mkdir -p .*later"):
        folder.plan(1)
    folder.path.mkdir()
    folder.put("a", 1.5)
    assert folder.plan(2) == ["a"]


def test_a_folder_that_became_a_file_is_an_error(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "later")
    folder.path.write_text("")
    with pytest.raises(SourceError, match="not a directory"):
        folder.plan(0)


def test_the_readers_give_the_lines(folder: Folder) -> None:
    folder.plan(0)
    lines = [f"{i} €" for i in range(CHUNK // 5)]
    folder.put("a", 1, "\r\n".join(lines))
    folder.put("b", 2, "one\n\ntwo\n")
    readers = [load(reader) for reader in folder.readers(2)]
    assert [list(reader()) for reader in readers] == [lines, ["one", "", "two"]]


def test_a_file_that_has_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        list(read_lines(str(tmp_path / "gone"), "utf-8"))


@pytest.mark.parametrize("directory", ["", " ", None, 3])
def test_what_is_no_path_is_refused(directory: Any) -> None:
    with pytest.raises(DefinitionError, match="directory"):
        source("text_file_stream", {"directory": directory})


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DefinitionError, match="is a file"):
        source("text_file_stream", {"directory": tmp_path / "file"})


def test_no_such_encoding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="encoding"):
        source("text_file_stream", {"directory": tmp_path, "encoding": "no-such"})


def test_options_come_back_with_the_path_made_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = source("text_file_stream", {"directory": "incoming", "encoding": "latin-1"})
    options = msgspec.to_builtins(made)
    assert options == {"directory": str(tmp_path / "incoming"), "encoding": "latin-1"}
    assert source("text_file_stream", options) == made


PARTS = st.sampled_from([b"\n", b"\r", b"a", b"bc", "ü".encode(), b"\xff", b"\0"])


@given(st.lists(PARTS, max_size=14), st.integers(1, 6))
def test_lines_are_the_same_one_by_one_and_as_a_column(parts: list[bytes], piece: int) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "PIECE", piece)
        path = Path(folder, "lines")
        path.write_bytes(b"".join(parts))
        tables = read_lines(str(path), "utf-8").tables
        column = [line for table in tables for line in table.column(0).to_pylist()]
        assert column == list(read_lines(str(path), "utf-8"))
