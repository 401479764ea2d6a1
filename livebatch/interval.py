"""Durations, batch times and intervals, all in whole milliseconds.

Inside livebatch a duration is an ``int`` of milliseconds and a batch time an ``int`` of
milliseconds since 1970-01-01 UTC; at the surface times are aware ``datetime`` objects.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from math import inf
from typing import NamedTuple, TypeAlias

from livebatch.errors import DefinitionError

Millis: TypeAlias = int
Duration: TypeAlias = str | int | float | timedelta

_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d)\s*")


def to_millis(duration: Duration, what: str = "a duration") -> Millis:
    """Return a positive duration in milliseconds.

    Args:
        duration: a string with units (``"500ms"``, ``"1.5s"``, ``"10m"``, ``"1h30m"``), a
            ``timedelta``, or a number of seconds.
        what: how an error calls it.

    Raises:
        DefinitionError: it is not a duration, not positive, or finer than a millisecond.

    >>> to_millis("500ms"), to_millis("1h30m"), to_millis(2), to_millis(timedelta(seconds=1))
    (500, 5400000, 2000, 1000)
    """
    millis = _millis(duration, what)
    if not 0 < millis < inf or millis != round(millis):
        raise DefinitionError(f"{what} must be at least 1ms and in whole ms, not {duration!r}")
    return round(millis)


def _millis(duration: Duration, what: str) -> float:
    if isinstance(duration, timedelta):
        return duration / timedelta(milliseconds=1)
    if isinstance(duration, (int, float)) and not isinstance(duration, bool):
        return round(duration * 1000, 6)
    if isinstance(duration, str) and duration.strip():
        parts = _DURATION.findall(duration)
        if _DURATION.sub("", duration) == "":
            return round(sum(float(number) * _UNITS[unit] for number, unit in parts), 6)
    raise DefinitionError(
        f'{what} is written like "500ms", "10s", "5m" or "1h", or given as a timedelta '
        f"or a number of seconds, not {duration!r}"
    )


def check_multiple(duration: Millis, slide: Millis, what: str) -> Millis:
    """Return ``duration`` if it is a multiple of the parent's slide.

    Raises:
        DefinitionError: it is not.
    """
    if duration % slide:
        raise DefinitionError(
            f"{what} {format_millis(duration)} must be a multiple of {format_millis(slide)}, "
            f"at which its input gives batches; "
            f"{format_millis(-(-duration // slide) * slide)} would do"
        )
    return duration


def format_millis(millis: Millis) -> str:
    """Write a duration the short way.

    >>> format_millis(500), format_millis(1500), format_millis(600_000)
    ('500ms', '1500ms', '10m')
    """
    for unit in ("d", "h", "m", "s"):
        if millis and millis % _UNITS[unit] == 0:
            return f"{millis // _UNITS[unit]}{unit}"
    return f"{millis}ms"


def to_datetime(time: Millis) -> datetime:
    """Return a batch time as an aware datetime in the local time zone."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time)).astimezone()


def from_datetime(time: datetime) -> Millis:
    """Return a datetime (naive ones are local time) as milliseconds since 1970 UTC."""
    return round(time.timestamp() * 1000)


class Interval(NamedTuple):
    """The half-open span of time ``(start, end]``, in milliseconds since 1970 UTC."""

    start: Millis
    end: Millis

    def ticks(self, zero: Millis, slide: Millis) -> range:
        """Return the batch times in the interval of a stream with this zero time and slide.

        >>> list(Interval(0, 3000).ticks(zero=0, slide=1000))
        [1000, 2000, 3000]
        """
        first = zero + ((max(self.start, zero) - zero) // slide + 1) * slide
        return range(first, self.end + 1, slide)
