"""What has happened already, cut into batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from livebatch.closures import Builtin, builtin, pickled
from livebatch.errors import DefinitionError
from livebatch.filesystems import absolute
from livebatch.interval import Millis, format_millis
from livebatch.operators.state import given_rows
from livebatch.rdd import RDD, JobRunner
from livebatch.rdd.operation import Read, Unioned

MOST = 1_000_000
"""More batches than this are taken for a mistake."""

Batch: TypeAlias = "RDD[Any] | pa.Table | list[Any]"


class History(NamedTuple):
    """The batches of one source.

    Attributes:
        zero: the time before the first, milliseconds since 1970 UTC; None: they have no times.
        batches: what each of them has.
    """

    zero: Millis | None
    batches: list[Batch]


def cut(data: Any, every: Millis, time_column: str | None) -> History:
    """Return data as the batches that a source would have given.

    Args:
        data: without a time column a list of batches, each an RDD or records, or one RDD; else
            the path of a file, a table of any kind, an RDD or a list of dicts.
        every: the batch interval.
        time_column: of times: timestamps, dates, or numbers of seconds. A batch at a time t has
            the rows of ``(t - every, t]``.

    Raises:
        DefinitionError: the data are nothing of the kind.
        SourceError: the file cannot be read.
    """
    if time_column is None:
        return History(None, _listed(data))
    rows, times = _timed(data, time_column)
    step = every * 1000
    zero = (int(times[0]) - 1) // step * step
    number = (times - zero - 1) // step
    count = int(number[-1]) + 1
    if count > MOST:
        raise DefinitionError(
            f'the times in "{time_column}" span {count:,} batches of {format_millis(every)}: is '
            "one of them wrong, or every too short?"
        )
    bounds = np.searchsorted(number, np.arange(count + 1)).tolist()
    return History(zero // 1000, [rows[a:b] for a, b in pairwise(bounds)])


def _listed(data: Any) -> list[Batch]:
    if isinstance(data, RDD):
        return [data]
    if isinstance(data, (str, Path, Mapping, pa.Table)) or hasattr(data, "columns"):
        raise DefinitionError(
            "say which column of the data is the time by which to cut them into batches: "
            'time_column="…"'
        )
    try:
        return [batch if isinstance(batch, RDD) else list(batch) for batch in data]
    except TypeError:
        raise DefinitionError(
            "data must be a list of batches, each a list of records or an RDD; or a table or "
            'records with times, then say time_column="…"'
        ) from None


def _timed(data: Any, name: str) -> tuple[Any, npt.NDArray[np.int64]]:
    """Return rows in the order of time, as a table or a list, and their times in microseconds."""
    from livebatch.sources.recording import load, look_at, times_of  # takes a moment

    if isinstance(data, (str, Path)):
        return load(look_at(absolute(data), name))
    if isinstance(data, RDD):
        data = data.collect()
    rows = list(data) if isinstance(data, Sequence) else _as_table(data)
    try:
        column = [row[name] for row in rows] if isinstance(rows, list) else rows.column(name)
    except (KeyError, TypeError, IndexError):
        raise DefinitionError(f'not every row has a column "{name}"') from None
    times = times_of(pa.table({name: column}), name)
    if not len(times):
        raise DefinitionError("there are no rows, so there is no time at which to begin")
    if (times[1:] < times[:-1]).any():
        order = np.argsort(times, kind="stable")
        times = times[order]
        rows = [rows[i] for i in order] if isinstance(rows, list) else rows.take(pa.array(order))
    return rows, times


def _as_table(data: Any) -> pa.Table:
    try:
        return pa.table(data)
    except (TypeError, pa.ArrowException) as error:
        raise DefinitionError(
            f"data must be the path of a file, a table, an RDD or a list of dicts, not "
            f"{type(data).__name__} ({error})"
        ) from error


def together(
    histories: Sequence[History], every: Millis, start: Millis
) -> tuple[Millis, list[tuple[Batch, ...]]]:
    """Return the time before the first batch, and for each batch what each source has.

    Args:
        histories: those of all sources.
        every: the batch interval.
        start: when those begin that have no times, if none has any.
    """
    zero = min((h.zero for h in histories if h.zero is not None), default=start)
    ahead = [0 if h.zero is None else (h.zero - zero) // every for h in histories]
    none: list[Batch] = [[]]
    padded = [none * n + h.batches for n, h in zip(ahead, histories, strict=True)]
    return zero, list(zip_longest(*padded, fillvalue=[]))


def as_rdd(batch: Batch, runner: JobRunner) -> RDD[Any]:
    """Return a batch as an RDD whose data travel with it, and are gone with it."""
    if isinstance(batch, RDD):
        return batch
    count, size = runner.default_parallelism, len(batch)
    bounds = [size * i // count for i in range(count + 1)]
    readers = [_reader(batch[a:b]) for a, b in pairwise(bounds)]
    return RDD(Unioned(), [RDD(Read((reader,)), runner=runner) for reader in readers])


def _reader(part: pa.Table | list[Any]) -> Builtin:
    if isinstance(part, pa.Table):
        from livebatch.sources.inline import as_uri, from_uri  # takes a moment

        return builtin(from_uri, as_uri(part))
    return builtin(given_rows, pickled(part, "the data"))
