"""Readers of the files that a batch RDD is made from.

Paths may be those of files, of folders, which stand for all files within, or patterns such as
``logs/2024-*/*.txt``; and URIs (``s3://``, ``gs://``, ``hdfs://``, ``file://``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from livebatch.closures import Builtin, builtin
from livebatch.errors import DefinitionError
from livebatch.filesystems import is_compressed
from livebatch.schema import Columns, written
from livebatch.sources.files import check_length, read_lines, read_records
from livebatch.sources.formats import format_named, format_of, parquet_file
from livebatch.sources.lines import check_encoding
from livebatch.sources.paths import Found, find
from livebatch.sources.tables import infer, read_row_groups, read_table, readable

SPLIT = 64 * 1024 * 1024
"""So many bytes of a file a partition has at most, where a file can be split."""


def text_file(path: str | Path, min_partitions: int = 1, encoding: str = "utf-8") -> list[Builtin]:
    """Return readers of the lines of text files, each a ``str``.

    Files are split into ranges of bytes, of 64 MB at most; a line belongs to the range in which
    it starts. Compressed files are not split, nor those of an encoding such as UTF-16.

    Args:
        path: of files, as above.
        min_partitions: how many partitions all files together have at least, if they can be
            split into so many.
        encoding: of the text, a name that Python knows.

    Raises:
        DefinitionError: there is no such encoding, or the number is not positive.
        SourceError: there are no such files.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from livebatch.closures import load
        >>> with TemporaryDirectory() as folder:
        ...     _ = Path(folder, "ring.txt").write_text("what has it got\\nin its pocketses\\n")
        ...     [list(load(reader)()) for reader in text_file(f"{folder}/*.txt", 2)]
        [['what has it got'], ['in its pocketses']]
    """
    check_encoding(encoding)
    if type(min_partitions) is not int or min_partitions < 1:
        raise DefinitionError(
            f"min_partitions must be a whole number from 1 on, not {min_partitions!r}"
        )
    files = find(path)
    total = sum(file.size for file in files)
    counts = (_count(file.size, min_partitions, total) for file in files)
    pairs = zip(files, counts, strict=True)
    return [reader for file, count in pairs for reader in _text_readers(file, count, encoding)]


def read(path: str | Path, format: str | None = None, schema: Any = None) -> list[Builtin]:
    """Return readers of the rows of CSV, JSON lines, Parquet or Arrow files, as tables.

    Parquet files are split between row groups, into partitions of 64 MB or one row group; other
    files are read whole.

    Args:
        path: of files, as above.
        format: ``"csv"``, ``"json"``, ``"parquet"`` or ``"arrow"``; if not given, the names of
            the files tell.
        schema: the columns' names and types, as for `file_stream`; those of the first file if not
            given. Columns that are not named are left out.

    Raises:
        DefinitionError: there is no such format, or a type is no type.
        SourceError: there are no such files, or the first of them is no table.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from livebatch.closures import load
        >>> with TemporaryDirectory() as folder:
        ...     _ = Path(folder, "trades.csv").write_text("item,price\\nring,3.5\\n")
        ...     [load(reader)().to_pylist() for reader in read(folder)]
        [[{'item': 'ring', 'price': 3.5}]]
    """
    if format is not None:
        format_named(format)
    files = [(file.path, format or format_of(file.path)) for file in find(path)]
    columns = _columns(files) if schema is None else written(schema)
    if columns is None:  # there is not a single row
        return []
    return [reader for path, known in files for reader in _table_readers(path, known, columns)]


def _count(size: int, min_partitions: int, total: int) -> int:
    """Return into how many parts a file is split, so that all files together have enough.

    >>> _count(10, 3, total=20), _count(3 * SPLIT, 1, 3 * SPLIT), _count(0, 2, total=0)
    (2, 3, 1)
    """
    share = -(-size * min_partitions // max(total, 1))
    return max(1, -(-size // SPLIT), min(size, share))


def _text_readers(file: Found, count: int, encoding: str) -> Iterator[Builtin]:
    if is_compressed(file.path) or "\n".encode(encoding) != b"\n":
        yield builtin(read_lines, file.path, encoding)
        return
    for start, end in pairwise(file.size * i // count for i in range(count + 1)):
        yield builtin(read_lines, file.path, encoding, start, end)


def _columns(files: Sequence[tuple[str, str]]) -> Columns | None:
    return next((columns for path, format in files if (columns := infer(path, format))), None)


def _table_readers(path: str, format: str, columns: Columns) -> Iterator[Builtin]:
    if format != "parquet":
        yield builtin(read_table, path, format, columns)
        return
    for first, last in pairwise(bounds(_group_sizes(path))):
        yield builtin(read_row_groups, path, columns, first, last)


def _group_sizes(path: str) -> list[int]:
    with readable(path, "parquet"), parquet_file(path) as file:
        about = file.metadata
        return [about.row_group(i).total_byte_size for i in range(about.num_row_groups)]


def bounds(sizes: Sequence[int]) -> list[int]:
    """Return where to divide things of these sizes, so that neighbours together are no larger
    than a split unless one is by itself.

    >>> bounds([SPLIT // 2, SPLIT // 2, 1, SPLIT + 1])
    [0, 2, 3, 4]
    """
    bounds, filled = [0], 0
    for i, size in enumerate(sizes):
        if filled and filled + size > SPLIT:
            bounds.append(i)
            filled = 0
        filled += size
    return [*bounds, len(sizes)]


def binary_records(path: str | Path, record_length: int) -> list[Builtin]:
    """Return a reader of records for each file of a path.

    Raises:
        SourceError: there is no such file.
        DefinitionError: the length is not a whole number of at least 1.
    """
    length = check_length(record_length)
    return [builtin(read_records, found.path, length) for found in find(path)]
