"""When a stream was, or is, paused."""

from __future__ import annotations

from livebatch.interval import Millis


class Pauses:
    """The times at which a stream computes nothing: spans ``(begin, end]``, the last of which may
    have no end yet.

    Example:
        >>> pauses = Pauses()
        >>> pauses.begin(2000)
        >>> pauses.end(4000)
        >>> [time for time in (2000, 3000, 4000, 5000) if time in pauses]
        [3000, 4000]
    """

    def __init__(self) -> None:
        self.spans: list[tuple[Millis, Millis | None]] = []

    @property
    def now(self) -> bool:
        """Whether there is one that has not ended."""
        return bool(self.spans) and self.spans[-1][1] is None

    def begin(self, time: Millis) -> None:
        """Begin one after a time, unless one is going on."""
        if not self.now:
            self.spans.append((time, None))

    def end(self, time: Millis) -> None:
        """Have the one that goes on end with a time."""
        if self.now:
            self.spans[-1] = self.spans[-1][0], time

    def forget_before(self, time: Millis) -> None:
        """Drop what ended at a time or before."""
        self.spans = [span for span in self.spans if span[1] is None or span[1] > time]

    def __contains__(self, time: Millis) -> bool:
        return any(begin < time and (end is None or time <= end) for begin, end in self.spans)
