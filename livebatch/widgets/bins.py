"""Bins with round edges that stay where they are as long as the data allow it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from livebatch.widgets.columns import Floats

FEWEST, WANTED, MOST = 15, 40, 60
# Edges are chosen anew when the data fill less than this share of them.
FILLED = 0.5
# Outliers are what lies outside the central 99 % and makes the range so many times as wide. Two
# figures, or a range near one of them would go back and forth.
CENTRAL = (0.005, 0.995)
FAR, NEAR = 4.0, 2.0
TINY = 1e-290


@dataclass(frozen=True, slots=True)
class Edges:
    """``count`` bins of equal width: bin i is from (start + i) × step to less than the next.

    Args:
        start: the first edge, in steps.
        step: the width of a bin: 1, 2 or 5 times a power of ten.
        count: how many bins there are.
    """

    start: int
    step: float
    count: int

    def tally(self, values: Floats, weights: Floats) -> Floats:
        """How many values are in each bin, after how many are below the first.

        Returns:
            ``count`` + 2 numbers: below, in the bins, above.

        Example:
            >>> Edges(0, 0.1, 4).tally(np.array([-1, 0.0, 0.3, 0.35, 9]), np.ones(5)).tolist()
            [1.0, 1.0, 0.0, 0.0, 2.0, 1.0]
        """
        place = np.clip(_cells(values, self.step) - self.start, -1, self.count) + 1
        return np.bincount(place.astype(np.int64), weights, self.count + 2).astype(np.float64)


class Binning:
    """Chooses edges for data that change.

    New extremes add bins of the same width at the ends; the width changes only when there would
    be too few or too many bins.

    Example:
        >>> binning = Binning()
        >>> binning.fit(np.array([3.0, 97.0]))
        Edges(start=0, step=5.0, count=20)
        >>> binning.fit(np.array([3.0, 104.0]))
        Edges(start=0, step=5.0, count=21)
        >>> binning.fit(np.array([0.1, 0.2]))
        Edges(start=20, step=0.005, count=21)
    """

    def __init__(self) -> None:
        self._edges: Edges | None = None
        self._cut = False

    def fit(self, values: Floats) -> Edges:
        """The edges for these values, of which there is at least one, all finite."""
        low, high = self._reach(values)
        least = _least(values)
        old = self._edges
        step = _nice(max(high / WANTED - low / WANTED, least))
        if old is not None and self._suits(old.step, low, high, least):
            step = old.step
        first, last = (int(cell) for cell in _cells(np.array([low, high]), step))
        if old is not None and old.step == step:
            wide = min(first, old.start), max(last, old.start + old.count - 1)
            if last - first + 1 >= FILLED * (wide[1] - wide[0] + 1):
                first, last = wide
        self._edges = Edges(first, step, last - first + 1)
        return self._edges

    def _suits(self, step: float, low: float, high: float, least: float) -> bool:
        count = high / step - low / step + 1
        return step >= least and count <= MOST and (count >= FEWEST or step <= _nice(least))

    def _reach(self, values: Floats) -> tuple[float, float]:
        """The range to show: all of the values, or without outliers."""
        low, high = float(values.min()), float(values.max())
        inner = np.quantile(values, CENTRAL, method="nearest")
        # Halves, because the distance of two numbers may be more than a float can hold.
        width = float(inner[1]) / 2 - float(inner[0]) / 2
        self._cut = width > 0 and high / 2 - low / 2 > (NEAR if self._cut else FAR) * width
        return (float(inner[0]), float(inner[1])) if self._cut else (low, high)


def _least(values: Floats) -> float:
    """The narrowest bin that makes sense: whole numbers have no use for less than 1."""
    largest = float(np.abs(values).max())
    if largest < 2**53 and np.array_equal(values, np.rint(values)):
        return 1.0
    if values.min() == values.max():
        return max(largest / 100, TINY)
    return max(largest * 1e-12, TINY)


def _nice(width: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is not below ``width``."""
    power = int(np.floor(np.log10(width)))
    for mantissa in (1, 2, 5, 10):
        # Dividing by a power of ten is exact where multiplying by its inverse is not.
        step = mantissa * 10.0**power if power >= 0 else mantissa / 10.0**-power
        if step >= width * (1 - 1e-9):
            break
    return step


def _cells(values: Floats, step: float) -> npt.NDArray[np.float64]:
    """``values / step`` rounded down; what is an edge but for rounding counts as one."""
    scaled = values / step
    nearest = np.rint(scaled)
    on_edge = np.abs(scaled - nearest) <= 1e-9 * np.maximum(np.abs(scaled), 1.0)
    return np.where(on_edge, nearest, np.floor(scaled))
