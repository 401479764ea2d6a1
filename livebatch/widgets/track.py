"""A few quantities side by side over time, and how much of them a browser lacks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from livebatch.widgets.buffer import stretches
from livebatch.widgets.columns import Floats


@dataclass(frozen=True, slots=True)
class Stretch:
    """What one frame says: rows to append, or all of them (``whole``); y has a row for each x."""

    whole: bool
    x: Floats
    y: npt.NDArray[np.float64]


class Track:
    """The recent past of ``width`` quantities that are known at the same times.

    Args:
        window: what is kept, in milliseconds before the newest row; may be changed.
        width: how many quantities there are, from low to high.
        limit: rows kept; past it the picture becomes coarser, not shorter.

    Example:
        >>> track = Track(1000.0, width=2)
        >>> track.add(0.0, [1, 2])
        >>> track.add(500.0, [3, 4])
        >>> track.keyframe().y.tolist()
        [[1.0, 2.0], [3.0, 4.0]]
        >>> track.add(1600.0, [5, 6])
        >>> track.delta().y.tolist(), track.keyframe().x.tolist()
        ([[5.0, 6.0]], [500.0, 1600.0])
    """

    def __init__(self, window: float, width: int, limit: int = 4096) -> None:
        self.window, self.width, self._limit = window, width, limit
        self._x: Floats = np.empty(0)
        self._y: npt.NDArray[np.float64] = np.empty((0, width))
        self._fresh, self._whole = 0, True

    def add(self, x: float, row: list[float] | Floats) -> None:
        """Take a row in; ``x`` in milliseconds."""
        late = bool(len(self._x) and x < self._x[-1])
        self._x = np.append(self._x, x)
        self._y = np.vstack([self._y, np.asarray(row, dtype=np.float64)])
        self._fresh += 1
        if late:
            order = np.argsort(self._x, kind="stable")
            self._x, self._y, self._whole = self._x[order], self._y[order], True
        self.forget(float(self._x[-1]))

    def forget(self, end: float) -> None:
        """Let go what has left the window that ends at ``end``, but one row that leads in."""
        first = max(int(np.searchsorted(self._x, end - self.window)) - 1, 0)
        self._x, self._y = self._x[first:], self._y[first:]
        if len(self._x) > self._limit:
            self._halve()

    def delta(self) -> Stretch:
        """What has come since the last frame."""
        n = len(self._x) if self._whole else min(self._fresh, len(self._x))
        first = len(self._x) - n
        whole, self._whole, self._fresh = self._whole, False, 0
        return Stretch(whole, self._x[first:], self._y[first:])

    def keyframe(self) -> Stretch:
        """All there is."""
        self._whole = True
        return self.delta()

    def points(self) -> tuple[Floats, npt.NDArray[np.float64]]:
        """All there is, and nothing taken for sent."""
        return self._x, self._y

    def _halve(self) -> None:
        """Of each stretch of time keep the outline: the lowest lows, the highest highs."""
        first = np.flatnonzero(np.diff(stretches(self._x, self._limit // 2), prepend=-1))
        low = np.arange(self.width) < self.width / 2
        lowest, highest = (f.reduceat(self._y, first) for f in (np.minimum, np.maximum))
        self._x = self._x[np.append(first[1:], len(self._x)) - 1]
        self._y, self._whole = np.where(low, lowest, highest), True
