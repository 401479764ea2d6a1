"""CSV files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from livebatch.errors import DefinitionError
from livebatch.filesystems import absolute, locate
from livebatch.operators.written import Written
from livebatch.sinks.base import Stream, into
from livebatch.sinks.files import SUFFIXES, FileSink, as_text, check_compression
from livebatch.sinks.folder import shown
from livebatch.stream import operator


class Sink(FileSink, frozen=True):
    """A folder of CSV files.

    Args:
        sep: stands between values.
    """

    kind: ClassVar[str] = "csv"
    sep: str = ","

    def suffix(self) -> str:
        return f".csv{SUFFIXES[self.compression]}"

    def about(self) -> dict[str, str]:
        return {"kind": self.kind, "sep": self.sep}

    def held(self, field: pa.Field) -> pa.Field:
        return field if _is_of_csv(field.type) else as_text(field)

    def save(self, table: pa.Table, file: Any) -> None:
        from pyarrow import csv  # takes a moment

        options = csv.WriteOptions(delimiter=self.sep)
        with pa.CompressedOutputStream(file, self.compression) if self.compression else file as out:
            csv.write_csv(table, out, options)

    def load(self, path: str, schema: pa.Schema) -> pa.Table:
        from pyarrow import csv

        parsing = csv.ParseOptions(
            delimiter=self.sep, newlines_in_values=True, ignore_empty_lines=False
        )
        converting = csv.ConvertOptions(
            column_types=schema,
            include_columns=schema.names,
            include_missing_columns=True,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )
        filesystem, place = locate(path)
        with filesystem.open_input_stream(place) as file:
            data = pa.py_buffer(file.read())
        blocks = csv.ReadOptions(block_size=max(data.size + 1, 1 << 16))  # no line is too long
        return csv.read_csv(pa.BufferReader(data), blocks, parsing, converting)


def _is_of_csv(kind: pa.DataType) -> bool:
    types = pa.types
    return any(
        of(kind) for of in (types.is_integer, types.is_floating, types.is_boolean, types.is_string,
                            types.is_null, types.is_date, types.is_timestamp, types.is_decimal)
    )  # fmt: skip


@operator
def to_csv(
    self: Stream,
    path: str | Path,
    sep: str = ",",
    compression: str | None = None,
    writer: str | None = None,
) -> Written:
    """Write every batch to CSV files, with a line of names, once, whatever happens; return the
    stream of receipts.

    What CSV has no form for, such as lists, is JSON in text. All else is as for `to_parquet`.

    Args:
        path: of the folder: local, or a URI that pyarrow.fs understands; it is made.
        sep: one character, which stands between values.
        compression: ``"gzip"``, ``"zstd"``, ``"bz2"``, ``"lz4"`` or None.
        writer: as for `to_parquet`.

    Raises:
        SinkError: the folder cannot be written to.
        DefinitionError: it holds other files than CSV.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import livebatch as lb
        >>> from livebatch.testing import ManualContext
        >>> with TemporaryDirectory() as folder, ManualContext("1s") as ssc:
        ...     receipts = ssc.queue_stream([[("one, or more", None, [1])]]).to_csv(folder)
        ...     ssc.start()
        ...     ssc.advance("1s")
        ...     print(Path(lb.read_output(folder).files[0]).read_text())
        "_1","_2","_3"
        "one, or more",,"[1]"
    """
    check_compression(compression, list(SUFFIXES))
    if len(sep) != 1 or not sep.isascii() or sep in '"\r\n':
        raise DefinitionError(f"sep is one character that is no quote or line end, not {sep!r}")
    made = Sink(absolute(path), compression, sep)
    return into(self, made, f"to_csv({shown(made.path)!r})", writer)
