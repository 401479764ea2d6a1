"""What the columns of a table are good for in a picture, and their values as numpy arrays."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

Floats: TypeAlias = npt.NDArray[np.float64]

TIME_NAMES = ("time", "ts", "timestamp")
PERCENTILE = re.compile(r"(?:^|_)p(\d{1,2}(?:[._]\d+)?)(?=$|_)", re.IGNORECASE)
FEW = 6


def numbers(schema: pa.Schema) -> list[int]:
    """Positions of the columns that can be drawn as a quantity."""
    return [i for i, f in enumerate(schema) if _is_number(f.type)]


def texts(schema: pa.Schema) -> list[int]:
    """Positions of the columns that can name a line or a bar."""
    return [i for i, f in enumerate(schema) if _is_text(f.type)]


def times(schema: pa.Schema) -> list[int]:
    """Positions of the timestamp columns."""
    return [i for i, f in enumerate(schema) if pt.is_timestamp(f.type)]


def event_time(schema: pa.Schema) -> int | None:
    """Position of the column that says when a row happened, if one can be told."""
    found = times(schema)
    named = [i for i in found if schema.field(i).name.lower() in TIME_NAMES]
    if named:
        return named[0]
    return found[0] if len(found) == 1 else None


def percentiles(schema: pa.Schema) -> dict[int, float]:
    """The columns of numbers that are named after a percentile, by position, lowest first.

    Example:
        >>> percentiles(pa.schema({"p99_ms": pa.float64(), "n": pa.int64(), "p50": pa.float64()}))
        {2: 50.0, 0: 99.0}
    """
    named = ((i, PERCENTILE.search(schema.field(i).name)) for i in numbers(schema))
    found = {i: float(match[1].replace("_", ".")) for i, match in named if match}
    return dict(sorted(found.items(), key=lambda item: item[1]))


def choose(schema: pa.Schema) -> str:
    """The kind of view that suits a schema; columns of time go with anything.

    ========================  =========  =======
    numbers                   texts      kind
    ========================  =========  =======
    none                      one        log
    p50, p90, … and no other  none       bands
    one to six                none       line
    one                       one        bar
    anything else                        table
    ========================  =========  =======

    Example:
        >>> number, text = pa.float64(), pa.string()
        >>> choose(pa.schema({"value": number})), choose(pa.schema({"tag": text, "n": number}))
        ('line', 'bar')
        >>> choose(pa.schema({"cpu": number, "memory": number})), choose(pa.schema({"line": text}))
        ('line', 'log')
        >>> choose(pa.schema({"p50": number, "p99": number}))
        'bands'
        >>> choose(pa.schema({"page": text, "hits": number, "ms": number}))
        'table'
    """
    amounts, names = len(numbers(schema)), len(texts(schema))
    if len(schema) > amounts + names + len(times(schema)):
        return "table"
    match amounts, names:
        case 0, 1:
            return "log"
        case 1, 1:
            return "bar"
        case n, 0 if n > 1 and len(percentiles(schema)) == n:
            return "bands"
        case n, 0 if 1 <= n <= FEW:
            return "line"
    return "table"


def floats(column: pa.ChunkedArray) -> Floats:
    """Numbers of any Arrow type as float64; null becomes NaN."""
    plain = column if pt.is_float64(column.type) else column.cast(pa.float64(), safe=False)
    return plain.to_numpy()


def epoch_ms(column: pa.ChunkedArray) -> Floats:
    """Timestamps as milliseconds since 1970-01-01 UTC; null becomes NaN.

    A timestamp without a zone is a wall-clock reading of this machine, as in Python.
    """
    micros = column.cast(pa.timestamp("us", tz=column.type.tz), safe=False).cast(pa.int64())
    ms = floats(micros) / 1e3
    if column.type.tz is None and np.isfinite(ms).any():
        wall = datetime.fromtimestamp(float(np.nanmax(ms)) / 1e3, UTC).replace(tzinfo=None)
        offset = wall.astimezone().utcoffset()
        ms = ms - (offset.total_seconds() * 1e3 if offset else 0.0)
    return ms


def stamps(ms: npt.ArrayLike) -> pa.Array:
    """Milliseconds since 1970-01-01 UTC as timestamps of UTC.

    Example:
        >>> stamps([1000.0])[0].as_py().isoformat()
        '1970-01-01T00:00:01+00:00'
    """
    micros = np.rint(np.asarray(ms, dtype=np.float64) * 1e3).astype(np.int64)
    return pa.array(micros, pa.timestamp("us", tz="UTC"))


def listing(schema: pa.Schema) -> str:
    """The columns of a table as a message names them."""
    return ", ".join(f"{field.name} {field.type}" for field in schema) or "no column"


def codes(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.int64], list[str]]:
    """A text column as (position of each row's name, the distinct names); null is ``∅``."""
    whole = column.combine_chunks()
    plain = whole if pt.is_string(whole.type) else whole.cast(pa.large_string())
    encoded = (pc.fill_null(plain, "∅") if plain.null_count else plain).dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary.to_pylist()


def _is_number(kind: pa.DataType) -> bool:
    return pt.is_integer(kind) or pt.is_floating(kind) or pt.is_decimal(kind)


def _is_text(kind: pa.DataType) -> bool:
    if pt.is_dictionary(kind):
        return _is_text(kind.value_type)
    return pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind)
