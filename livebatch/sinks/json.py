"""Files of JSON lines, an object for each record."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pyarrow as pa

from livebatch.filesystems import absolute, locate
from livebatch.operators.written import Written
from livebatch.sinks.base import Stream, into
from livebatch.sinks.files import SUFFIXES, FileSink, as_text, check_compression
from livebatch.sinks.folder import shown
from livebatch.stream import operator


class Sink(FileSink, frozen=True):
    """A folder of files of JSON lines."""

    kind: ClassVar[str] = "json"

    def suffix(self) -> str:
        return f".jsonl{SUFFIXES[self.compression]}"

    def held(self, field: pa.Field) -> pa.Field:
        return field if _is_of_json(field.type) else as_text(field)

    def save(self, table: pa.Table, file: Any) -> None:
        lines = msgspec.json.Encoder().encode_lines(table.to_pylist())
        with pa.CompressedOutputStream(file, self.compression) if self.compression else file as out:
            out.write(lines)

    def load(self, path: str, schema: pa.Schema) -> pa.Table:
        from pyarrow import json  # takes a moment

        filesystem, place = locate(path)
        with filesystem.open_input_stream(place) as file:
            data = pa.py_buffer(file.read())
        blocks = json.ReadOptions(block_size=max(data.size + 1, 1 << 16))  # no line is too long
        parsing = json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
        return json.read_json(pa.BufferReader(data), blocks, parsing)


def _is_of_json(kind: pa.DataType) -> bool:
    types = pa.types
    if types.is_list(kind) or (types.is_struct(kind) and kind.num_fields):
        return all(_is_of_json(kind.field(i).type) for i in range(kind.num_fields))
    return any(
        of(kind) for of in (types.is_integer, types.is_floating, types.is_boolean, types.is_string,
                            types.is_null)
    )  # fmt: skip


@operator
def to_json(
    self: Stream, path: str | Path, compression: str | None = None, writer: str | None = None
) -> Written:
    """Write every batch to files of JSON lines, an object for each record, once, whatever happens;
    return the stream of receipts.

    A record's fields are the object's: those of a dict, dataclass or named tuple; ``_1``, ``_2``,
    … of a tuple; ``value`` of anything else. What JSON has no form for, such as times, is text;
    numbers that are none are null. All else is as for `to_parquet`.

    Args:
        path: of the folder: local, or a URI that pyarrow.fs understands; it is made.
        compression: ``"gzip"``, ``"zstd"``, ``"bz2"``, ``"lz4"`` or None.
        writer: as for `to_parquet`.

    Raises:
        SinkError: the folder cannot be written to.
        DefinitionError: it holds other files than JSON.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import livebatch as lb
        >>> from livebatch.testing import ManualContext
        >>> with TemporaryDirectory() as folder, ManualContext("1s") as ssc:
        ...     receipts = ssc.queue_stream([[{"page": "a", "ms": [1, 2]}]]).to_json(folder)
        ...     ssc.start()
        ...     ssc.advance("1s")
        ...     Path(lb.read_output(folder).files[0]).read_text()
        '{"page":"a","ms":[1,2]}\\n'
    """
    check_compression(compression, list(SUFFIXES))
    made = Sink(absolute(path), compression)
    return into(self, made, f"to_json({shown(made.path)!r})", writer)
