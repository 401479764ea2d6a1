"""Lines of JSON as a table with known columns; runs inside a task."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress

import msgspec
import pyarrow as pa

from livebatch.columns import VALUE
from livebatch.duck import quoted
from livebatch.frames.kernel import kernel
from livebatch.frames.run import THIS
from livebatch.rdd.data import Flow
from livebatch.schema import Columns, arrow_schema


def apart(lines: pa.Table | Flow, columns: Columns) -> tuple[pa.Table, list[str]]:
    """The lines that fit, as rows with NULL for what is not there; and those that do not.

    >>> rows, misfits = apart(pa.table({"value": ['{"n": 1}', '{"n": "x"}']}), (("n", "BIGINT"),))
    >>> rows.to_pylist(), misfits
    ([{'n': 1}], ['{"n": "x"}'])
    """
    found = kernel().run(_query(lines.schema.names[0], columns), {THIS: lines})
    bad = found.columns[-1]
    rows = found.remove_column(len(columns))
    misfits: list[str] = []
    if bad.null_count < len(bad):
        misfits, rows = bad.drop_null().to_pylist(), rows.filter(bad.is_null())
    return rows.cast(arrow_schema(columns)), misfits


def fields(lines: Iterable[str | None]) -> list[str]:
    """The names of the fields of lines.

    >>> fields(['{"n": 1}', "no JSON", "[2]"])
    ['n']
    """
    names: set[str] = set()
    for line in lines:
        with suppress(msgspec.DecodeError):
            found = msgspec.json.decode(line or "null")
            names.update(found if isinstance(found, dict) else ())
    return sorted(names)


def _query(line: str, columns: Columns) -> str:
    """Return the query that gives the columns and, last, the lines that do not fit.

    Only where something is NULL, lines are looked at again: they may be no JSON, or have a value
    of another type.
    """
    names = [name for name, _ in columns]
    parsed = ", ".join(f"x[{_text(name)}] AS {quoted(name)}" for name in names)
    nulls = " OR ".join(f"x[{_text(name)}] IS NULL" for name in names)
    other = " OR ".join(
        f"(x[{_text(name)}] IS NULL AND json_type(json, {_text(_path(name))}) <> 'NULL')"
        for name in names
    )
    misfit = (
        f"CASE WHEN {nulls} THEN CASE WHEN json IS NULL THEN NULL WHEN NOT json_valid(json) "
        f"OR json_type(json) <> 'OBJECT' OR {other} THEN json END END"
    )
    structure = _text(json.dumps(dict(columns)))
    lines = f"SELECT {quoted(line)} AS json FROM {THIS}"
    objects = f"SELECT TRY(json_transform(json, {structure})) AS x, json FROM ({lines})"
    return f"SELECT {parsed}, {misfit} AS {quoted(' '.join([*names, VALUE]))} FROM ({objects})"


def _text(text: str) -> str:
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


def _path(name: str) -> str:
    """Return where a field is in a JSON object."""
    return "/" + name.replace("~", "~0").replace("/", "~1")
