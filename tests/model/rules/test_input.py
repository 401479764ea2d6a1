"""Rules 24 to 27: how input becomes batches."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

import livebatch as lb
from livebatch.engine.backpressure import PIDRateEstimator
from livebatch.engine.durable import DurableBlocks
from livebatch.session import StreamingContext
from livebatch.testing import START
from tests.helpers import eventually, line_server
from tests.model.harness import context, watch


@pytest.mark.process
def test_rule_24_blocks_are_cut_every_200_ms() -> None:
    with StreamingContext("1s", engine="embedded", workers=1) as ssc:
        ssc.register("metrics", ssc.system_metrics(every="100ms"))
        ssc.start()
        eventually(lambda: max(partitions(ssc)) >= 3)
        assert max(partitions(ssc)) <= 6  # a second has five, and one may have been late


def partitions(ssc: StreamingContext) -> list[int]:
    return [0, *(rdd.num_partitions for rdd in ssc.settled(ssc.streams["metrics"]))]


def test_rule_25_new_files_are_read_once(tmp_path: Path) -> None:
    def put(name: str, modified: float) -> None:
        (tmp_path / name).write_text(name)
        ns = START * 1_000_000 + round(modified * 1e9)
        os.utime(tmp_path / name, ns=(ns, ns))

    put("before", -1)
    with context() as ssc:
        seen = watch(ssc.text_file_stream(str(tmp_path)))
        ssc.start()
        for name, modified in [("new", 0.5), (".hidden", 0.5), ("_hidden", 0.5)]:
            put(name, modified)
        ssc.advance(2)
        put("late, but not too late", -56)
        put("too late", -59)
        ssc.advance(1)
    assert seen == {1: ["new"], 2: [], 3: ["late, but not too late"]}


def test_rule_26_the_rate_follows_the_rate_of_processing() -> None:
    estimator = PIDRateEstimator(batch_interval=1000)
    assert estimator.compute(1000, 5000, 2000, 0) is None  # 2500 a second
    assert estimator.compute(2000, 4000, 2000, 500) == 2500 - 1.0 * 500 - 0.2 * (500 * 2000 / 1000)
    assert estimator.compute(3000, 10, 1000, 5000) == 100  # or it would be none


@pytest.mark.process
def test_rule_27_what_was_received_comes_again_and_what_is_read_comes_once(tmp_path: Path) -> None:
    gate, sent, checkpoint = tmp_path / "gate", [f"line {n}" for n in range(50)], tmp_path / "ckpt"

    def held_up(line: str) -> str:
        eventually(gate.exists)
        return line

    with (
        line_server() as server,
        StreamingContext("100ms", workers=1, checkpoint=checkpoint) as ssc,
    ):
        lines = ssc.socket_text_stream("127.0.0.1", server.port, durable=True)
        lines.map(held_up).to_text(tmp_path / "received")
        ssc.rate_stream(500).map(lambda row: row["value"]).to_text(tmp_path / "read")
        ssc.start()
        eventually(lambda: server.connections)
        server.send(*sent)
        on_disk = DurableBlocks(checkpoint / "received")
        eventually(lambda: sum(b.rows for b in on_disk.unclaimed(lines.id, ()).blocks) == 50)
        before = len(written(tmp_path / "read"))
        psutil.Process(ssc.status().pid).kill()
        gate.touch()
        eventually(lambda: set(written(tmp_path / "received")) == set(sent))
        eventually(lambda: len(written(tmp_path / "read")) > before + 500)
        found = written(tmp_path / "read")
        assert found == [str(n) for n in range(len(found))]


def written(folder: Path) -> list[str]:
    """The lines in the files of whole batches, in order."""
    if not folder.exists():
        return []
    return [
        line
        for path in lb.read_output(folder).files
        for line in Path(path).read_text().split("\n")[:-1]
    ]
