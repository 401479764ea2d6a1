"""What the line under a view says."""

from __future__ import annotations

from livebatch.events import Batch, SourceState
from livebatch.interval import Millis, to_datetime
from livebatch.widgets import Figures, Level

SEPARATOR = " · "


def batch_status(batch: Batch) -> str:
    """Say how a settled batch went.

    Example:
        >>> batch_status(Batch("o", "s", 0, "r@0", rows=1234, delay=18))[8:]
        ' · 1,234 rows · 18 ms'
    """
    parts = [clock(batch.time), counted(batch.rows, "row"), milliseconds(batch.delay)]
    if batch.bad is not None:
        parts.append(counted(batch.bad.count, "bad record"))
    return SEPARATOR.join(parts)


def batch_figures(batch: Batch, slide: Millis, errors: int) -> Figures:
    """Return how a settled batch went, in numbers.

    Args:
        batch: the batch.
        slide: how often there is one, in milliseconds.
        errors: records that the stream has left out so far.

    Example:
        >>> figures = batch_figures(Batch("o", "s", 0, "r@0", delay=18, began=2, read=7), 1000, 0)
        >>> figures.processing, figures.began, figures.read
        (16, 2, 7)
    """
    # Where there are rows that nobody has counted coming in, the source did not tell.
    read = batch.read if batch.read or not batch.rows else None
    processing = batch.delay - batch.began
    return Figures(batch.time, slide, batch.rows, read, processing, batch.began, errors)


def source_status(state: SourceState) -> tuple[str, Level] | None:
    """Say how a source is doing, unless it is doing fine.

    Example:
        >>> source_status(SourceState("s1", "stopped", "no such host; trying again in 1 s"))
        ('stopped: no such host; trying again in 1 s', 'error')
        >>> source_status(SourceState("s1", "receiving")) is None
        True
    """
    if state.state == "receiving":
        return None
    if not state.detail:
        return f"{state.state}…", "warn"
    return f"{state.state}: {state.detail}", "error" if state.state == "stopped" else "warn"


def counted(number: int, noun: str, plural: str = "") -> str:
    """Write a number of things.

    Example:
        >>> counted(1, "row"), counted(2000, "row"), counted(2, "batch", "batches")
        ('1 row', '2,000 rows', '2 batches')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def milliseconds(millis: Millis) -> str:
    """Write how long something took.

    Example:
        >>> milliseconds(18), milliseconds(2500)
        ('18 ms', '2.5 s')
    """
    return f"{millis} ms" if millis < 1000 else f"{millis / 1000:.1f} s"


def clock(time: Millis) -> str:
    """Write a batch time as the local time of day."""
    return f"{to_datetime(time):%H:%M:%S}"


def nbytes(number: int) -> str:
    """Write a size.

    Example:
        >>> nbytes(0), nbytes(2_000), nbytes(3_500_000)
        ('0 B', '2.0 kB', '3.5 MB')
    """
    size = float(number)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
