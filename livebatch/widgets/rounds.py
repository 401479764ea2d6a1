"""The one thread that draws and sends views, and what that may cost a kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from threading import Event, Lock, RLock, Thread, current_thread
from typing import Protocol

from livebatch.clock import cpu_stopwatch, stopwatch

FRAMES_PER_SECOND = 20.0
SHARE = 0.15
"""How much of one core all views together may use to draw and send."""

JOIN_SECONDS = 5.0


class Member(Protocol):
    """Who takes turns."""

    def turn(self, late: bool) -> float | None:
        """Do what is to be done; it must not raise.

        Args:
            late: it should have had its turn before.

        Returns:
            After how many seconds it wants another turn, if it does whatever happens.
        """


class Governor:
    """Tells how long to rest so that work stays within a share of a core; a little is free.

    Args:
        now: reads a time in seconds.

    Example:
        >>> governor = Governor(now=lambda: 0.0)
        >>> for cost in (0.005, 0.01, 0.01):
        ...     governor.spend(cost, share=0.1)
        ...     print(round(governor.rest(), 3))
        0.0
        0.1
        0.2
    """

    free = 1 / FRAMES_PER_SECOND

    def __init__(self, now: Callable[[], float] = stopwatch) -> None:
        self._now = now
        self._paid = 0.0

    def spend(self, cost: float, share: float) -> None:
        """Take note of so many seconds of work."""
        self._paid = max(self._paid, self._now()) + cost / share

    def rest(self) -> float:
        """Return the seconds for which there must be no more work."""
        return max(0.0, self._paid - self._now() - self.free)


class Rounds:
    """Gives those who want one a turn, at most so many times a second, in the order in which they
    asked. There is a thread for as long as there are members.

    Attributes:
        rate: rounds a second.
        share: of one core, for all turns together.
    """

    def __init__(self) -> None:
        self.rate, self.share = FRAMES_PER_SECOND, SHARE
        self._lock, self._turning = Lock(), RLock()
        self._members: set[Member] = set()
        self._wanted: dict[Member, float] = {}
        self._governor = Governor()
        self._thread: Thread | None = None
        self._news = self._gone = Event()

    def join(self, member: Member) -> None:
        """Take someone in, and give it a turn."""
        with self._lock:
            self._members.add(member)
            if self._thread is None:
                self._news, self._gone = Event(), Event()
                self._thread = Thread(
                    target=self._run,
                    args=[self._news, self._gone],
                    name="livebatch-views",
                    daemon=True,
                )
                self._thread.start()
        self.want(member)

    def want(self, member: Member, after: float = 0.0) -> None:
        """Give someone a turn, in so many seconds at the latest; called by any thread."""
        due = stopwatch() + after
        with self._lock:
            if member in self._members and due < self._wanted.get(member, inf):
                self._wanted[member] = due
                self._news.set()

    def leave(self, member: Member) -> None:
        """Give someone no more turns; one that it has now ends first."""
        last = None
        with self._lock:
            self._members.discard(member)
            self._wanted.pop(member, None)
            if not self._members:
                last, self._thread = self._thread, None
                self._gone.set()
                self._news.set()
        if self._turning.acquire(timeout=JOIN_SECONDS):
            self._turning.release()
        if last is not None and last is not current_thread():
            last.join(JOIN_SECONDS)

    @contextmanager
    def halted(self) -> Iterator[None]:
        """Give nobody a turn meanwhile."""
        with self._turning:
            yield

    def _run(self, news: Event, gone: Event) -> None:
        while not gone.is_set():
            news.wait(self._pause())
            news.clear()
            begun = stopwatch()
            for member, due in self._due(begun):
                gone.wait(self._governor.rest())
                self._give(member, late=stopwatch() - due > 2 / self.rate)
            gone.wait(max(0.0, begun + 1 / self.rate - stopwatch()))

    def _pause(self) -> float | None:
        """Return in how many seconds someone wants a turn."""
        with self._lock:
            first = min(self._wanted.values(), default=None)
        return None if first is None else max(0.0, first - stopwatch())

    def _due(self, now: float) -> list[tuple[Member, float]]:
        """Return who is to have a turn now, and since when."""
        with self._lock:
            found = [(member, due) for member, due in self._wanted.items() if due <= now]
            for member, _ in found:
                del self._wanted[member]
        return found

    def _give(self, member: Member, late: bool) -> None:
        begun = cpu_stopwatch()
        with self._turning:
            again = member.turn(late) if member in self._members else None
        if again is not None:
            self.want(member, again)
        self._governor.spend(cpu_stopwatch() - begun, self.share)
