"""An engine that is late: work gets on between the batches that it has to catch up with."""

from __future__ import annotations

from livebatch.testing import ManualContext


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
