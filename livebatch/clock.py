"""The one place that reads the time; everything else is given a clock."""

from __future__ import annotations

import time
from typing import Protocol

from livebatch.interval import Millis


class Clock(Protocol):
    """What the engine needs to know of time."""

    def now(self) -> Millis:
        """Return the time in milliseconds since 1970 UTC; it never goes back."""

    def wait(self, until: Millis) -> float:
        """Return how many seconds of real time one may wait for ``until`` to come."""


class SystemClock:
    """The machine's time, driven by its monotonic clock from one reading of the wall clock.

    A jump of the wall clock (NTP, a laptop's sleep) does not move it; ``drift`` tells.
    """

    def __init__(self) -> None:
        self._origin = time.time() - time.monotonic()

    def now(self) -> Millis:
        return int((self._origin + time.monotonic()) * 1000)

    def wait(self, until: Millis) -> float:
        return max(0.0, until / 1000 - self._origin - time.monotonic())

    def drift(self) -> Millis:
        """Return how far the wall clock has moved from this one, in milliseconds."""
        return round((time.time() - time.monotonic() - self._origin) * 1000)


class ManualClock:
    """A clock that stands still until a test moves it.

    >>> clock = ManualClock(start=1000)
    >>> clock.advance(500)
    >>> clock.now()
    1500
    """

    def __init__(self, start: Millis = 0) -> None:
        self._now = start

    def now(self) -> Millis:
        return self._now

    def wait(self, until: Millis) -> float:
        return 0.0

    def advance(self, millis: Millis) -> None:
        """Move the time forward."""
        self._now += millis


def stopwatch() -> float:
    """Return a reading, in seconds, of which only differences mean anything."""
    return time.perf_counter()


def cpu_stopwatch() -> float:
    """Return a reading, in seconds of work of this thread, of which only differences mean
    anything."""
    return time.thread_time()


def deadline(seconds: float | None) -> Deadline:
    """Return a deadline so many seconds from now; ``None`` never comes."""
    return Deadline(seconds)


class Deadline:
    """A moment of real time by which something must have happened.

    >>> deadline(None).left() is None, deadline(0).passed()
    (True, True)
    """

    def __init__(self, seconds: float | None) -> None:
        self._at = None if seconds is None else time.monotonic() + seconds

    def left(self) -> float | None:
        """Return the seconds left, at least 0; None if there is no limit."""
        return None if self._at is None else max(0.0, self._at - time.monotonic())

    def passed(self) -> bool:
        return self._at is not None and time.monotonic() >= self._at


class Timer:
    """Calls for something every so many seconds, without drifting.

    Used by receivers that sample; ``wait`` is an ``Event.wait``, so it can be interrupted.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds until the next call is due."""
        return max(0.0, self._next - time.monotonic())

    def due(self) -> bool:
        """Return whether the call is due, and if so set the next one."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = max(self._next + self._seconds, now)
        return True
