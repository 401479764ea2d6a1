"""Count, mean, variance, minimum and maximum, in one pass and mergeable."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf, nan, sqrt


class StatCounter:
    """Statistics of numbers.

    Means and squared deviations are updated as numbers come (Welford 1962) and merged pairwise
    (Chan, Golub and LeVeque 1979), which does not lose digits as sums of squares do.

    >>> stats = StatCounter([1, 2, 3])
    >>> stats.count(), stats.mean(), stats.min(), stats.max()
    (3, 2.0, 1, 3)
    """

    def __init__(self, values: Iterable[float] | None = None) -> None:
        self._count = 0
        self._mean = self._deviation = 0.0
        self._min, self._max = inf, -inf
        for value in values or ():
            self.merge(value)

    def merge(self, value: float) -> StatCounter:
        """Take in a number."""
        self._count += 1
        delta = value - self._mean
        self._mean += delta / self._count
        self._deviation += delta * (value - self._mean)
        self._min, self._max = min(self._min, value), max(self._max, value)
        return self

    def merge_stats(self, other: StatCounter) -> StatCounter:
        """Take in all that another has taken in."""
        if not other._count:
            return self
        total = self._count + other._count
        delta = other._mean - self._mean
        self._mean += delta * other._count / total
        self._deviation += other._deviation + delta * delta * self._count * other._count / total
        self._count = total
        self._min, self._max = min(self._min, other._min), max(self._max, other._max)
        return self

    def copy(self) -> StatCounter:
        """Return one of its own."""
        return StatCounter().merge_stats(self)

    def count(self) -> int:
        """Return how many numbers there were."""
        return self._count

    def mean(self) -> float:
        """Return the mean; NaN of nothing."""
        return self._mean if self._count else nan

    def sum(self) -> float:
        """Return the sum."""
        return self._mean * self._count

    def min(self) -> float:
        """Return the smallest; infinity of nothing."""
        return self._min

    def max(self) -> float:
        """Return the largest; minus infinity of nothing."""
        return self._max

    def variance(self) -> float:
        """Return the variance, divided by the count; NaN of nothing."""
        return self._deviation / self._count if self._count else nan

    def sample_variance(self) -> float:
        """Return the variance, divided by the count less one; NaN of fewer than two."""
        return self._deviation / (self._count - 1) if self._count > 1 else nan

    def stdev(self) -> float:
        """Return the square root of `variance`."""
        return sqrt(self.variance())

    def sample_stdev(self) -> float:
        """Return the square root of `sample_variance`."""
        return sqrt(self.sample_variance())

    def as_dict(self, sample: bool = False) -> dict[str, float]:
        """Return all of them; ``sample``: with the sample's variance and deviation."""
        return {
            "count": self.count(),
            "mean": self.mean(),
            "sum": self.sum(),
            "min": self.min(),
            "max": self.max(),
            "stdev": self.sample_stdev() if sample else self.stdev(),
            "variance": self.sample_variance() if sample else self.variance(),
        }

    def __repr__(self) -> str:
        return (
            f"(count: {self.count()}, mean: {self.mean()}, stdev: {self.stdev()}, "
            f"max: {self.max()}, min: {self.min()})"
        )


def counted_stats(rows: Iterable[float]) -> StatCounter:
    """The statistics of a partition's rows."""
    return StatCounter(rows)
