"""Records of a fixed length, from folders and from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebatch.errors import DefinitionError, JobFailed
from livebatch.sources.files import read_records
from livebatch.testing import ManualContext, collected


@given(st.binary(max_size=50), st.integers(1, 7))
def test_a_file_is_its_records(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, n: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "records"
    path.write_bytes(data[: len(data) // n * n])
    found = list(read_records(str(path), n))
    assert b"".join(found) == path.read_bytes()
    assert {len(record) for record in found} <= {n}


def test_streams_and_rdds_of_records(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"aabb")
    with ManualContext("1s") as ssc:
        assert ssc.binary_records(str(tmp_path), 2).collect() == [b"aa", b"bb"]
        seen = collected(ssc.binary_records_stream(str(tmp_path), 2))
        ssc.start()
        (tmp_path / "new").write_bytes(b"ccdd")
        ssc.advance("1s")
        assert seen == [[b"cc", b"dd"]]
        (tmp_path / "odd").write_bytes(b"eef")
        ssc.advance("1s")
        with pytest.raises(JobFailed, match="ends with 1 bytes of a record of 2"):
            ssc.await_termination(timeout=0)


@pytest.mark.parametrize("length", [0, -1, 1.5, True, "4", None])
def test_a_length_is_a_whole_number(tmp_path: Path, length: Any) -> None:
    with ManualContext() as ssc:
        for make in (ssc.binary_records_stream, ssc.binary_records):
            with pytest.raises(DefinitionError, match="record_length must be a whole number"):
                make(str(tmp_path), length)
