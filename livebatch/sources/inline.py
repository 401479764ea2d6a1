"""Tables that travel themselves, as a URI of the scheme ``data:``."""

from __future__ import annotations

import base64
from typing import Any

import pyarrow as pa

from livebatch.errors import DefinitionError
from livebatch.schema import arrow_schema, written

LARGEST = 8_000_000
"""So many bytes a table that a user gives may have when it travels."""

_SCHEME = "data:application/vnd.apache.arrow.stream;base64,"


def as_uri(table: pa.Table) -> str:
    """Return a table as a URI that holds all of it."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return _SCHEME + base64.b64encode(sink.getvalue()).decode()


def from_uri(uri: str) -> pa.Table:
    """Return the table that a URI holds.

    >>> from_uri(as_uri(pa.table({"n": [1, 2]}))).to_pylist()
    [{'n': 1}, {'n': 2}]
    """
    return pa.ipc.open_stream(base64.b64decode(uri.removeprefix(_SCHEME))).read_all()


def is_inline(data: object) -> bool:
    """Return whether something is a URI that holds a table."""
    return isinstance(data, str) and data.startswith(_SCHEME)


def given(data: Any) -> str:
    """Return a table that a user gives as a URI that holds it.

    Args:
        data: an Arrow table, a data frame of pandas, Polars and so on, or a dict of columns.

    Raises:
        DefinitionError: it is no table, or too large.
    """
    try:
        table = pa.table(data)
        table = table.cast(arrow_schema(written(table.schema)))
    except (TypeError, pa.ArrowException) as error:
        raise DefinitionError(
            f"data must be the path of a file or a table, not {type(data).__name__} ({error})"
        ) from error
    uri = as_uri(table)
    if len(uri) > LARGEST:
        raise DefinitionError(
            f"the data take {len(uri) / 1e6:.1f} MB, more than the {LARGEST / 1e6:g} MB that may "
            'travel with a stream: write them to a file, as with df.to_parquet("data.parquet"), '
            "and give its path"
        )
    return uri
