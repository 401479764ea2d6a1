"""Tables of Delta Lake."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import time
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from livebatch.errors import DefinitionError, JobFailed, SinkError
from livebatch.sinks import sink
from livebatch.testing import START, ManualContext
from tests.sinks.places import delta_rows


def play(write: Callable[[Any], Any], *batches: list[Any]) -> None:
    with ManualContext("1s") as ssc:
        write(ssc.queue_stream(list(batches)))
        ssc.start()
        ssc.advance(len(batches))
        ssc.await_termination(timeout=0)


def test_a_batch_is_one_commit_with_one_file(tmp_path: Path) -> None:
    path = str(tmp_path / "out")
    play(lambda s: s.to_delta(path, writer="w"), [1, 2, 3, 4], [], [5, 6])
    table = DeltaTable(path)
    assert table.version() == 1
    assert len(table.file_uris()) == 2
    assert table.transaction_version("w") == START + 3000


def test_small_files_are_put_together_now_and_then(tmp_path: Path) -> None:
    path = str(tmp_path / "out")
    play(lambda s: s.to_delta(path, optimize_every=3), *([n] for n in range(6)))
    table = DeltaTable(path)
    assert len(table.file_uris()) < 6
    assert "OPTIMIZE" in [entry["operation"] for entry in table.history()]
    assert sorted(row["value"] for row in delta_rows(path)) == list(range(6))


def test_how_a_schema_changes(tmp_path: Path) -> None:
    path = str(tmp_path / "out")
    batches = [{"a": 1, "n": None}], [{"b": "x"}], [{"a": "no number"}], [{"A": 2}], [{"n": 3}]
    with pytest.raises(JobFailed, match=rf"cannot write to the Delta table {path} \(.*no number"):
        play(lambda s: s.to_delta(path), *batches)
    assert sorted(delta_rows(path), key=str) == [{"a": 1}, {"a": 2}, {"b": "x"}, {"n": 3}]


def test_what_delta_has_no_form_for_is_text(tmp_path: Path) -> None:
    path = str(tmp_path / "out")
    play(lambda s: s.to_delta(path), [{"at": time(1, 2), "none": {}}], [{"only": None}])
    assert sorted(delta_rows(path), key=len) == [{}, {"at": "01:02:00.000000", "none": "{}"}]


def test_a_place_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match=r"cannot write to the Delta table .*/file"):
        play(lambda s: s.to_delta(tmp_path / "file" / "out"))
    with pytest.raises(DefinitionError, match="optimize_every is a whole number"):
        play(lambda s: s.to_delta(tmp_path / "out", optimize_every=0))


def test_storage_options_are_never_shown() -> None:
    made = sink("delta", {"path": "s3://me:pw@b/x", "storage_options": {"key": "hush"}})
    assert repr(made) == "Sink('s3://b/x')"


def test_without_deltalake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with pytest.raises(DefinitionError, match=r'pip install "livebatch\[delta\]"'):
        play(lambda s: s.to_delta(tmp_path))
