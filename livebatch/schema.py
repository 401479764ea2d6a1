"""Names and types of a table's columns, in the form that travels.

Types are written as in SQL, which can name every type that the SQL engine can compute with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa

from livebatch.duck import closed
from livebatch.errors import DefinitionError

if TYPE_CHECKING:
    import duckdb

Columns: TypeAlias = tuple[tuple[str, str], ...]
"""The columns' names and types."""

_ZONED = re.compile(r"timestamp\[(s|ms|us|ns), tz=(.+)\]")


def written(schema: Any) -> Columns:
    """Return columns in the form that travels.

    Args:
        schema: an Arrow schema, or a mapping from names to types: those of SQL
            (``"DECIMAL(10,2)"``), Arrow's names (``"int64"``; Arrow's where both know the word)
            or Arrow types; or what this function returned.

    Raises:
        DefinitionError: there is no such type, two columns have the same name, or there is none.

    >>> written({"id": "int64", "price": "decimal(10, 2)", "tags": "text[]"})
    (('id', 'BIGINT'), ('price', 'DECIMAL(10,2)'), ('tags', 'VARCHAR[]'))
    """
    if isinstance(schema, pa.Schema):
        fields = [(field.name, field.type) for field in schema]
    elif isinstance(schema, Mapping):
        fields = [(name, _as_arrow(name, kind)) for name, kind in schema.items()]
    else:
        return _travelled(schema)
    names = [name for name, _ in fields]
    if not names:
        raise DefinitionError("a table needs at least one column")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise DefinitionError(f'two columns have the name "{twice}"')
    return tuple((name, _as_sql(name, kind)) for name, kind in fields)


def _travelled(schema: Any) -> Columns:
    if isinstance(schema, Sequence) and all(isinstance(pair, (tuple, list)) for pair in schema):
        return tuple((name, kind) for name, kind in schema)
    raise DefinitionError(f'a schema is written like {{"id": "BIGINT"}}, not {schema!r}')


@lru_cache(maxsize=256)
def arrow_schema(columns: Columns) -> pa.Schema:
    """Return the Arrow schema of columns.

    >>> arrow_schema((("id", "BIGINT"), ("at", "TIMESTAMP WITH TIME ZONE")))
    id: int64
    at: timestamp[us, tz=UTC]
    """
    return pa.schema([(name, _as_arrow(name, kind)) for name, kind in columns])


def _as_arrow(name: object, kind: Any) -> pa.DataType:
    if not isinstance(name, str):
        raise DefinitionError(f"the name of a column must be a string, not {name!r}")
    if isinstance(kind, pa.DataType):
        return kind
    if not isinstance(kind, str):
        raise DefinitionError(f'the type of column "{name}" must be a string, not {kind!r}')
    if zoned := _ZONED.fullmatch(kind):
        return pa.timestamp(*zoned.groups())
    try:
        return pa.type_for_alias(kind)
    except ValueError:
        return _from_sql(name, kind)


def _from_sql(name: str, kind: str) -> pa.DataType:
    import duckdb

    try:
        parsed = duckdb.sqltype(kind)  # only a type gets through, no other SQL
        with _database().cursor() as cursor:
            empty = cursor.sql(f"SELECT CAST(NULL AS {parsed}) AS x LIMIT 0")
            return empty.to_arrow_table().schema.field(0).type
    except (duckdb.Error, pa.ArrowException) as error:
        raise DefinitionError(
            f'column "{name}": there is no type {kind!r}; there are BIGINT, DOUBLE, VARCHAR, '
            "BOOLEAN, DATE, TIMESTAMP, DECIMAL(10,2), VARCHAR[] and the other types of DuckDB"
        ) from error


def _as_sql(name: str, kind: pa.DataType) -> str:
    import duckdb

    try:
        empty = pa.schema([("x", _typed(kind))]).empty_table()
        with _database().cursor() as cursor:
            return str(cursor.from_arrow(empty).types[0])
    except (duckdb.Error, pa.ArrowException) as error:
        raise DefinitionError(
            f'column "{name}" is of type {kind}, which has no form in SQL: use another type'
        ) from error


@lru_cache(maxsize=1)
def _database() -> duckdb.DuckDBPyConnection:
    return closed(threads=1)


def _typed(kind: pa.DataType) -> pa.DataType:
    """Return the type that SQL has for one: text for a column in which there were no values."""
    if pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_list(kind):
        return pa.list_(_typed(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_typed(field.type)) for field in kind])
    return kind
