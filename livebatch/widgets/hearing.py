"""Whether the kernel takes notice of what pages say: some do not while a cell runs."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

from IPython import get_ipython

from livebatch.clock import stopwatch

PATIENCE = 0.5


class Hearing:
    """Finds out by asking the kernel's loop to say when it comes round.

    A loop that does not come round is busy with a cell. If nothing was heard from any page either
    since it was asked (by another thread, as in ipykernel 7.3), the kernel is deaf until it is not.

    Args:
        ask: has a function called by the loop that hears pages, some time; false if there is none.
        now: reads a time in seconds.

    Example:
        >>> clock, waiting = [0.0], []
        >>> hearing = Hearing(lambda answer: waiting.append(answer) or True, lambda: clock[0])
        >>> hearing.deaf()
        False
        >>> clock[0] = 1.0
        >>> hearing.deaf()
        True
        >>> waiting.pop()()
        >>> hearing.deaf()
        False
    """

    def __init__(
        self, ask: Callable[[Callable[[], None]], bool], now: Callable[[], float] = stopwatch
    ) -> None:
        self._ask, self._now = ask, now
        self._lock = Lock()
        self._asked: float | None = None

    def heard(self) -> None:
        """Take note that something was heard."""
        with self._lock:
            self._asked = None if self._asked is None else self._now()

    def deaf(self) -> bool:
        """Whether what pages have said lately has not been heard."""
        with self._lock:
            if self._asked is not None:
                return self._now() - self._asked > PATIENCE
            self._asked = self._now()
        if not self._ask(self._answered):
            self._answered()
        return False

    def _answered(self) -> None:
        with self._lock:
            self._asked = None


def ask_kernel(answer: Callable[[], None]) -> bool:
    """Have the loop of the kernel's main thread call a function; false outside of a kernel."""
    kernel: Any = getattr(get_ipython(), "kernel", None)
    loop = getattr(kernel, "io_loop", None)
    if loop is None:
        return False
    loop.add_callback(answer)
    return True


hearing = Hearing(ask_kernel)
