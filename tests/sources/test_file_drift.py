"""Files whose rows change while they are read: the default goes on, and tells."""

from __future__ import annotations

from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from livebatch.engine.executors.inline import InlineExecutor
from livebatch.errors import DefinitionError, JobFailed
from livebatch.leftout import leaving_out
from livebatch.sources import source
from livebatch.sources.tables import read_row_groups
from livebatch.testing import ManualContext, collected

COLUMNS = {"k": "VARCHAR", "n": "BIGINT", "at": "TIMESTAMP"}
MORNING = datetime(2024, 5, 1, 8)
GOOD = [{"k": "a", "n": 1, "at": MORNING}, {"k": "", "n": None, "at": None}]

CSV = "k,n,at\na,1,2024-05-01T08:00:00\nb,many,\n,NA,\nd,2,noon\ne,3\n"
JSON = """
{"k": "a", "n": 1, "at": "2024-05-01 08:00:00", "more": true}
{"k": "b", "n": "many"}
{"k": "", "n": null}

3
no json
"""


def as_table(path: Path) -> pa.Table:
    table = pa.table(
        {"n": ["1", "many", None], "at": ["2024-05-01T08:00:00", None, None], "k": ["a", "b", ""]}
    )
    if path.suffix == ".parquet":
        parquet.write_table(table, path, row_group_size=1)
        return
    with pa.ipc.new_file(path, table.schema) as file:
        file.write(table)


def write(path: Path) -> None:
    if path.suffix in (".parquet", ".arrow"):
        as_table(path)
    else:
        path.write_text(CSV if path.suffix == ".csv" else JSON)


MISFITS = {"csv": 3, "json": 3, "parquet": 1, "arrow": 1}


def played(folder: Path, format: str, **options: Any) -> tuple[list[Any], list[Any], int]:
    """Return the rows, the errors, and how many bad records there were."""
    with ManualContext("1s", executor=InlineExecutor()) as ssc:
        made = ssc.register("made", ssc.file_stream(str(folder), format, COLUMNS, **options))
        found, errors = collected(made), collected(made.errors)
        ssc.start()
        write(folder / f"some.{format}")
        ssc.advance("2s")
        [status] = [stream for stream in ssc.status().streams if stream.name == "made"]
        ssc.await_termination(timeout=0)
    return [*chain(*found)], [*chain(*errors)], status.bad


@pytest.mark.parametrize("format", MISFITS)
def test_rows_that_do_not_fit_are_left_out_and_told_of(tmp_path: Path, format: str) -> None:
    rows, errors, count = played(tmp_path, format)
    assert rows == GOOD
    assert len(errors) == count == MISFITS[format]
    assert all(f"some.{format}" in error["message"] for error in errors)
    assert sum("many" in error["record"] for error in errors) == 1


@pytest.mark.parametrize("format", MISFITS)
def test_they_fail_their_batch_where_that_is_wanted(tmp_path: Path, format: str) -> None:
    with pytest.raises(JobFailed, match=f"some.{format}"):
        played(tmp_path, format, on_drift="fail")


def test_a_part_of_a_file_is_as_the_whole(tmp_path: Path) -> None:
    write(path := tmp_path / "some.parquet")
    columns = tuple(COLUMNS.items())
    found = []
    for group, misfits in enumerate([0, 1, 0]):
        with leaving_out(True) as left:
            found += read_row_groups(str(path), columns, group, group + 1, "skip").to_pylist()
        assert left.count == misfits
    assert found == GOOD


@pytest.mark.parametrize("format", ["csv", "json"])
def test_a_file_may_lack_columns(tmp_path: Path, format: str) -> None:
    texts = {"csv": "n\n1\n", "json": '{"n": 1}\n'}
    assert read(tmp_path, format, texts[format]) == [{"k": None, "n": 1, "at": None}]


def test_a_file_with_other_columns_fails_its_batch(tmp_path: Path) -> None:
    with pytest.raises(JobFailed, match='its column "k" cannot be read'):
        read(tmp_path, "csv", "x,y\n1,2\n")


def test_there_is_no_other_policy(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="on_drift is one of skip, fail, not 'ignore'"):
        source("file_stream", {"directory": str(tmp_path), "on_drift": "ignore"})


values = st.sampled_from(["1", " 2", "-3", "NA", "", "null", "4.5", "x", "9" * 30, "1e3"])


@given(st.lists(values, min_size=1, max_size=12))
def test_what_fits_of_a_row_of_csv_does_not_depend_on_the_others(
    tmp_path_factory: pytest.TempPathFactory, written: list[str]
) -> None:
    """Rows read beside a misfit are as when there is none."""

    def row(value: str) -> list[Any]:
        try:
            return read(tmp_path_factory.mktemp("one"), "csv", f"k,n\na,{value}\n", "fail")
        except JobFailed:
            return []

    text = "k,n\n" + "".join(f"a,{value}\n" for value in [*written, "misfit"])
    found = read(tmp_path_factory.mktemp("all"), "csv", text)
    assert found == [each for value in written for each in row(value)]


def read(folder: Path, format: str, text: str, on_drift: str = "skip") -> list[Any]:
    """Return the rows of a file with such a text."""
    columns = {"k": "VARCHAR", "n": "BIGINT"} if on_drift == "fail" or "misfit" in text else COLUMNS
    with ManualContext("1s", executor=InlineExecutor()) as ssc:
        stream = ssc.file_stream(str(folder), format, columns, on_drift)
        found = collected(stream)
        ssc.start()
        (folder / "file").write_text(text)
        ssc.advance("1s")
        ssc.await_termination(timeout=0)
    return found[0]
