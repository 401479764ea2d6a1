"""Files of text, a line for each record."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from livebatch.columns import VALUE
from livebatch.filesystems import absolute, locate
from livebatch.operators.written import Written
from livebatch.rdd.data import Data
from livebatch.sinks.base import Stream, into
from livebatch.sinks.files import SUFFIXES, FileSink, check_compression
from livebatch.sinks.folder import shown
from livebatch.stream import operator


class Sink(FileSink, frozen=True):
    """A folder of files of text."""

    kind: ClassVar[str] = "text"

    def suffix(self) -> str:
        return f".txt{SUFFIXES[self.compression]}"

    def tabled(self, rows: Data) -> pa.Table:
        lines = [str(row).encode("utf-8", "backslashreplace").decode() for row in rows]
        return pa.table({VALUE: pa.array(lines, pa.string())})

    def save(self, table: pa.Table, file: Any) -> None:
        lines = "".join(f"{line}\n" for line in table.column(VALUE).to_pylist())
        with pa.CompressedOutputStream(file, self.compression) if self.compression else file as out:
            out.write(lines.encode())

    def load(self, path: str, schema: pa.Schema) -> pa.Table:
        filesystem, place = locate(path)
        with filesystem.open_input_stream(place) as file:
            lines = file.read().decode().split("\n")[:-1]
        return pa.table({VALUE: pa.array(lines, pa.string())})


@operator
def to_text(
    self: Stream, path: str | Path, compression: str | None = None, writer: str | None = None
) -> Written:
    """Write every batch to files of text, a line for each record, once, whatever happens; return
    the stream of receipts.

    A line is the ``str`` of a record, in UTF-8. All else is as for `to_parquet`.

    Args:
        path: of the folder: local, or a URI that pyarrow.fs understands; it is made.
        compression: ``"gzip"``, ``"zstd"``, ``"bz2"``, ``"lz4"`` or None.
        writer: as for `to_parquet`.

    Raises:
        SinkError: the folder cannot be written to.
        DefinitionError: it holds other files than text.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import livebatch as lb
        >>> from livebatch.testing import ManualContext
        >>> with TemporaryDirectory() as folder, ManualContext("1s") as ssc:
        ...     receipts = ssc.queue_stream([["to be"], ["or not"]]).to_text(folder)
        ...     ssc.start()
        ...     ssc.advance("2s")
        ...     lb.read_output(folder).to_arrow().column("value").to_pylist()
        ['to be', 'or not']
    """
    check_compression(compression, list(SUFFIXES))
    made = Sink(absolute(path), compression)
    return into(self, made, f"to_text({shown(made.path)!r})", writer)
