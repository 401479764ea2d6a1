"""Parquet files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from livebatch.filesystems import absolute, locate
from livebatch.operators.written import Written
from livebatch.sinks.base import Stream, into
from livebatch.sinks.files import FileSink, as_text, check_compression
from livebatch.sinks.folder import shown
from livebatch.stream import operator

COMPRESSIONS = ("snappy", "zstd", "gzip", "lz4", "brotli", None)


class Sink(FileSink, frozen=True):
    """A folder of Parquet files."""

    kind: ClassVar[str] = "parquet"

    def suffix(self) -> str:
        return ".parquet"

    def held(self, field: pa.Field) -> pa.Field:
        return as_text(field) if _is_hollow(field.type) else field

    def save(self, table: pa.Table, file: Any) -> None:
        from pyarrow import parquet  # takes a moment

        parquet.write_table(table, file, compression=self.compression or "none")

    def load(self, path: str, schema: pa.Schema) -> pa.Table:
        from pyarrow import parquet

        filesystem, place = locate(path)
        with parquet.ParquetFile(place, filesystem=filesystem) as file:
            return file.read()


def _is_hollow(kind: pa.DataType) -> bool:
    """Return whether there is a record without fields in a type, which Parquet has not."""
    parts = [kind.field(i).type for i in range(kind.num_fields)]
    return (pa.types.is_struct(kind) and not parts) or any(map(_is_hollow, parts))


@operator
def to_parquet(
    self: Stream, path: str | Path, compression: str | None = "snappy", writer: str | None = None
) -> Written:
    """Write every batch to Parquet files, once, whatever happens; return the stream of receipts.

    A record's fields are columns, of the types that the values of each partition have: a frame's
    columns are of the same types in all files. There is a file for each partition that has rows,
    in a folder for each hour (UTC). `livebatch.read_output` reads the batches that are complete.
    Other readers take the folder as it is: with what attempts have left that died or were
    overtaken, until `livebatch.vacuum_output`, and with the batch that is being written.

    Args:
        path: of the folder: local, or a URI that pyarrow.fs understands; it is made.
        compression: ``"snappy"``, ``"zstd"``, ``"gzip"``, ``"lz4"``, ``"brotli"`` or None.
        writer: who writes: a batch time is written once by each. A new name if not told, which an
            engine that goes on from its checkpoint keeps; name it for a program that is run again
            over the same batches and is to skip what is there.

    Returns:
        a row for each batch, with its ``rows``, ``bytes`` and ``files``.

    Raises:
        SinkError: the folder cannot be written to.
        DefinitionError: it holds other files than Parquet.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import livebatch as lb
        >>> from livebatch.testing import ManualContext
        >>> with TemporaryDirectory() as folder, ManualContext("1s") as ssc:
        ...     pages = ssc.queue_stream([[{"page": "a", "ms": 5}], [{"page": "b", "ms": 7}]])
        ...     receipts = pages.to_parquet(folder)
        ...     ssc.start()
        ...     ssc.advance("2s")
        ...     lb.read_output(folder).to_arrow().to_pylist()
        [{'page': 'a', 'ms': 5}, {'page': 'b', 'ms': 7}]
    """
    check_compression(compression, COMPRESSIONS)
    made = Sink(absolute(path), compression)
    return into(self, made, f"to_parquet({shown(made.path)!r})", writer)
