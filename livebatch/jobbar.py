"""What a person sees while a job takes its time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from livebatch.clock import stopwatch

PATIENCE = 0.5
"""Seconds before anything is shown."""


class JobBar:
    """A progress bar of a job, which comes when the job has taken half a second and goes with it.

    Only the main thread has one: another is at work on somebody else's behalf.

    Args:
        ask: returns how many of the job's tasks are done, and how many there are.
        make: makes a bar, as tqdm does.
        unit: what it counts.

    Example:
        >>> bar = JobBar(lambda: (1, 3), terminal_bar)
        >>> bar()  # while waiting
        >>> bar.close()
    """

    def __init__(
        self, ask: Callable[[], tuple[int, int]], make: Callable[..., Any], unit: str = "task"
    ) -> None:
        self._ask, self._make, self._unit = ask, make, unit
        self._begun = stopwatch()
        self._bar: Any = None

    def __call__(self) -> None:
        """Show how far the job is."""
        main = threading.current_thread() is threading.main_thread()
        if not main or stopwatch() - self._begun < PATIENCE:
            return
        done, total = self._ask()
        if self._bar is None:
            self._bar = self._make(total=total, unit=self._unit, leave=False)
        self._bar.total, self._bar.n = total, done
        self._bar.refresh()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.n = self._bar.total  # one that is not full stays, in red
            self._bar.close()


def terminal_bar(**options: Any) -> Any:
    """Return a bar in the terminal; none is seen where there is no terminal."""
    from tqdm import tqdm  # few jobs need it

    return tqdm(disable=None, **options)
