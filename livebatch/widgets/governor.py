"""What sending to browsers may cost a kernel, whatever the number of its views."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from livebatch.clock import stopwatch

SHARE = 0.15
"""How much of one core all views together may use to draw and send."""


class Governor:
    """Tells those who share it when they may work next, so that together they stay within a share.

    Turns are given in the order in which they are asked for, so that nobody is left behind.

    Args:
        share: of one core.
        now: reads a time in seconds.

    Example:
        >>> governor = Governor(share=0.1, now=lambda: 0.0)
        >>> [round(governor.turn(cost), 3) for cost in (0.01, 0.02, 0.01)]
        [0.0, 0.1, 0.3]
    """

    def __init__(self, share: float = SHARE, now: Callable[[], float] = stopwatch) -> None:
        self.share, self._now = share, now
        self._lock = Lock()
        self._free = 0.0

    def turn(self, cost: float) -> float:
        """Take the next turn; return in how many seconds it begins.

        Args:
            cost: the seconds of work that are expected.
        """
        with self._lock:
            now = self._now()
            begins = max(self._free, now)
            self._free = begins + cost / self.share
            return begins - now

    def settle(self, expected: float, spent: float) -> None:
        """Say what a turn has cost in the end."""
        with self._lock:
            self._free += (spent - expected) / self.share
