"""Folders of files: which batches a reader sees, and what is removed."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pytest

import livebatch as lb
from livebatch.clock import SystemClock
from livebatch.errors import DefinitionError, JobFailed, SinkError
from livebatch.interval import to_datetime
from livebatch.sinks import Key, manifest, sink
from livebatch.sinks.folder import Folder
from livebatch.testing import START, ManualContext
from tests.sinks.places import FILES, place

KEY = Key("w", START + 1000)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A folder with three batches of Parquet files."""
    with ManualContext("1s") as ssc:
        rows = [[(f"{batch}", i) for i in range(3)] for batch in range(3)]
        frame = ssc.queue_stream(rows).to_frame({"batch": "VARCHAR", "i": "BIGINT"})
        frame.to_parquet(tmp_path / "out", writer="w")
        ssc.start()
        ssc.advance("3s")
    return tmp_path / "out"


def batch_time(number: int) -> datetime:
    return to_datetime(START + number * 1000)


def test_a_span_of_batches(written: Path) -> None:
    output = lb.read_output(written)
    assert [batch.time for batch in output.batches] == [batch_time(n) for n in (1, 2, 3)]
    assert [batch.rows for batch in output.batches] == [3, 3, 3]
    assert output.num_rows == 9
    assert repr(output) == f"<CommittedOutput {written}: 3 batches, 9 rows>"
    later = lb.read_output(written, begin=batch_time(1), end=batch_time(2))
    assert later.to_pandas()["batch"].tolist() == ["1"] * 3
    none = lb.read_output(written, begin=batch_time(3))
    assert (none.to_arrow().num_rows, none.files, none.readers()) == (0, [], [])


def test_an_output_as_an_rdd(written: Path) -> None:
    with ManualContext() as ssc:
        rdd = ssc.read_output(written, end=batch_time(2))
        assert rdd.map(lambda row: (row["batch"], row["i"])).count_by_key() == {"0": 3, "1": 3}
        assert ssc.read_output(written, begin=batch_time(3)).collect() == []


def test_plain_readers_read_the_folder(written: Path) -> None:
    wanted = [(f"{batch}", i) for batch in range(3) for i in range(3)]
    frame = pd.read_parquet(written)
    assert sorted(frame.itertuples(index=False, name=None)) == wanted
    found = duckdb.sql(f"SELECT * FROM read_parquet('{written}/**/*.parquet') ORDER BY ALL")
    assert found.fetchall() == wanted
    assert {path.parent for path in written.rglob("*.parquet")} == {written / "2023-11-14" / "22"}


def test_a_torn_manifest_counts_as_none_and_is_written_again(written: Path) -> None:
    (path,) = [path for path in written.rglob("*.batch") if str(KEY.time) in path.name]
    whole, made = path.read_bytes(), sink("parquet", {"path": str(written)})
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        assert len(lb.read_output(written).batches) == 2
    part = made.write(KEY, iter([{"batch": "again", "i": 0}]))
    assert made.commit(KEY, [part]).rows == 1
    assert lb.read_output(written, end=batch_time(1)).to_arrow().to_pylist() == [
        {"batch": "again", "i": 0}
    ]


@pytest.mark.parametrize("kind", FILES)
def test_what_an_attempt_that_came_too_late_has_written_is_removed(
    kind: str, tmp_path: Path
) -> None:
    made = place(kind, tmp_path).sink()
    made.prepare()
    early, late = made.write(KEY, iter(["x"])), made.write(KEY, iter(["x"]))
    first = made.commit(KEY, [early])
    assert made.commit(KEY, [late]) == first
    assert made.commit(KEY, [early]) == first  # the same attempt, which was told nothing
    assert data_files(tmp_path) == set(map(Path, first.files))


def data_files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*-w-*") if path.suffix != ".batch"}


def test_vacuum(written: Path) -> None:
    made = sink("parquet", {"path": str(written)})
    counting = data_files(written)
    dead, pending = made.write(KEY, iter([1])), made.write(Key("w", START + 9000), iter([1]))
    hidden = written / "2023-11-14" / "22" / f".{KEY.time}-w-00000-01234567.parquet.ab"
    hidden.write_bytes(b"begun")
    begun = written / "_livebatch" / "2023-11-14" / "22" / f".{KEY.time}-w.batch.cdef"
    begun.write_bytes(b"begun")
    (written / "notes.txt").write_text("not ours")
    for path in written.rglob("*"):
        os.utime(path, (START / 1000, START / 1000))
    fresh = made.write(KEY, iter([1]))
    made_at = SystemClock().now() / 1000 - 60
    os.utime(written / fresh.column("name")[0].as_py(), (made_at, made_at))
    gone = {dead.column("name")[0].as_py()}
    gone |= {str(path.relative_to(written)) for path in (hidden, begun)}
    assert set(lb.vacuum_output(written)) == gone
    kept = {written / part.column("name")[0].as_py() for part in (pending, fresh)}
    assert data_files(written) == counting | kept
    assert lb.vacuum_output(written) == []
    assert lb.vacuum_output(written, "30s") == [fresh.column("name")[0].as_py()]
    assert lb.read_output(written).to_arrow().num_rows == 9
    assert (written / "notes.txt").exists()


@pytest.mark.parametrize(
    ("kind", "compression", "ending"),
    [("text", "gzip", ".txt.gz"), ("json", "zstd", ".jsonl.zst"), ("csv", "bz2", ".csv.bz2"),
     ("csv", "lz4", ".csv.lz4"), ("parquet", "zstd", ".parquet"), ("parquet", None, ".parquet")],
)  # fmt: skip
def test_compressed_files(kind: str, compression: str, ending: str, tmp_path: Path) -> None:
    made = sink(kind, {"path": str(tmp_path), "compression": compression})
    made.prepare()
    receipt = made.commit(KEY, [made.write(KEY, iter(["é"] * 1000))])
    assert receipt.files[0].endswith(ending)
    assert receipt.nbytes < 1000 or (kind, compression) == ("parquet", None)
    assert lb.read_output(tmp_path).to_arrow().column("value").to_pylist() == ["é"] * 1000


def test_csv_with_another_separator(tmp_path: Path) -> None:
    with ManualContext() as ssc:
        ssc.queue_stream([[("a;b", None), ("", "x")]]).repartition(1).to_csv(tmp_path, sep=";")
        ssc.start()
        ssc.advance("1s")
    (file,) = lb.read_output(tmp_path).files
    assert Path(file).read_text() == '"_1";"_2"\n"a;b";\n"";"x"\n'
    rows = lb.read_output(tmp_path).to_arrow().to_pylist()
    assert rows == [{"_1": "a;b", "_2": None}, {"_1": "", "_2": "x"}]


def test_an_object_store_may_leave_torn_files(tmp_path: Path) -> None:
    folder = Folder(f"file://{tmp_path}")  # a URI
    with pytest.raises(SinkError, match="cannot write"):
        folder.put("a/b", lambda file: fail(file))
    assert folder.entries() == []
    assert folder.put("a/b", lambda file: file.write(b"x")) == 1
    assert folder.get("a/b") == b"x"
    assert folder.get("a/c") is None
    folder.remove("a/c")


def fail(file: Any) -> None:
    file.write(b"x" * 100)
    raise OSError(28, "No space left on device")


# -- what goes wrong ------------------------------------------------------------------------------


def define(write: Callable[[Any], Any]) -> None:
    with ManualContext() as ssc:
        write(ssc.queue_stream([["a"] * 1000, ["b"]]))
        ssc.start()
        ssc.advance("2s")
        ssc.await_termination(timeout=0)


def test_a_path_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match=rf"cannot write to {tmp_path}/file/out \(.+\)$"):
        define(lambda s: s.to_json(tmp_path / "file" / "out"))
    with pytest.raises(SinkError, match="cannot reach nowhere://x/y"):
        define(lambda s: s.to_json("nowhere://me:secret@x/y"))


def test_a_folder_of_other_files(written: Path, tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"other?.* kind \(kind parquet, not kind text\)"):
        define(lambda s: s.to_text(written))
    define(lambda s: s.to_csv(tmp_path / "csv", sep=";"))
    with pytest.raises(DefinitionError, match=r"kind csv, sep ;, not kind csv, sep ,"):
        define(lambda s: s.to_csv(tmp_path / "csv"))


def test_options_that_are_wrong(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"compression is one of 'snappy', .*, not 'rar'"):
        define(lambda s: s.to_parquet(tmp_path, compression="rar"))
    with pytest.raises(DefinitionError, match="compression is one of None, 'gzip'"):
        define(lambda s: s.to_text(tmp_path, compression="snappy"))
    with pytest.raises(DefinitionError, match="sep is one character"):
        define(lambda s: s.to_csv(tmp_path, sep="||"))


def test_a_folder_where_nothing_was_written(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=f"no stream was written to {tmp_path}: is the path right"):
        lb.read_output(tmp_path)


def test_a_full_disk_fails_the_batch_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with ManualContext() as ssc:
        ssc.queue_stream([["a"], ["b" * 1000], ["c"]]).to_text(path, writer="w")
        ssc.start()
        ssc.advance("1s")
        with files_of_at_most(800):
            ssc.advance("1s")
        ssc.advance("1s")
        with pytest.raises(JobFailed, match=f"SinkError: cannot write to {path} .*file too large"):
            ssc.await_termination(timeout=0)
    assert lb.read_output(path).to_arrow().column("value").to_pylist() == ["a", "c"]
    assert data_files(path) == set(map(Path, lb.read_output(path).files))


@contextmanager
def files_of_at_most(nbytes: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_that_is_gone(written: Path) -> None:
    output = lb.read_output(written)
    Path(output.files[0]).unlink()
    with pytest.raises(SinkError, match=r"cannot read .*parquet"):
        output.to_arrow()


def test_secrets_are_not_shown() -> None:
    assert str(Folder("s3://key:secret@bucket/x?token=abc")) == "s3://bucket/x"


def test_a_manifest_survives_its_form() -> None:
    schema = pa.schema({"a": pa.int64()}).serialize().to_pybytes()
    made = manifest.Manifest("w", 1, (manifest.File("a", 1, 2, 0),), (schema,))
    assert manifest.decode(manifest.encode(made)) == made
    assert made.columns == [pa.schema({"a": pa.int64()})]
    assert manifest.key_of(manifest.name_of(KEY)) == KEY
    assert manifest.key_of("_livebatch/about.json") is None


def test_hours_are_utc() -> None:
    assert manifest.hour_of(START) == "2023-11-14/22"
    assert manifest.hour_of(START + timedelta(hours=2) // timedelta(milliseconds=1)) == (
        "2023-11-15/00"
    )
