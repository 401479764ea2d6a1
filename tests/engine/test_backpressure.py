"""How fast pull sources may be: the formula, and what it does to streams that fall behind."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebatch.engine.backpressure import STEADY, Backpressure, Gains, PIDRateEstimator
from livebatch.events import Batch, BatchCompleted, BatchSettled, BatchSubmitted

BATCH = 1000


# -- the formula -----------------------------------------------------------------------------


def oracle(gains: Gains, seen: list[tuple[int, int, int, int]]) -> list[float | None]:
    """What Spark's estimator says, from its documentation, in exact numbers."""
    kp, ki, kd = map(Fraction, (gains.proportional, gains.integral, gains.derivative))
    least = Fraction(gains.min_rate)
    said: list[float | None] = []
    rate: Fraction | None = None
    last, error_before = -1, Fraction(0)
    for time, count, processing, scheduling in seen:
        if time <= last or not count or not processing:
            said.append(None)
            continue
        speed = Fraction(1000 * count, processing)
        if rate is None:
            rate, last = speed, time
            said.append(None)
            continue
        error = rate - speed
        historical = Fraction(scheduling, BATCH) * speed
        slope = (error - error_before) / Fraction(time - last, 1000)
        rate = max(least, rate - kp * error - ki * historical - kd * slope)
        last, error_before = time, error
        said.append(float(rate))
    return said


numbers = st.integers(0, 100_000)
weights = st.sampled_from([0.0, 0.2, 0.5, 1.0, 2.0])


@given(
    st.builds(Gains, weights, weights, weights, st.sampled_from([0.5, 100.0])),
    st.lists(st.tuples(numbers, numbers, numbers, numbers), max_size=20),
)
def test_the_estimator_is_sparks(gains: Gains, seen: list[tuple[int, int, int, int]]) -> None:
    estimator = PIDRateEstimator(BATCH, gains)
    got = [estimator.compute(*batch) for batch in seen]
    for rate, wanted in zip(got, oracle(gains, seen), strict=True):
        assert rate is wanted is None or rate == pytest.approx(wanted, rel=1e-6, abs=0.01)


def test_it_never_goes_below_the_least_rate() -> None:
    estimator = PIDRateEstimator(BATCH)
    estimator.compute(1000, 10, 1000, 0)
    assert estimator.compute(2000, 10, 1000, 50_000) == 100


# -- closed loops ----------------------------------------------------------------------------


class Loop:
    """One source, and batches that are processed one after the other.

    Args:
        offered: how many records come before each batch.
        cost: how long a batch of so many records takes, milliseconds.
    """

    def __init__(
        self,
        offered: Callable[[int], int],
        cost: Callable[[int, int], int],
        enabled: bool = True,
    ) -> None:
        self._offered, self._cost = offered, cost
        self.control = Backpressure(BATCH, enabled)
        self._done: deque[tuple[int, int, int, int]] = deque()
        self._free = 0
        self.backlog = 0
        self.sizes: list[int] = []
        self.delays: list[int] = []
        self.limits: list[int | None] = []

    def run(self, batches: int) -> Loop:
        for number in range(len(self.sizes) + 1, len(self.sizes) + batches + 1):
            self._tick(number, number * BATCH)
        return self

    def _tick(self, number: int, now: int) -> None:
        while self._done and self._done[0][0] <= now:
            end, time, begun, rows = self._done.popleft()
            batch = Batch("out", None, time, "", delay=end - time, began=begun - time)
            self.control.heard(BatchSettled(batch))
            self.control.heard(BatchCompleted(time, end, {"in": rows}))
        self.backlog += self._offered(number)
        limit = self.control.limit("in")
        rows = self.backlog if limit is None else min(limit, self.backlog)
        self.backlog -= rows
        self.control.heard(BatchSubmitted(now, now, ("in",), {}))
        begun = max(now, self._free)
        self._free = begun + self._cost(number, rows)
        self._done.append((self._free, now, begun, rows))
        self.sizes.append(rows)
        self.delays.append(self._free - now)
        self.limits.append(limit)


def test_what_keeps_up_is_never_limited() -> None:
    loop = Loop(lambda n: 5000, lambda n, rows: 100 + rows // 10).run(60)
    assert set(loop.limits) == {None}
    assert loop.backlog == 0


@pytest.mark.parametrize("fixed", [0, 200, 600])
def test_it_converges_on_what_can_be_processed_and_does_not_oscillate(fixed: int) -> None:
    loop = Loop(lambda n: 50_000, lambda n, rows: fixed + rows // 10).run(300)
    capacity = (BATCH - fixed) * 10
    late = loop.sizes[100:]
    assert all(size == pytest.approx(capacity, rel=0.1) for size in late)
    assert all(abs(b - a) <= 0.05 * capacity for a, b in pairwise(late))
    assert max(loop.delays[100:]) <= 1.5 * BATCH


def test_without_it_batches_pile_up() -> None:
    loop = Loop(lambda n: 50_000, lambda n, rows: rows // 10, enabled=False).run(100)
    assert set(loop.limits) == {None}
    assert loop.delays[-1] > 100 * BATCH


def test_after_a_burst_the_backlog_is_worked_off_and_the_limit_goes() -> None:
    loop = Loop(lambda n: 40_000 if 20 <= n < 40 else 2000, lambda n, rows: 50 + rows // 10).run(
        400
    )
    assert loop.limits[10] is None
    assert any(limit is not None for limit in loop.limits[20:60])
    assert sum(loop.sizes) == 40_000 * 20 + 2000 * 380
    assert (loop.backlog, loop.limits[-1]) == (0, None)
    assert max(loop.delays[-STEADY:]) <= BATCH
    # Batches were kept small from when the first large ones were seen to be late.
    assert max(loop.sizes[30:]) <= 15_000


def test_it_follows_when_processing_gets_slower_and_faster_again() -> None:
    slow = range(100, 200)
    loop = Loop(lambda n: 9000, lambda n, rows: rows // (5 if n in slow else 20)).run(600)
    assert set(loop.limits[:100]) == {None}
    assert all(size <= 6000 for size in loop.sizes[150:199])
    assert max(loop.delays[150:199]) <= 2 * BATCH
    assert (loop.backlog, loop.limits[-1]) == (0, None)


def test_one_huge_batch_does_not_let_more_pile_up_meanwhile() -> None:
    loop = Loop(lambda n: 200_000 if n == 1 else 10_000, lambda n, rows: rows // 10).run(15)
    assert sum(loop.sizes[1:5]) == 40_000
    assert all(size <= 100 for size in loop.sizes[6:15])


def test_a_batch_that_takes_long_but_has_the_time_is_not_late() -> None:
    control = Backpressure(BATCH)
    control.heard(BatchSubmitted(10_000, 10_000, ("in",), {}))
    for time in range(11_000, 19_000, BATCH):
        control.heard(BatchSubmitted(time, time, ("in",), {}))
        control.heard(BatchCompleted(time, time, {"in": 0}))
        assert control.limit("in") is None


def test_the_slowest_output_counts() -> None:
    control = Backpressure(BATCH)
    for number in range(1, 4):
        time = number * BATCH
        control.heard(BatchSubmitted(time, time, ("in",), {}))
        for output, delay in (("quick", 10), ("slow", 2000), ("other", 500)):
            control.heard(BatchSettled(Batch(output, None, time, "", delay=delay)))
        control.heard(BatchCompleted(time, time + 2000, {"in": 5000}))
    assert control.rate("in") == pytest.approx(2500)
    assert control.limit("in") == 2500
    control.keep_only(set())
    assert control.limit("in") is None
