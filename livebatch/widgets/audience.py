"""The pages that show a view: which of them are looked at, and how far they have come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from threading import Lock
from typing import Any

from livebatch.clock import stopwatch

IN_FLIGHT = 8
"""Messages that a page may be behind; it acknowledges five times a second."""

SILENCE = 5.0
"""Seconds after which a page that does not say anything is gone; one that is there speaks more
often."""

PAGES = 32


class Sight(Enum):
    """Whether a view should send now."""

    OPEN = "open"
    BEHIND = "behind"
    """Someone looks, and has not taken yet what was sent."""
    HIDDEN = "hidden"
    """Nobody looks."""


@dataclass(slots=True)
class _Page:
    seq: int
    sees: bool
    heard: float


class Audience:
    """Keeps account of what pages say; its methods may be called from any thread.

    A page says which number it has come to, and whether the view is in sight: when that changes,
    now and then while numbers come, and every two seconds while none do. Until a page is heard
    there is no telling, and everything is sent.

    Args:
        now: reads a time in seconds.

    Example:
        >>> audience = Audience(now=lambda: 0.0)
        >>> audience.sight()
        <Sight.OPEN: 'open'>
        >>> audience.hear({"page": "a", "seq": -1, "sees": False})
        False
        >>> audience.sight()
        <Sight.HIDDEN: 'hidden'>
        >>> audience.hear({"page": "a", "seq": -1, "sees": True})  # it must be told all
        True
    """

    def __init__(self, now: Callable[[], float] = stopwatch) -> None:
        self._now = now
        self._lock = Lock()
        self._pages: dict[str, _Page] = {}
        self._sent = -1
        self._met = False

    def hear(self, said: Mapping[str, Any]) -> bool:
        """Take note of what a page says.

        Args:
            said: ``page``, its id; ``seq``, the number it has come to; ``sees``, whether the view
                is in sight; ``idle``, that nothing has come for a while; ``ask``, that it wants
                everything; or ``gone``.

        Returns:
            Whether the next message must say everything.
        """
        id, seq, sees = str(said["page"]), int(said.get("seq", -1)), bool(said.get("sees"))
        with self._lock:
            before = self._pages.pop(id, None)
            self._met = True
            if said.get("gone"):
                return False
            # What an idle page has not got by now was lost on the way.
            lost = bool(said.get("idle")) and sees and seq < self._sent
            returned = sees and (before is None or not before.sees)
            anew = bool(said.get("ask")) or lost or returned
            self._pages[id] = _Page(self._sent if anew else seq, sees, self._now())
            while len(self._pages) > PAGES:
                del self._pages[next(iter(self._pages))]
            return anew

    def sent(self, seq: int) -> None:
        """Take note that a message was sent to all pages."""
        with self._lock:
            self._sent = seq

    def sight(self) -> Sight:
        """Whether to send now."""
        with self._lock:
            if not self._met:
                return Sight.OPEN
            behind = [
                (id, page)
                for id, page in self._pages.items()
                if page.sees and self._sent - page.seq >= IN_FLIGHT
            ]
            for id, page in behind:
                if self._now() - page.heard <= SILENCE:
                    return Sight.BEHIND
                del self._pages[id]
            seen = any(page.sees for page in self._pages.values())
            return Sight.OPEN if seen else Sight.HIDDEN
