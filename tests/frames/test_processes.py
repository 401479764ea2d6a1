"""Frames on real processes: workers that die within a window, and an engine without DuckDB."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import livebatch as lb
from livebatch.engine.executors.local import LocalExecutor
from livebatch.testing import ManualContext, collected
from tests.helpers import eventually, processes
from tests.model.killing import KillingExecutor

pytestmark = pytest.mark.process

COLUMNS = {"k": "VARCHAR", "n": "BIGINT"}


def test_workers_killed_within_a_window_change_no_answer(local: LocalExecutor) -> None:
    batches = [[(f"k{n % 5}", n * at) for n in range(40)] for at in range(1, 9)]

    def played(executor: Any) -> list[list[Any]]:
        with ManualContext("1s", executor=executor) as ssc:
            frame = ssc.queue_stream(batches).to_frame(COLUMNS)
            found = collected(
                frame.window("5s").group_by("k").agg("sum(n) AS s, avg(n) AS a, max(n) AS m")
            )
            ssc.start()
            ssc.advance(len(batches))
            ssc.await_termination(timeout=0)
        return [sorted(batch, key=str) for batch in found]

    undisturbed, killing = played(local), KillingExecutor(local, [4, 13, 26])
    assert played(killing) == undisturbed
    assert len(killing.killed) == 3


def test_the_engine_does_without_duckdb(tmp_path: Path) -> None:
    with lb.StreamingContext("100ms", workers=1) as ssc:
        stream = ssc.file_stream(str(tmp_path), "json", {"k": "VARCHAR", "n": "BIGINT"})
        frame = stream.to_frame().window("1s").group_by("k").agg(n="sum(n)")
        ssc.register("sums", frame)
        ssc.start()
        (tmp_path / "a.json").write_text('{"k": "a", "n": 1}\n{"k": "a", "n": 2}\n')
        found = eventually(lambda: [row for rdd in ssc.settled(frame) for row in rdd.collect()])
        assert found[0] == {"k": "a", "n": 3}
        [pid] = processes_of_engine(ssc)
        assert "duckdb" not in Path(f"/proc/{pid}/maps").read_text()


def processes_of_engine(ssc: lb.StreamingContext) -> list[int]:
    import os

    return processes(os.getpid(), "livebatch.engine")
