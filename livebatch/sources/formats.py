"""How files of tables are read: CSV, JSON lines, Parquet and Arrow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pyarrow as pa
from pyarrow import csv, fs, json, parquet

from livebatch.errors import DefinitionError
from livebatch.filesystems import locate

SAMPLE = 16 * 1024 * 1024
"""Types of columns are told from so many bytes of a file; no object of JSON may have more."""

_HEADER = 64 * 1024
_DELIMITERS = ",;\t|"


class Format(NamedTuple):
    """How files of a format are read.

    Attributes:
        title: what it is called.
        suffixes: of the names of such files.
        typed: whether a file says of which types its columns are.
        sample: gives rows from a file's beginning, in columns of the types that they seem to have.
        read: gives the columns of a schema; raises `pa.ArrowException` where a file has others.
    """

    title: str
    suffixes: tuple[str, ...]
    typed: bool
    sample: Callable[[str], pa.Table]
    read: Callable[[str, pa.Schema], pa.Table]


def format_named(name: str) -> Format:
    """Return a format by its name.

    Raises:
        DefinitionError: there is no such format.
    """
    if name not in FORMATS:
        raise DefinitionError(f"format must be one of {', '.join(FORMATS)}, not {name!r}")
    return FORMATS[name]


def format_of(path: str) -> str:
    """Return the name of a file's format, which the file's own name tells.

    Raises:
        DefinitionError: it does not tell.

    >>> format_of("logs/monday.jsonl.gz"), format_of("s3://bucket/part-0.parquet")
    ('json', 'parquet')
    """
    for suffix in reversed(path.lower().rpartition("/")[2].split(".")[1:]):
        for name, format in FORMATS.items():
            if suffix in format.suffixes:
                return name
    raise DefinitionError(
        f"the name of {path} does not tell its format: is it one of {', '.join(FORMATS)}?"
    )


def is_blank(path: str) -> bool:
    """Return whether there is nothing in a file, as when nothing was to be exported."""
    with opened(path) as file:
        return not file.read(_HEADER).strip()


def opened(path: str) -> Any:
    """Return a file as an open stream of what it holds, decompressed."""
    filesystem, place = locate(path)
    return filesystem.open_input_stream(place)


def csv_parsing(path: str) -> csv.ParseOptions:
    """Return how a CSV file is written: some programs separate by semicolons or tabs."""
    with opened(path) as file:
        header = file.read(_HEADER).partition(b"\n")[0].decode(errors="replace")
    delimiter = max(_DELIMITERS, key=header.count)
    return csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)


def _sample_csv(path: str) -> pa.Table:
    blocks = csv.ReadOptions(block_size=SAMPLE)
    with opened(path) as file, csv.open_csv(file, blocks, csv_parsing(path)) as reader:
        return _beginning(reader)


def _read_csv(path: str, schema: pa.Schema) -> pa.Table:
    types = {field.name: field.type for field in schema}
    converting = csv.ConvertOptions(column_types=types, include_columns=schema.names)
    with opened(path) as file:
        return csv.read_csv(file, None, csv_parsing(path), converting)


def _sample_json(path: str) -> pa.Table:
    with opened(path) as file, json.open_json(file, json.ReadOptions(True, SAMPLE)) as reader:
        return _beginning(reader)


def _read_json(path: str, schema: pa.Schema) -> pa.Table:
    parsing = json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    with opened(path) as file:
        return json.read_json(file, json.ReadOptions(True, SAMPLE), parsing)


@contextmanager
def parquet_file(path: str) -> Iterator[parquet.ParquetFile]:
    """Give an open Parquet file."""
    filesystem, place = locate(path)
    with parquet.ParquetFile(place, filesystem=filesystem) as file:
        yield file


def _sample_parquet(path: str) -> pa.Table:
    with parquet_file(path) as file:
        return file.schema_arrow.empty_table()


def _read_parquet(path: str, schema: pa.Schema) -> pa.Table:
    with parquet_file(path) as file:
        return row_groups(file, schema, range(file.num_row_groups))


def row_groups(file: parquet.ParquetFile, schema: pa.Schema, groups: Iterable[int]) -> pa.Table:
    """Return some row groups of a Parquet file, with the columns of a schema.

    Raises:
        ArrowInvalid: it has no such column.
    """
    check_columns(file.schema_arrow, schema)
    return file.read_row_groups(list(groups), columns=schema.names)


@contextmanager
def _arrow_file(path: str) -> Iterator[pa.ipc.RecordBatchFileReader]:
    """Give an open Arrow file; of one on this machine only what is used is read, and by all
    processes together."""
    filesystem, place = locate(path)
    if isinstance(filesystem, fs.LocalFileSystem):
        file = pa.memory_map(place)
    else:
        file = filesystem.open_input_file(place)
    with file, pa.ipc.open_file(file) as reader:
        yield reader


def _sample_arrow(path: str) -> pa.Table:
    with _arrow_file(path) as reader:
        return reader.schema.empty_table()


def _read_arrow(path: str, schema: pa.Schema) -> pa.Table:
    with _arrow_file(path) as reader:
        check_columns(reader.schema, schema)
        return reader.read_all()


def arrow_rows(path: str) -> int:
    """Return how many rows an Arrow file holds."""
    with _arrow_file(path) as reader:
        return sum(reader.get_batch(i).num_rows for i in range(reader.num_record_batches))


def check_columns(found: pa.Schema, wanted: pa.Schema) -> None:
    """Make sure that there are columns of these names.

    Raises:
        ArrowInvalid: there is one missing.
    """
    if not set(wanted.names) <= set(found.names):
        raise pa.ArrowInvalid("there is no such column")


def _beginning(reader: Any) -> pa.Table:
    """Return what a reader gives first, with times in the unit of Python and SQL unless they are
    finer: other units were only guessed, from how the first times are written."""
    batch = next(iter(reader), None)
    table = pa.Table.from_batches([] if batch is None else [batch], reader.schema)
    for i, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            try:
                usual = table.column(i).cast(pa.timestamp("us", field.type.tz))
            except pa.ArrowInvalid:
                continue
            table = table.set_column(i, field.name, usual)
    return table


FORMATS = {
    "csv": Format("CSV", ("csv", "tsv"), False, _sample_csv, _read_csv),
    "json": Format(
        "JSON with an object on each line",
        ("json", "jsonl", "ndjson"),
        False,
        _sample_json,
        _read_json,
    ),
    "parquet": Format("Parquet", ("parquet", "pq"), True, _sample_parquet, _read_parquet),
    "arrow": Format("Arrow IPC", ("arrow", "feather"), True, _sample_arrow, _read_arrow),
}
