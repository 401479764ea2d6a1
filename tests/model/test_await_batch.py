"""Waiting for a batch of a stream that runs."""

from __future__ import annotations

import pytest

import livebatch as lb
from livebatch.errors import NotRunning

pytestmark = pytest.mark.process


def test_a_batch_is_waited_for() -> None:
    with lb.StreamingContext("50ms", workers=1, engine="embedded") as ssc:
        numbers = ssc.register("numbers", ssc.rate_stream(100).map(lambda row: row["value"]))
        tens = ssc.register("tens", numbers.filter(lambda n: n % 10 == 0))
        with pytest.raises(NotRunning, match="only a stream with a name"):
            numbers.map(abs).await_batch()
        ssc.start()
        assert tens.await_batch().count() > 0
        before = numbers.await_batch().batch_time
        high = numbers.await_batch(lambda rdd: any(n > 30 for n in rdd.collect()))
        assert max(high.collect()) > 30
        assert high.batch_time > before
        with pytest.raises(TimeoutError, match=r"no batch of numbers .* within 100ms"):
            numbers.await_batch(lambda rdd: False, timeout="100ms")
