"""The values of the recent past, in slices of time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from livebatch.widgets.columns import Floats


@dataclass(slots=True)
class Slice:
    """Values that came from ``start`` to ``end`` (milliseconds) in so many batches.

    A value stands for as many as its weight says.
    """

    start: float
    end: float
    batches: int = 1
    values: Floats = field(default_factory=lambda: np.empty(0))
    weights: Floats = field(default_factory=lambda: np.empty(0))

    def take(self, later: Slice) -> None:
        """Add what another slice has."""
        self.end = max(self.end, later.end)
        self.batches += later.batches
        self.values = np.concatenate([self.values, later.values])
        self.weights = np.concatenate([self.weights, later.weights])

    def thin(self, limit: int) -> None:
        """Let at most ``limit`` values stand for all of them."""
        if (n := len(self.values)) > limit:
            keep = np.arange(limit) * n // limit
            self.values, self.weights = (
                self.values[keep],
                np.full(limit, self.weights.sum() / limit),
            )


class Recent:
    """Values within a window of time.

    Args:
        window: what is kept, in milliseconds before the newest slice; may be changed.
        slices: into how many parts the window is cut at most; batches of one part are one slice.
        limit: values kept; past it those that are kept stand for others too.

    Example:
        >>> recent = Recent(1000.0, slices=100)
        >>> for time in (0.0, 500.0, 1400.0):
        ...     _ = recent.add(time, np.array([time]))
        >>> [slice.values.tolist() for slice in recent.slices]
        [[500.0], [1400.0]]
    """

    def __init__(self, window: float, *, slices: int, limit: int = 100_000) -> None:
        self.window, self._parts, self._limit = window, slices, limit
        self.slices: deque[Slice] = deque()

    def add(self, time: float, values: Floats) -> Slice:
        """Take the values of a batch in, of which only finite ones count; returns their slice."""
        values = values[np.isfinite(values)]
        fresh = Slice(time, time, 1, values, np.ones(len(values)))
        fresh.thin(self._limit // 2)
        if self.slices and time - self.slices[-1].start < self.window / self._parts:
            self.slices[-1].take(fresh)
        else:
            self.slices.append(fresh)
        self._forget()
        self._bound()
        return self.slices[-1]

    @property
    def values(self) -> Floats:
        """All values."""
        return np.concatenate([slice.values for slice in self.slices] or [np.empty(0)])

    @property
    def weights(self) -> Floats:
        """For how many each of the values stands."""
        return np.concatenate([slice.weights for slice in self.slices] or [np.empty(0)])

    def _forget(self) -> None:
        left = self.slices[-1].end - self.window
        while self.slices[0].end <= left and len(self.slices) > 1:
            self.slices.popleft()

    def _bound(self) -> None:
        if sum(len(slice.values) for slice in self.slices) > self._limit:
            for slice in self.slices:
                slice.thin(max(len(slice.values) // 2, 1))
