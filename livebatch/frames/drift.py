"""Rows that do not have the columns that a frame was given: what becomes of them."""

from __future__ import annotations

import logging
from typing import Any, TypeAlias

import pyarrow as pa

from livebatch.columns import VALUE, from_rows
from livebatch.errors import DefinitionError
from livebatch.failure import Failure, describe
from livebatch.frames import jsonlines
from livebatch.frames.readers import READERS
from livebatch.leftout import SAMPLES, LeftOut
from livebatch.rdd.data import Flow
from livebatch.rowtables import to_table
from livebatch.schema import Columns
from livebatch.scratch import lacks_memory

SKIP, FAIL = "skip", "fail"
POLICIES = (SKIP, FAIL)

SOME = 100
"""So many rows, about, are looked at for fields that no column is of."""

Part: TypeAlias = pa.Table | Flow | list[Any]
"""Rows, in a table or not yet."""

_log = logging.getLogger("livebatch.frames")
_noted: set[tuple[Columns, str]] = set()


def check_policy(name: str) -> None:
    """Make sure that there is a policy of this name.

    Raises:
        DefinitionError: there is none.
    """
    if name not in POLICIES:
        raise DefinitionError(f"on_drift is one of {', '.join(POLICIES)}, not {name!r}")


def read(format: str, part: Part, columns: Columns) -> pa.Table:
    """Return rows as a table with these columns.

    Raises:
        ValueError: a row does not fit.
    """
    return READERS[format](as_table(part), columns)


def as_table(part: Part) -> pa.Table | Flow:
    return _table(part) if isinstance(part, list) else part


def _table(rows: list[Any]) -> pa.Table:
    found = to_table(rows)  # quickly, if the rows are all alike
    return from_rows(rows) if found is None else found.replace_schema_metadata(None)


def note_new_fields(format: str, part: pa.Table | list[Any], columns: Columns) -> None:
    """Log, once in this process, which fields some of the rows have that no column is of."""
    if format == "csv":
        return
    step = max(1, len(part) // SOME)
    some = (
        _table(part[::step])
        if isinstance(part, list)
        else part.take(pa.array(range(0, len(part), step)))
    )
    names = some.column_names
    if format == "json":
        names = jsonlines.fields(some.column(0).to_pylist())
    known = {name for name, _ in columns}
    new = [name for name in names if name not in known and (columns, name) not in _noted]
    if new and known & set(names):
        _noted.update((columns, name) for name in new)
        _log.warning("ignored, since the frame has no such columns: %s", ", ".join(new))


def fitting(format: str, part: Part, columns: Columns, note: LeftOut) -> list[pa.Table]:
    """Return the rows that fit; ``note`` gets those that do not."""
    misfits: list[Part]
    if format == "json":
        rows, lines = jsonlines.apart(as_table(part), columns)
        fit, misfits = [rows], [[line] for line in lines]
    else:
        fit, misfits = _halved(format, part, columns)
    if misfits:
        failures = (_failure(format, misfit, columns) for misfit in misfits[:SAMPLES])
        note.add(len(misfits), len(misfits) + sum(map(len, fit)), list(failures))
    return fit


def _halved(format: str, part: Part, columns: Columns) -> tuple[list[pa.Table], list[Part]]:
    """Return what of rows fits, and those that do not, each by itself: a part that does not is
    halved, so that few among many are found soon."""
    fit: list[pa.Table] = []
    misfits: list[Part] = []
    stack: list[Any] = [part]
    while stack:
        some = stack.pop()
        middle = len(some) // 2
        found = _read_if_fits(format, some, columns)
        if found is not None:
            fit.append(found)
        elif middle:
            stack += [some[middle:], some[:middle]]
        else:
            misfits.append(some)
    return fit, misfits


def _read_if_fits(format: str, part: Part, columns: Columns) -> pa.Table | None:
    """Return rows as a table; None if one does not fit, whatever conversion says so and how."""
    try:
        return read(format, part, columns)
    except Exception as error:
        if lacks_memory(error):
            raise
        return None


def _failure(format: str, misfit: Part, columns: Columns) -> Failure:
    """Return what is wrong with a row."""
    if isinstance(misfit, pa.Table):
        [row] = misfit.to_pylist()
        record = row[VALUE] if list(row) == [VALUE] else row
    else:
        [record] = misfit
    try:
        read(format, misfit, columns)
    except Exception as error:
        return describe(error, record)
    return Failure("ValueError", "it does not fit", record=repr(record))
