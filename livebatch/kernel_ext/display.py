"""Small tables, as text and as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from livebatch.engine.runtime import ConnectionFile
from livebatch.events import CheckpointStatus, EngineStatus
from livebatch.interval import format_millis, to_datetime
from livebatch.kernel_ext.status import counted, nbytes

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
    if (kept := status.checkpoints) is not None:
        rows += checkpoint_rows(kept)
    if status.trouble:
        rows.append(("trouble", status.trouble))
    if status.pending:
        rows.append(("at work on", counted(status.pending, "job")))
    return Grid((), rows)


def checkpoint_rows(status: CheckpointStatus) -> list[tuple[str, str]]:
    """Return how checkpoints are doing, as rows of a table."""
    taken = "none yet" if status.taken is None else f"of {to_datetime(status.taken):%H:%M:%S}"
    rows = [("checkpoint", f"{status.trouble or taken} (in {status.folder})")]
    if (found := status.recovery) is not None:
        missed = f"{counted(found.missed, 'batch', 'batches')} missed"
        what = f"{missed}, {'left out' if found.skipped else 'then made'}"
        again = counted(found.again, "batch", "batches")
        rows.append(
            ("recovered", f"{to_datetime(found.at):%Y-%m-%d %H:%M:%S}; {again} made again; {what}")
        )
    return rows


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
