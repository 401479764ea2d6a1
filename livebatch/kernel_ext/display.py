"""Small tables, as text and as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from livebatch.engine.runtime import ConnectionFile
from livebatch.events import EngineStatus, StreamStatus
from livebatch.interval import format_millis, to_datetime
from livebatch.kernel_ext.status import clock, counted, milliseconds, nbytes

_LEFT = ' style="text-align: left"'
_ERROR = ' style="text-align: left; color: var(--jp-error-color1, #d32f2f)"'


@dataclass(frozen=True)
class Grid:
    """A table of short texts.

    Args:
        names: of the columns; none: the rows are (what, value) pairs.
        rows: the texts.
        numeric: the columns to align right.
        alarming: the columns whose texts are bad news.
    """

    names: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: frozenset[int] = frozenset()
    alarming: frozenset[int] = frozenset()

    def __repr__(self) -> str:
        lines = [self.names, *self.rows] if self.names else list(self.rows)
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(
                text.rjust(width) if i in self.numeric else text.ljust(width)
                for i, (text, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )

    def _repr_html_(self) -> str:
        head = "".join(
            f"<th{'' if i in self.numeric else _LEFT}>{escape(name)}</th>"
            for i, name in enumerate(self.names)
        )
        rows = "".join(f"<tr>{self._cells(row)}</tr>" for row in self.rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"

    def _cells(self, row: Sequence[str]) -> str:
        return "".join(f"<td{self._style(i)}>{escape(text)}</td>" for i, text in enumerate(row))

    def _style(self, column: int) -> str:
        if column in self.alarming:
            return _ERROR
        return "" if column in self.numeric else _LEFT


def engine_table(status: EngineStatus) -> Grid:
    """Return how an engine is doing."""
    pids = ", ".join(map(str, status.workers))
    rows = [
        ("batch", format_millis(status.batch)),
        ("workers", f"{len(status.workers)} (pid {pids})"),
        ("engine", f"{status.name} (pid {status.pid})".strip()),
        ("streams", ", ".join(sorted(s.name for s in status.streams)) or "none yet"),
        ("stored", nbytes(status.stored)),
    ]
    if status.pending:
        rows.append(("at work on", counted(status.pending, "job")))
    return Grid((), rows)


def engines_table(
    engines: Sequence[tuple[ConnectionFile, EngineStatus | None]], mine: str | None
) -> Grid:
    """Return the engines that run.

    Args:
        engines: each with how it is doing, if it says.
        mine: the name of the notebook's own.
    """
    names = ("engine", "", "since", "pid", "batch", "workers", "streams")
    rows = [
        (
            engine.name,
            "this notebook's" if engine.name == mine else "",
            f"{to_datetime(engine.started):%Y-%m-%d %H:%M:%S}",
            str(engine.owner.pid),
            format_millis(status.batch) if status else "–",
            str(len(status.workers)) if status else "–",
            (", ".join(sorted(s.name for s in status.streams)) or "none yet") if status else "–",
        )
        for engine, status in engines
    ]
    return Grid(names, rows, frozenset({3, 5}))


def stream_table(status: EngineStatus, sources: Mapping[str, str]) -> Grid:
    """Return how the named streams of an engine are doing.

    Args:
        status: of the engine.
        sources: for each stream how its sources are doing, where that is known.
    """
    names = (
        "stream",
        "rows/s",
        "batches",
        "last batch",
        "delay",
        "kept for",
        "kept",
        "bad",
        "source",
        "error",
    )
    streams = sorted(status.streams, key=lambda stream: stream.name)
    rows = [_stream_row(stream, sources.get(stream.name, "")) for stream in streams]
    return Grid(names, rows, frozenset({1, 2, 4, 5, 7}), frozenset({9}))


def _stream_row(stream: StreamStatus, source: str) -> tuple[str, ...]:
    rate = stream.rows * 1000 / stream.slide
    if stream.last is None:
        numbers = ("–", str(stream.batches), "–", "–")
    else:
        numbers = (
            f"{rate:,.0f}" if rate >= 10 else f"{rate:.3g}",
            f"{stream.batches:,}",
            clock(stream.last),
            milliseconds(stream.delay),
        )
    return (
        stream.name,
        *numbers,
        format_millis(stream.retain),
        _kept(stream),
        str(stream.bad),
        source or stream.source,
        stream.error or "",
    )


def _kept(stream: StreamStatus) -> str:
    """Return which batches can be queried."""
    if stream.first is None:
        return "none yet"
    return (
        f"{counted(stream.retained, 'batch', 'batches')} from {clock(stream.first)} on, "
        f"{nbytes(stream.nbytes)}"
    )
