"""Recorded rows, played back at the pace at which they happened, or at another."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal, TypedDict

import msgspec
import pyarrow as pa

from livebatch.closures import Builtin, builtin
from livebatch.errors import DefinitionError
from livebatch.filesystems import absolute
from livebatch.interval import Millis
from livebatch.schema import written
from livebatch.sources.inline import as_uri, from_uri, given, is_inline
from livebatch.sources.recording import Recording, later, load, look_at

SHORTEST_ROUND = 1000
"""A round that is played again and again takes so many microseconds at least."""


class Offsets(TypedDict):
    """What is remembered from one batch to the next.

    Attributes:
        origin: when the stream began, milliseconds since 1970 UTC.
        position: how far it has been played: microseconds, or rows at speed ``"max"``.
    """

    origin: Millis
    position: int


class Source(msgspec.Struct, frozen=True):
    """Return a stream that plays recorded rows back, as tables.

    The first row comes with the first batch, the others as much later as their times are later,
    divided by the speed; while batches fall behind, they come later than that. A batch has its
    rows in the order of their times, as one partition.

    Args:
        data: the path or URI of a CSV, JSON lines, Parquet or Arrow file that every worker can
            read, and that stays as it is; or a data frame, an Arrow table or a dict of columns,
            of up to 8 MB, which travels to the engine.
        time_column: the column of times: timestamps, dates, or numbers of seconds.
        speed: how many times faster than it happened; or ``"max"``: so many rows in each batch,
            whenever they happened.
        loop: whether it begins anew when it has ended. Times go on: those of the second round are
            later by as long as the recording is, and so on.
        rows_per_batch: how many, at speed ``"max"``.
        found: not to be given: what the data are like, which is found out once.

    Each worker that plays a file keeps its rows in memory. An Arrow file (``.arrow``) that is not
    compressed and in the order of time is only mapped, so it may be large.

    Raises:
        DefinitionError: an argument is wrong, there is no such column, there are no rows, or some
            have no time.
        SourceError: the file cannot be read.

    Example:
        >>> from livebatch.testing import ManualContext, collected
        >>> temperatures = {"second": [10, 11, 13, 14, 15], "celsius": [3.0, 3.5, 4.0, 4.5, 5.0]}
        >>> with ManualContext("1s") as ssc:
        ...     played = collected(ssc.replay(temperatures, "second", speed=2))
        ...     ssc.start()
        ...     ssc.advance("3s")
        ...     [[row["celsius"] for row in batch] for batch in played]
        [[3.0, 3.5], [4.0, 4.5], [5.0]]
    """

    data: Any
    time_column: str
    speed: float | Literal["max"] = 1.0
    loop: bool = False
    rows_per_batch: int = 10_000
    found: Any = None

    def __post_init__(self) -> None:
        speed, count = self.speed, self.rows_per_batch
        if speed != "max" and not (type(speed) in (int, float) and 0 < speed < math.inf):
            raise DefinitionError(f'speed must be a positive number or "max", not {speed!r}')
        if type(count) is not int or count < 1:
            raise DefinitionError(f"rows_per_batch must be a whole number from 1 on, not {count!r}")
        data = _plain(self.data)
        msgspec.structs.force_setattr(self, "data", data)
        found = self.found or look_at(data, self.time_column)[2:]
        msgspec.structs.force_setattr(self, "found", (found[0], written(found[1]), *found[2:]))
        if self.loop and speed != "max" and self.recording.period / speed < SHORTEST_ROUND:
            raise DefinitionError(
                f"at speed {speed} a round of these data takes less than a millisecond"
            )

    @property
    def recording(self) -> Recording:
        """The data, and what they are like."""
        return Recording(self.data, self.time_column, *self.found)

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the rows."""
        return self.recording.schema

    def plan(
        self, offsets: Offsets | None, time: Millis, limit: int | None = None
    ) -> tuple[list[Builtin], Offsets]:
        """Return a reader of the rows that have become due, and what to remember.

        Args:
            offsets: what the last call returned; None at first.
            time: the batch time, milliseconds since 1970 UTC.
            limit: at most about so many rows, by how many there are in such a time on average.

        Raises:
            SourceError: the recording cannot be read.
        """
        if offsets is None:
            return [], {"origin": time, "position": 0}
        recording, start = self.recording, offsets["position"]
        if self.speed == "max":
            end, length = start + self.rows_per_batch, recording.rows
        else:
            elapsed = (time - offsets["origin"]) * 1000
            end, length = int(elapsed * self.speed) + 1, recording.period
        end = max(start, end if self.loop else min(end, length))
        if limit is not None:
            end = min(end, start + -(-limit * length // recording.rows))
        readers = _readers(recording, self.speed == "max", start, end)
        return readers, {"origin": offsets["origin"], "position": end}


def _plain(data: Any) -> str:
    """Return data in a form that travels."""
    if not isinstance(data, (str, Path)):
        return given(data)
    return str(data) if is_inline(data) else absolute(data)


def _readers(recording: Recording, by_row: bool, start: int, end: int) -> list[Builtin]:
    """Return what reads a part of a recording; of an inline one, something that holds it."""
    if start == end:
        return []
    if not is_inline(recording.data):
        return [builtin(play, tuple(recording), by_row, start, end)]
    table = play(recording, by_row, start, end)
    return [builtin(from_uri, as_uri(table))] if table.num_rows else []


def play(recording: tuple[Any, ...], by_row: bool, start: int, end: int) -> pa.Table:
    """Return a part of a recording, played again and again.

    Args:
        recording: a `livebatch.sources.recording.Recording`.
        by_row: whether start and end are numbers of rows, or microseconds after the first row.
        start, end: the part ``[start, end)``.

    Raises:
        SourceError: it cannot be read.
    """
    found = Recording(*recording)
    table, times = load(found)
    length = found.rows if by_row else found.period
    parts = []
    for number in range(start // length, -(-end // length)):
        first = max(0, start - number * length)
        last = min(length, end - number * length)
        if not by_row:
            due = [found.first + first, found.first + last]
            first, last = times.searchsorted(due).tolist()
        rows = table.slice(first, last - first)
        parts.append(later(rows, found.time_column, number * found.period) if number else rows)
    return pa.concat_tables(parts)
