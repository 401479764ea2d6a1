"""When workers may be started again that ended before they had called in."""

from __future__ import annotations

from livebatch.clock import deadline
from livebatch.errors import EngineError

FIRST, LONGEST = 0.1, 10.0
"""Seconds until the next start after one that failed; each time twice as many, and at most."""

MOST = 5
"""After so many failed starts in a row one need not wait for workers."""


class Starts:
    """Holds up starts that keep failing, ever longer.

    Example:
        >>> starts = Starts()
        >>> starts.may, starts.trouble
        (True, '')
        >>> starts.failed("ended with exit code 1")
        >>> starts.may, starts.trouble
        (False, 'workers end before they can work: the last ended with exit code 1 (1 in a row)')
        >>> starts.succeeded()
        >>> starts.may
        True
    """

    def __init__(self) -> None:
        self._count = 0
        self._reason = ""
        self._pause = deadline(0)

    @property
    def may(self) -> bool:
        """Whether a worker may be started now."""
        return self._pause.passed()

    @property
    def trouble(self) -> str:
        """What keeps workers from starting; empty: nothing does."""
        if not self._count:
            return ""
        return f"workers end before they can work: the last {self._reason} ({self._count} in a row)"

    @property
    def hopeless(self) -> bool:
        """Whether so many have failed that one need not wait for another."""
        return self._count >= MOST

    def check(self) -> None:
        """Check that there is hope.

        Raises:
            EngineError: there is none.
        """
        if self.hopeless:
            raise EngineError(f"{self.trouble}; the engine's log says more")

    def failed(self, reason: str) -> None:
        """Take note of a worker that ended before it had called in."""
        self._count += 1
        self._reason = reason
        self._pause = deadline(min(LONGEST, FIRST * 2 ** (self._count - 1)))

    def succeeded(self) -> None:
        """Take note of one that has called in."""
        self._count, self._pause = 0, deadline(0)
