"""How the streams of an engine are doing, as a table that people read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from livebatch.events import EngineStatus, InputStatus, StreamStatus
from livebatch.interval import format_millis
from livebatch.kernel_ext.display import Grid
from livebatch.kernel_ext.status import clock, counted, milliseconds, nbytes

COLUMNS = (
    "stream",
    "now",
    "rows/s",
    "batch time",
    "scheduling delay",
    "batches",
    "kept",
    "state",
    "errors",
    "source",
    "defined in",
)
NUMERIC = frozenset({2, 3, 4, 5})
ERRORS = COLUMNS.index("errors")
NOTHING = "–"


@dataclass(frozen=True)
class Board:
    """The streams, in order of their names.

    Args:
        streams: how each is doing.
        sources: for each how its sources are doing, where that is known.
    """

    streams: Sequence[StreamStatus]
    sources: Mapping[str, str]

    @classmethod
    def of(cls, status: EngineStatus, sources: Mapping[str, str]) -> Board:
        """Return the board of an engine."""
        return cls(sorted(status.streams, key=lambda stream: stream.name), sources)

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The texts of the table."""
        return [_row(stream, self.sources.get(stream.name, "")) for stream in self.streams]

    @property
    def grid(self) -> Grid:
        """The table as it stands still."""
        return Grid(COLUMNS, self.rows, NUMERIC, frozenset({ERRORS}))


def _row(stream: StreamStatus, source: str) -> tuple[str, ...]:
    rate, begun = stream.rate, stream.last is not None
    return (
        stream.name,
        doing(stream),
        (f"{rate:,.0f}" if rate >= 10 else f"{rate:.3g}") if begun else NOTHING,
        milliseconds(stream.delay - stream.began) if begun else NOTHING,
        milliseconds(stream.began) if begun else NOTHING,
        f"{stream.batches:,}",
        kept(stream),
        state(stream),
        errors(stream),
        "; ".join(filter(None, [source or stream.input.state, intake(stream.input)])),
        stream.notes.get("cell", ""),
    )


def doing(stream: StreamStatus) -> str:
    """Say in a word or two what a stream is at.

    Example:
        >>> doing(StreamStatus("words", 1000, 0, 0, None, 0, 0, None))
        'waiting'
        >>> doing(StreamStatus("words", 1000, 0, 0, None, 0, 0, None, paused=("lines",)))
        'lines is paused'
    """
    if stream.name in stream.paused:
        return "paused"
    if stream.paused:
        verb = "is" if len(stream.paused) == 1 else "are"
        return f"{', '.join(stream.paused)} {verb} paused"
    if stream.error:
        return "failing"
    if stream.queued > 1:
        return f"{stream.queued - 1} behind"
    return "waiting" if stream.last is None else "running"


def kept(stream: StreamStatus) -> str:
    """Say which batches can be queried.

    Example:
        >>> words = StreamStatus("words", 1000, 3, 1, 0, 0, 0, None, retained=3, retain=600_000,
        ...                      first=0, nbytes=2_000_000, spilled=500_000)
        >>> kept(words).replace(clock(0), "12:03:01")
        '10m: 3 batches, 2.0 MB (500.0 kB on disk), since 12:03:01'
    """
    span = format_millis(stream.retain)
    if stream.first is None:
        return f"{span}: none yet"
    disk = f" ({nbytes(stream.spilled)} on disk)" if stream.spilled else ""
    batches = counted(stream.retained, "batch", "batches")
    return f"{span}: {batches}, {nbytes(stream.nbytes)}{disk}, since {clock(stream.first)}"


def state(stream: StreamStatus) -> str:
    """Say how much a stream remembers, if it is computed by states."""
    if stream.keys is None:
        return ""
    return f"{counted(stream.keys, 'key')}, {nbytes(stream.state or 0)}"


def intake(input: InputStatus) -> str:
    """Say how much of a stream's input waits or is left out, and what is done about it.

    Example:
        >>> intake(InputStatus(waiting=500_000, buffer=2_000_000, on_overflow="drop_oldest",
        ...                    dropped=1200))
        '500.0 kB of 2.0 MB wait (drop_oldest), 1,200 records dropped'
        >>> intake(InputStatus(limit=2500.2))
        'limited to 2,500 records/s'
    """
    said = []
    if input.on_overflow:
        full = f"{nbytes(input.waiting)} of {nbytes(input.buffer)}"
        said.append(f"{full} wait ({input.on_overflow})")
    if input.dropped:
        said.append(f"{counted(input.dropped, 'record')} dropped")
    if input.limit is not None:
        said.append(f"limited to {input.limit:,.0f} records/s")
    return ", ".join(said)


def errors(stream: StreamStatus) -> str:
    """Say what went wrong so far, and why the newest batch failed, if it did."""
    said = [
        counted(stream.bad, "bad record") if stream.bad else "",
        counted(stream.failed, "failed batch", "failed batches") if stream.failed else "",
        stream.error or "",
    ]
    return "; ".join(filter(None, said))
