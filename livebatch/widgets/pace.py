"""How often something comes."""

from __future__ import annotations

from collections import deque
from itertools import islice
from operator import sub
from statistics import median

REMEMBERED = 64


class Pace:
    """The usual time between batches: what is much more is a gap.

    Example:
        >>> pace = Pace()
        >>> for time in (0.0, 1000.0, 2000.0, 9000.0):
        ...     pace.tick(time)
        >>> pace.usual
        1000.0
    """

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=REMEMBERED)

    def tick(self, time: float) -> None:
        """Take note of the batch of ``time`` (milliseconds)."""
        self._times.append(time)

    @property
    def usual(self) -> float:
        """The median time between batches in milliseconds; 0 as long as it is not known."""
        steps = [step for step in map(sub, islice(self._times, 1, None), self._times) if step > 0]
        return median(steps) if steps else 0.0
