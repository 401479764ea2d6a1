"""What all systems are to find: for each workload the form of its answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

TEN_SECONDS = 10_000

Counts = Mapping[tuple[int, int], int]


def finished(counts: Counts, last: int) -> list[tuple[int, int, int]]:
    """Return (start in ms, campaign, count) of the windows that end by the last time."""
    return sorted(
        (start, campaign, count)
        for (start, campaign), count in counts.items()
        if start + TEN_SECONDS <= last
    )


def summary(p99: Iterable[tuple[int, float]]) -> list[Any]:
    """Return the count and the mean of the quantiles of keys, and some of them. With as few
    numbers for a key as there are, approximate quantiles are exact."""
    ordered = sorted(p99)
    mean = sum(value for _, value in ordered) / len(ordered)
    return [len(ordered), round(mean, 6), [(key, round(value, 6)) for key, value in ordered[:10]]]
