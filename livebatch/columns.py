"""Rows as columns: what SQL sees of Python objects, and of batches that are not all alike."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import cache
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

VALUE = "value"
"""The column of rows that have no fields."""

DEEPEST = 50
"""Values that are nested deeper are text."""

_NO_FORM = (pa.ArrowException, TypeError, ValueError, OverflowError)
_WIDEST = 38
_ANY_INTEGER = pa.decimal128(_WIDEST)


def from_rows(rows: Sequence[Any]) -> pa.Table:
    """Return rows as a table; a row that lacks a column has NULL there.

    Args:
        rows: dicts, dataclasses and named tuples have a column for each field, tuples ``_1``,
            ``_2``, …, anything else ``value``.

    >>> from_rows([{"a": 1}, {"a": 2, "b": "x"}]).to_pydict()
    {'a': [1, 2], 'b': [None, 'x']}
    >>> from_rows([1, "x", {"y": [2]}]).to_pydict()
    {'value': ['1', 'x', None], 'y': [None, None, [2]]}
    """
    records = [_record(row) for row in rows]
    names = list(dict.fromkeys(chain.from_iterable(records))) or [VALUE]
    columns = [_array([record.get(name) for record in records]) for name in names]
    return pa.table(columns, names=names)


def unified(schemas: Iterable[pa.Schema]) -> pa.Schema:
    """Return the schema that has the columns of all of these.

    A column's types are promoted to one that has room for all values, or else are text.

    >>> parts = [pa.table({"a": [1], "b": [1]}), pa.table({"a": [0.5]}), pa.table({"b": ["x"]})]
    >>> schema = unified(part.schema for part in parts)
    >>> [conform(part, schema).to_pylist() for part in parts]
    [[{'a': 1.0, 'b': '1'}], [{'a': 0.5, 'b': None}], [{'a': None, 'b': 'x'}]]
    """
    types: dict[str, dict[pa.DataType, None]] = {}
    for schema in schemas:
        for field in schema:
            types.setdefault(field.name, {})[field.type] = None
    return pa.schema([(name, _common(list(found))) for name, found in types.items()])


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a table in a schema that was unified from its own and others."""
    if table.schema.equals(schema):
        return table
    names = set(table.column_names)
    columns = [
        _as_type(table.column(field.name), field.type)
        if field.name in names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


@cache
def distinct(names: tuple[str, ...], taken: tuple[str, ...] = ()) -> list[str]:
    """Return names that differ in more than their case, as SQL needs them.

    Args:
        names: of columns.
        taken: names that none of them may have.

    >>> distinct(("a", "A", "b"), taken=("b",))
    ['a', 'A_1', 'b_1']
    """
    seen = {name.casefold() for name in taken}
    given: list[str] = []
    for name in names:
        number, free = 0, name
        while free.casefold() in seen:
            number += 1
            free = f"{name}_{number}"
        seen.add(free.casefold())
        given.append(free)
    return given


def _record(row: Any) -> Mapping[str, Any]:
    if row is None:
        return {}
    if isinstance(row, dict):
        return {str(key): value for key, value in row.items()}
    if is_dataclass(row) and not isinstance(row, type):
        return {field.name: getattr(row, field.name) for field in fields(row)}
    if isinstance(row, tuple):
        names = getattr(row, "_fields", None) or [f"_{i + 1}" for i in range(len(row))]
        return dict(zip(names, row, strict=True))
    return {VALUE: row}


def _common(types: list[pa.DataType]) -> pa.DataType:
    if len(types) > 1:  # Arrow would promote unsigned integers to signed ones that are too short
        types = [_ANY_INTEGER if found == pa.uint64() else found for found in types]
    try:
        merged = pa.unify_schemas(
            [pa.schema([("", found)]) for found in types], promote_options="permissive"
        )
    except pa.ArrowException:
        return pa.string()
    kind = merged.field(0).type
    if len(types) > 1 and pa.types.is_decimal(kind):
        return pa.decimal128(_WIDEST, kind.scale)  # what Arrow finds may be too short for integers
    return kind


def _as_type(column: pa.ChunkedArray, kind: pa.DataType) -> pa.Array | pa.ChunkedArray:
    if column.type == kind:
        return column
    if kind == pa.string():
        return _text(column)
    # Large integers among floats lose their last digits.
    return column.cast(kind, safe=not _has_floats(kind))


def _has_floats(kind: pa.DataType) -> bool:
    parts = (kind.field(i).type for i in range(kind.num_fields))
    return bool(pa.types.is_floating(kind)) or any(map(_has_floats, parts))


def _array(values: list[Any]) -> pa.Array:
    """Return values as an array; as text if they have no type in common."""
    with suppress(*_NO_FORM):
        return _typed(values)
    kinds = dict.fromkeys(map(type, values))
    return pc.coalesce(*[_text_of(kind, values) for kind in kinds])


def _typed(values: list[Any]) -> pa.Array:
    """Return values as an array of the type that Arrow finds for them.

    Raises:
        Exception: there is none.
    """
    if _is_deep(values):  # Arrow would overflow the stack, and that ends the process
        raise ValueError("lists within lists, without end or nearly so")
    return pa.array(values)


def _is_deep(values: Iterable[Any]) -> bool:
    level = list(values)
    for _ in range(DEEPEST):
        parts = chain.from_iterable(map(_parts, level))
        level = list({id(part): part for part in parts}.values())
        if not level:
            return False
    return True


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, (list, tuple)) else ()


def _text_of(kind: type, values: list[Any]) -> pa.Array:
    """Return the values of one type as text, with NULL for the others."""
    chosen = [value if type(value) is kind else None for value in values]
    with suppress(*_NO_FORM):
        return _text(_typed(chosen))
    return pa.array([_written(value) for value in chosen], pa.string())


def _text(values: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    if not pa.types.is_nested(values.type):
        with suppress(pa.ArrowException):
            return values.cast(pa.string())
    return pa.array([_written(value) for value in values.to_pylist()], pa.string())


def _written(value: Any) -> str | None:
    """Return a value as text: as JSON if it has parts."""
    if value is None:
        return None
    text = str(value)
    if isinstance(value, (dict, list, tuple)):
        with suppress(TypeError, ValueError):  # keys that are no text, a list that is in itself
            text = json.dumps(value, default=str)
    return text.encode(errors="backslashreplace").decode()  # lone surrogates are no text to Arrow
