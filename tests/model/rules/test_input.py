"""Rules 24 and 25: how input becomes batches."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from livebatch.session import StreamingContext
from livebatch.testing import START
from tests.helpers import eventually
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
