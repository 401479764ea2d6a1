"""What the line under a view says of a batch, and what its table of errors says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Level: TypeAlias = Literal["ok", "warn", "error"]

BUSY = 0.7
"""A batch that takes more than this part of the interval is warned about."""


@dataclass(frozen=True, slots=True)
class Figures:
    """How a batch went; all times are in milliseconds.

    Args:
        time: the batch time, since 1970 UTC.
        interval: from one batch to the next.
        rows: how many it has.
        read: how many records were read for it; None: not known.
        processing: from when its first task began to when it settled.
        began: from the batch time to when its first task began: the scheduling delay.
        errors: records left out so far, of this and of earlier batches.
    """

    time: int
    interval: int
    rows: int = 0
    read: int | None = None
    processing: int = 0
    began: int = 0
    errors: int = 0

    @property
    def verdict(self) -> tuple[Level, str]:
        """How well the stream keeps up: a level, and a word for those who see no colours.

        Example:
            >>> [Figures(0, 1000, processing=p).verdict for p in (700, 701, 1001)]
            [('ok', ''), ('warn', 'busy'), ('error', 'too slow')]
            >>> Figures(0, 1000, processing=10, began=1500).verdict
            ('warn', 'late')
        """
        if self.processing > self.interval:
            return "error", "too slow"
        if self.processing > BUSY * self.interval:
            return "warn", "busy"
        return ("warn", "late") if self.began > self.interval else ("ok", "")


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """Records on which a function raised the same exception at the same line.

    Args:
        error: the exception and what it says, for the newest of them.
        where: the line that raised it.
        times: how many there were, of those that were kept to look at.
        records: some of them, as their ``repr``, newest last.
        traceback: of the newest.
    """

    error: str
    where: str
    times: int
    records: tuple[str, ...]
    traceback: str


@dataclass(frozen=True, slots=True)
class Errors:
    """Records that were left out because a function raised on them.

    Args:
        count: how many, all in all.
        seen: of how many, in the batches in which there were any.
        kinds: what was raised, the newest first.
    """

    count: int
    seen: int
    kinds: tuple[ErrorKind, ...]
