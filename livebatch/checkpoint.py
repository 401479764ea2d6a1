"""RDDs saved to files, so that what comes after need not compute them again.

A folder for each RDD, a file for each partition, on any file system that pyarrow.fs reaches: an
Arrow stream where the rows have that form, else pickles (`livebatch.block`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from secrets import token_hex
from typing import Any

import pyarrow as pa

from livebatch.block import Format, decode, encode_rows
from livebatch.closures import Builtin, builtin
from livebatch.errors import SourceError
from livebatch.filesystems import absolute, locate, reading, reason, within


def make_folder(path: str | Path) -> str:
    """Make a folder, and return its path as every process knows it.

    Args:
        path: local, or a URI (``s3://``, ``hdfs://``, ``file://``).

    Raises:
        SourceError: it cannot be made.
    """
    folder = absolute(path)
    filesystem, place = locate(folder)
    try:
        filesystem.create_dir(place)
    except OSError as error:
        raise SourceError(f"cannot make the folder {folder} ({reason(error)})") from error
    return folder


def save(folder: str, split: int, rows: Iterable[Any]) -> Iterator[str]:
    """Write the rows of a partition to a file in a folder, all or none of them, whoever else does
    so at the same time; yield its path."""
    block = encode_rows(rows)
    path = within(folder, f"part-{split:05}.{block.format}")
    filesystem, place = locate(within(folder, f".part-{token_hex(4)}"))
    with filesystem.open_output_stream(place) as file:
        for chunk in block.chunks:
            file.write(chunk)
    filesystem.move(place, locate(path)[1])
    yield path


def readers(paths: Sequence[str]) -> tuple[Builtin, ...]:
    """Return readers of saved partitions."""
    return tuple(builtin(saved, path) for path in paths)


def saved(path: str) -> Iterator[Any]:
    """Return the rows of a saved partition.

    Raises:
        SourceError: the file is not there any more.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     (path,) = save(folder, 0, [1, "a", None])
    ...     list(saved(path))
    [1, 'a', None]
    """
    format: Format = "arrow" if path.endswith(".arrow") else "pickle"
    with reading(path) as (filesystem, place):
        local = filesystem.type_name == "local"
        file = pa.memory_map(place) if local else filesystem.open_input_file(place)
        with file:
            data = memoryview(file.read_buffer())
    return chain.from_iterable(decode(data, format))
