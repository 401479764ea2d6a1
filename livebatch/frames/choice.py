"""Which of two ways a window is computed in, by what they have cost."""

from __future__ import annotations

from dataclasses import dataclass, field

from livebatch.interval import Millis

BETTER = 0.8
"""The other way is taken when it costs less than this part of the one that is used."""

WAIT = 8
"""The second trial begins after so many windows, the third after twice as many more, …."""


@dataclass
class Choice:
    """Two ways to compute a window, each with inputs of its own that must reach back far enough.

    Now and then the inputs of both are kept for one window's length, the other way is used for
    one batch, and from then on the cheaper one. Nothing here depends on the time of day.

    Args:
        length: of the window, in milliseconds.
        slide: how often it is computed, in milliseconds.

    Attributes:
        using: the way that is used: 0 or 1.

    Example:
        >>> choice = Choice(2, 1)
        >>> for time, cost in [(1, 5.0), (2, 1.0), (3, 1.0)]:
        ...     print(choice.ways_at(time))
        ...     choice.took(time, cost)
        (0, (0, 1))
        (1, (0, 1))
        (1, (1,))
    """

    length: Millis
    slide: Millis
    using: int = 0
    _cost: dict[int, float] = field(default_factory=dict)
    _used: dict[Millis, int] = field(default_factory=dict)
    _both_since: Millis | None = None
    _next: Millis | None = None
    _wait: int = WAIT
    _tried: Millis | None = None
    _newest: Millis = 0

    def ways_at(self, time: Millis) -> tuple[int, tuple[int, ...]]:
        """Return the way in which a batch is computed, and the ways whose inputs are kept.

        Args:
            time: of the batch; one that is earlier than others so far is not counted.
        """
        if time <= self._newest:
            return self.using, (self.using,)
        self._newest = time
        if self._both_since is None and (self._next is None or time >= self._next):
            self._both_since = time
        way = self.using
        if self._both_since is None:
            kept: tuple[int, ...] = (way,)
        else:
            kept = (0, 1)
            covered = time - self.length >= self._both_since - self.slide
            if covered and self._tried is None and self.using in self._cost:
                way, self._tried = 1 - self.using, time
        self._used[time] = way
        return way, kept

    def way_of(self, time: Millis) -> int | None:
        """Return the way in which a batch was computed, if its cost is not known yet."""
        return self._used.get(time)

    def took(self, time: Millis, seconds: float, other: float = 0.0) -> None:
        """Take note of what a batch has cost.

        Args:
            time: of the batch.
            seconds: what it cost.
            other: what the inputs of the other way alone have cost.
        """
        way = self._used.pop(time, None)
        if way is None:
            return
        self._cost[way] = seconds
        if time == self._tried:
            if seconds < BETTER * self._cost[self.using]:
                self.using = way
            self._end_trial(time)
        elif self._both_since is not None and other >= BETTER * seconds:
            self._end_trial(time)  # the other way cannot win

    def _end_trial(self, time: Millis) -> None:
        self._both_since = self._tried = None
        self._next = time + self._wait * self.length
        self._wait *= 2

    def forget_before(self, time: Millis) -> None:
        """Forget batches that will not be told of any more, such as those that failed."""
        for old in [old for old in self._used if old <= time]:
            del self._used[old]
        if self._tried is not None and self._tried <= time:
            self._tried = None
