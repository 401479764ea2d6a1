"""The batches that a view may have to draw again, when its window of time changes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TypeAlias

import pyarrow as pa

Batch: TypeAlias = tuple[datetime, pa.Table]

LONGEST = 3600.0
BATCHES = 10_000
NBYTES = 8 << 20


class Past:
    """Keeps batches while they are recent and not too large together.

    Args:
        seconds: how recent, against the newest.
        nbytes: how large.

    Example:
        >>> from datetime import UTC
        >>> past = Past(seconds=10.0)
        >>> for second in (0, 5, 12):
        ...     past.add(datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC), pa.table({"n": [second]}))
        >>> [time.second for time, table in past]
        [5, 12]
    """

    def __init__(self, seconds: float = LONGEST, nbytes: int = NBYTES) -> None:
        self._age, self._limit = timedelta(seconds=seconds), nbytes
        self._batches: deque[Batch] = deque()
        self._nbytes = 0

    def add(self, time: datetime, table: pa.Table) -> None:
        """Keep the batch of ``time``, and forget what is too much."""
        self._batches.append((time, table))
        self._nbytes += table.get_total_buffer_size()
        while len(self._batches) > 1 and (
            self._batches[0][0] < time - self._age
            or self._nbytes > self._limit
            or len(self._batches) > BATCHES
        ):
            self._nbytes -= self._batches.popleft()[1].get_total_buffer_size()

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._batches)
