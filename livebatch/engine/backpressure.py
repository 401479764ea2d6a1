"""How much pull sources may give when batches fall behind: a rate for each, estimated from the
batches that have settled, in the manner of Spark's ``PIDRateEstimator``."""

from __future__ import annotations

from math import ceil

import msgspec

from livebatch.events import BatchCompleted, BatchSettled, BatchSubmitted, Event
from livebatch.interval import Millis

STEADY = 10
"""A source that has kept below its limit for so many batches in time is limited no more."""


class Gains(msgspec.Struct, frozen=True):
    """How the estimator weighs what it sees; names and defaults are those of
    ``spark.streaming.backpressure.pid``.

    Attributes:
        proportional: the weight of the difference between the rate and that of processing.
        integral: the weight of what has piled up and shows as scheduling delay.
        derivative: the weight of how fast the difference changes.
        min_rate: records a second that are let through in any case.
    """

    proportional: float = 1.0
    integral: float = 0.2
    derivative: float = 0.0
    min_rate: float = 100.0


class PIDRateEstimator:
    """Estimates how many records a second can be processed.

    Args:
        batch_interval: milliseconds.
        gains: how it weighs what it sees.

    Example:
        >>> estimator = PIDRateEstimator(1000)
        >>> estimator.compute(1000, 5000, 2000, 0)  # the first only says where it stands
        >>> estimator.compute(2000, 5000, 2000, 1000)
        2000.0
    """

    def __init__(self, batch_interval: Millis, gains: Gains | None = None) -> None:
        self._interval, self._gains = batch_interval, gains or Gains()
        self._time: Millis = -1
        self._rate = self._error = 0.0
        self._is_first = True

    def compute(
        self,
        time: Millis,
        num_elements: int,
        processing_delay: Millis,
        scheduling_delay: Millis,
    ) -> float | None:
        """Return the new rate, records a second; None where a batch says nothing of it.

        Args:
            time: when the batch settled.
            num_elements: records that it had of the source.
            processing_delay: how long it was worked on, milliseconds.
            scheduling_delay: how long it waited before, milliseconds.
        """
        if time <= self._time or num_elements <= 0 or processing_delay <= 0:
            return None
        since, self._time = (time - self._time) / 1000, time
        processing_rate = num_elements * 1000 / processing_delay
        if self._is_first:
            self._is_first, self._rate = False, processing_rate
            return None
        gains, error = self._gains, self._rate - processing_rate
        piled_up = scheduling_delay * processing_rate / self._interval
        change = (error - self._error) / since
        rate = (
            self._rate
            - gains.proportional * error
            - gains.integral * piled_up
            - gains.derivative * change
        )
        self._rate, self._error = max(rate, gains.min_rate), error
        return self._rate


class Throttle:
    """Limits one source while batches fall behind.

    Args:
        batch_interval: milliseconds.
        gains: of its estimator.

    Attributes:
        rate: records a second that it may give; None: as many as there are.
    """

    def __init__(self, batch_interval: Millis, gains: Gains) -> None:
        self._interval = batch_interval
        self._estimator = PIDRateEstimator(batch_interval, gains)
        self._estimate: float | None = None
        self._steady = STEADY
        self.rate: float | None = None

    def settled(self, at: Millis, rows: int, processing: Millis, waited: Millis) -> None:
        """Take note of a batch that has settled, ``at`` that time."""
        self._estimate = self._estimator.compute(at, rows, processing, waited) or self._estimate
        late = waited + processing > self._interval
        bound = self.rate is not None and rows * 1000 >= 0.9 * self.rate * self._interval
        self._steady = 0 if late or bound else self._steady + 1
        self.rate = None if self._steady >= STEADY else self._estimate


class Backpressure:
    """The limits of all pull sources, which follow from what the engine says of its batches.

    Args:
        batch: the batch interval, milliseconds.
        enabled: whether there are any limits.
        gains: of the estimators.
    """

    def __init__(self, batch: Millis, enabled: bool = True, gains: Gains | None = None) -> None:
        self._batch, self._enabled, self._gains = batch, enabled, gains or Gains()
        self._throttles: dict[str, Throttle] = {}
        self._open: dict[Millis, tuple[Millis, Millis]] = {}

    def heard(self, event: Event) -> None:
        """Take note of what has become of a batch."""
        match event:
            case BatchSubmitted():
                self._open[event.time] = 0, 0
            case BatchSettled(batch) if batch.time in self._open:
                # Outputs do not wait for each other: the slowest says how the batch got on.
                worked = batch.delay - batch.began, batch.began
                self._open[batch.time] = max(self._open[batch.time], worked, key=sum)
            case BatchCompleted():
                processing, waited = self._open.pop(event.time, (0, 0))
                for stream, rows in event.rows.items():
                    self._throttle(stream).settled(event.at, rows, processing, waited)

    def rate(self, stream: str) -> float | None:
        """Return how many records a second a source may give; None: it is not limited."""
        return self._throttle(stream).rate if self._enabled else None

    def limit(self, stream: str) -> int | None:
        """Return how many records a source may give for a batch; None: all that there are.

        Where so many batches are under way that the estimate will be the least rate, this does
        not wait for them to settle and say so.
        """
        if not self._enabled:
            return None
        rate, gains = self.rate(stream), self._gains
        if len(self._open) * gains.integral > 1:
            rate = gains.min_rate if rate is None else min(rate, gains.min_rate)
        return None if rate is None else max(1, ceil(rate * self._batch / 1000))

    def keep_only(self, streams: set[str]) -> None:
        """Forget all sources but these."""
        self._throttles = {id: t for id, t in self._throttles.items() if id in streams}

    def _throttle(self, stream: str) -> Throttle:
        if stream not in self._throttles:
            self._throttles[stream] = Throttle(self._batch, self._gains)
        return self._throttles[stream]
