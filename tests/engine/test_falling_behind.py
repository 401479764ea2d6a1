"""An engine that is late: work gets on between the batches that it has to catch up with."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import livebatch as lb
from livebatch.testing import ManualContext
from tests.helpers import eventually


def test_batches_begin_one_at_a_time() -> None:
    with ManualContext("1s") as ssc:
        ssc.register("out", ssc.queue_stream(default=[1]).map(str))
        ssc.start()
        engine = ssc.stepped.engine
        ssc.clock.advance(5000)
        begun = engine.now
        assert engine.advance()
        assert engine.now == begun + 1000
        assert engine.jobs.pending == 1
        ssc.stepped.run()
        assert engine.now == begun + 5000
        assert not engine.advance()


@pytest.mark.process
def test_what_a_batch_waits_for_does_not_wait_for_later_batches(tmp_path: Path) -> None:
    def note(rdd: lb.RDD[int]) -> None:
        (tmp_path / f"{rdd.count()}-{len(list(tmp_path.iterdir()))}").touch()

    def slow(number: int) -> int:
        threading.Event().wait(0.3)
        return number

    with lb.StreamingContext("100ms", workers=1) as ssc:
        for name in ("a", "b", "c"):
            numbers = ssc.register(name, ssc.queue_stream(default=[1]).map(slow))
        numbers.foreach_rdd(note)
        ssc.start()
        eventually(lambda: len(list(tmp_path.iterdir())) >= 3)
