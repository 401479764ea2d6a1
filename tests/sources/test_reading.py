"""Files cut anywhere, and found by every kind of path."""

from __future__ import annotations

import bz2
import gzip
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import csv, parquet

from livebatch import reading
from livebatch.closures import Builtin, load
from livebatch.errors import DefinitionError, SourceError
from livebatch.rdd import RDD
from livebatch.rdd.operation import Read
from livebatch.reading import read, text_file
from livebatch.sources.files import CHUNK, read_lines
from livebatch.sources.paths import find
from livebatch.testing import ManualContext

TABLE = pa.table({"n": range(1000), "word": [f"w{i}" for i in range(1000)]})


def parts(readers: list[Builtin]) -> list[list[Any]]:
    """The rows of every partition, as a worker reads them."""
    travelled = msgspec.msgpack.decode(msgspec.msgpack.encode(readers), type=list[Builtin])
    found = [load(reader)() for reader in travelled]
    return [rows.to_pylist() if isinstance(rows, pa.Table) else list(rows) for rows in found]


def lines_of(text: str) -> list[str]:
    """The lines of a text by the book: a last one without an end is one, too."""
    lines = text.replace("\r\n", "\n").split("\n")
    return lines if lines[-1] else lines[:-1]


texts = st.text(st.sampled_from("ab€😀\n\r"), max_size=60).map(lambda t: t.replace("\r", "\r\n"))


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reading") / "text.txt"


@given(texts, st.integers(1, 70))
def test_each_line_is_read_once_however_a_file_is_split(
    scratch: Path, text: str, partitions: int
) -> None:
    scratch.write_bytes(text.encode())
    read = parts(text_file(scratch, partitions))
    assert [line for part in read for line in part] == lines_of(text)
    assert len(read) == max(1, min(partitions, len(text.encode())))


@given(texts, st.lists(st.integers(0, 200)))
def test_a_line_belongs_to_the_range_in_which_it_starts(
    scratch: Path, text: str, cuts: list[int]
) -> None:
    data = text.encode()
    scratch.write_bytes(data)
    starts = [0, *(i + 1 for i, byte in enumerate(data) if byte == ord("\n"))]
    lines = list(zip(starts, lines_of(text), strict=False))
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in pairwise(bounds):
        inside = [line for at, line in lines if start <= at < end]
        assert list(read_lines(str(scratch), "utf-8", start, end)) == inside


def test_ranges_longer_than_a_chunk(tmp_path: Path) -> None:
    lines = ["x" * (CHUNK * 3), "y", "z" * CHUNK, "", "end"]
    (tmp_path / "long").write_text("\n".join(lines))
    read = parts(text_file(tmp_path / "long", 7))
    assert [line for part in read for line in part] == lines
    assert [len(part) for part in read][:5] == [1, 0, 0, 0, 0]


def test_large_files_are_split_without_being_asked(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1\n2\n3\n4\n5\n")
    (tmp_path / "b").write_text("6\n")
    (tmp_path / "c").write_text("")
    with patch.object(reading, "SPLIT", 4):
        assert parts(text_file(tmp_path)) == [["1", "2"], ["3"], ["4", "5"], ["6"], []]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8-sig"])
def test_files_of_encodings_that_cannot_be_cut_are_not(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a").write_bytes("käse\n\u0a0a\n".encode(encoding))
    assert parts(text_file(tmp_path / "a", 5, encoding)) == [["käse", "\u0a0a"]]


def test_compressed_files_are_not_split(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"1\n2\n" * 100))
    (tmp_path / "b.bz2").write_bytes(bz2.compress(b"3"))
    assert parts(text_file(tmp_path, 8)) == [["1", "2"] * 100, ["3"]]


def test_a_compressed_file_that_is_none_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_text("no such thing")
    with pytest.raises(SourceError, match=r"cannot read .*/a\.gz"):
        parts(text_file(tmp_path))


@pytest.mark.parametrize("count", [0, -1, 1.5, True, None])
def test_what_is_no_number_of_partitions_is_refused(tmp_path: Path, count: Any) -> None:
    with pytest.raises(DefinitionError, match="min_partitions"):
        text_file(tmp_path, count)


def test_no_such_encoding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="encoding"):
        text_file(tmp_path, encoding="no-such")


# -- tables ---------------------------------------------------------------------------------------


def test_a_folder_of_tables(tmp_path: Path) -> None:
    csv.write_csv(TABLE.slice(0, 10), tmp_path / "a.csv")
    parquet.write_table(TABLE.slice(10, 10), tmp_path / "b.parquet")
    rows = TABLE.slice(20, 10).to_pylist()
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(b"\n".join(map(msgspec.json.encode, rows))))
    found = [load(reader)() for reader in read(tmp_path)]
    assert all(table.schema == TABLE.schema for table in found)
    assert pa.concat_tables(found) == TABLE.slice(0, 30)


@given(st.integers(50, 1100), st.integers(1, 20_000))
def test_parquet_is_split_between_row_groups(scratch: Path, rows: int, split: int) -> None:
    parquet.write_table(TABLE, scratch, row_group_size=rows, compression="none")
    with patch.object(reading, "SPLIT", split):
        readers = read(scratch, "parquet")
    groups = [load(reader)() for reader in readers]
    assert pa.concat_tables(groups) == TABLE
    sizes = [g.total_byte_size for g in map(parquet.read_metadata(scratch).row_group,
                                            range(-(-1000 // rows)))]  # fmt: skip
    for reader in readers:
        first, last = reader.args[2:]
        assert last - first == 1 or sum(sizes[first:last]) <= split
    assert len(readers) == 1 or sum(sizes) > split


def test_the_first_file_with_rows_tells_the_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("")
    (tmp_path / "b.csv").write_text("n,word\n")
    (tmp_path / "c.csv").write_text("n,word\n1,x\n")
    (tmp_path / "d.csv").write_text("n,word\ny,x\n")
    readers = read(tmp_path / "[abc].csv")
    assert parts(readers) == [[], [], [{"n": 1, "word": "x"}]]
    with pytest.raises(SourceError, match=r'/d\.csv does not fit: its column "n"'):
        parts(read(tmp_path))
    assert parts(read(tmp_path / "d.csv", schema={"n": "VARCHAR"})) == [[{"n": "y"}]]


def test_files_without_a_row_have_none(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\n")
    assert read(tmp_path) == []
    parquet.write_table(TABLE.slice(0, 0), tmp_path / "b.parquet")
    assert parts(read(tmp_path)) == [[], []]


def test_names_that_do_not_tell_the_format(tmp_path: Path) -> None:
    (tmp_path / "README").write_text("n,word\n1,x\n")
    with pytest.raises(DefinitionError, match="does not tell its format"):
        read(tmp_path)
    assert parts(read(tmp_path, "csv")) == [[{"n": 1, "word": "x"}]]
    with pytest.raises(DefinitionError, match="format must be one of"):
        read(tmp_path, "xls")


def test_what_is_no_parquet_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("no such thing")
    for schema in (None, {"n": "BIGINT"}):
        with pytest.raises(SourceError, match=r"/a\.parquet .*is it Parquet"):
            read(tmp_path, schema=schema)


# -- paths ----------------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with all there may be in one."""
    files = ["a.txt", "b.txt", "c.csv", ".hidden", "_SUCCESS", "2024/a.txt", "2024/05/a.txt",
             "2025/b.txt", "2025/_tmp/x.txt", ".git/a.txt", "lit[1]/käse 1.txt"]  # fmt: skip
    for name in files:
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "tree" / "broken").symlink_to("nowhere")
    return tmp_path / "tree"


ALL = ["2024/05/a.txt", "2024/a.txt", "2025/b.txt", "a.txt", "b.txt", "c.csv", "lit[1]/käse 1.txt"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", ALL),
        ("a.txt", ["a.txt"]),
        (".hidden", [".hidden"]),
        (".git", [".git/a.txt"]),
        ("*.txt", ["a.txt", "b.txt"]),
        ("?.txt", ["a.txt", "b.txt"]),
        ("[!a].*", ["b.txt", "c.csv"]),
        ("*", ALL),
        ("**", ALL),
        ("_*", ["_SUCCESS"]),
        ("202?/*.txt", ["2024/a.txt", "2025/b.txt"]),
        ("202*", ["2024/05/a.txt", "2024/a.txt", "2025/b.txt"]),
        ("**/a.txt", ["2024/05/a.txt", "2024/a.txt", "a.txt"]),
        ("2024/**/a.txt", ["2024/05/a.txt", "2024/a.txt"]),
        ("lit[1]", ["lit[1]/käse 1.txt"]),
        ("lit[1]/*", []),
        ("lit[[]1]/*", ["lit[1]/käse 1.txt"]),
    ],
)
def test_paths(tree: Path, path: str, expected: list[str]) -> None:
    if expected:
        found = find(tree / path)
        assert [os.path.relpath(file.path, tree) for file in found] == expected
        assert [file.size for file in found] == [len(name.encode()) for name in expected]
    else:
        with pytest.raises(SourceError, match="there are no files"):
            find(tree / path)


@pytest.mark.parametrize(
    ("path", "expected"),
    [("", ALL), ("/a.txt", ["a.txt"]), ("/*.txt", ["a.txt", "b.txt"]), ("/**/b.txt",
     ["2025/b.txt", "b.txt"]), ("/lit*/k*", ["lit[1]/käse 1.txt"])],
)  # fmt: skip
def test_uris(tree: Path, path: str, expected: list[str]) -> None:
    readers = text_file(tree.as_uri() + path)
    assert all(reader.args[0].startswith("file:///") for reader in readers)
    assert sorted(parts(readers)) == [[name] for name in expected]


def test_relative_paths_and_the_home_folder(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    monkeypatch.setenv("HOME", str(tree))
    assert find("a.txt") == find("~/a.txt") == find(tree / "a.txt")


def test_what_is_not_there_says_what_to_do(tree: Path) -> None:
    for path in ("gone.txt", "gone/*.txt", "2025/_tmp/*.csv"):
        with pytest.raises(SourceError, match=r"there are no files .*spelt right"):
            text_file(tree / path)
    with pytest.raises(SourceError, match=r"cannot look for .*not a directory"):
        text_file(tree / "a.txt" / "*")
    with pytest.raises(SourceError, match="cannot reach nonsense://x"):
        text_file("nonsense://x")


def test_a_file_that_has_gone_is_an_error(tree: Path) -> None:
    readers = text_file(tree / "a.txt")
    (tree / "a.txt").unlink()
    with pytest.raises(SourceError, match=r"cannot read .*a\.txt \(no such file or directory\)"):
        parts(readers)


def test_rdds_of_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("to be\nor not\nto be\n")
    (tmp_path / "b.csv").write_text("n\n1\n2\n")
    with ManualContext() as ssc:
        lines: RDD[str] = RDD(Read(tuple(text_file(tmp_path / "a.txt", 3))), runner=ssc.runner)
        assert lines.flat_map(str.split).count_by_value() == {"to": 2, "be": 2, "or": 1, "not": 1}
        rows: RDD[Any] = RDD(Read(tuple(read(tmp_path / "*.csv"))), runner=ssc.runner)
        assert rows.map(lambda row: row["n"]).sum() == 3


def test_reading_does_without_pandas(tmp_path: Path) -> None:
    """Which would cost every worker its memory."""
    (tmp_path / "a.csv").write_text("n,at\n1,2024-02-29 12:00\n")
    parquet.write_table(TABLE, tmp_path / "b.parquet")
    script = f"""
import sys, livebatch.engine.worker
from livebatch.closures import load
from livebatch.reading import read
from livebatch.sources import source
rows = [load(reader)().to_pylist() for name in ("a.csv", "b.parquet")
        for reader in read("{tmp_path}/" + name)]
source("replay", dict(data="{tmp_path}/a.csv", time_column="at"))
assert len(rows) == 2 and "pandas" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)
