"""Real files of every format in a real folder, with the times that a test gives them."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import csv, parquet

from livebatch.closures import Builtin, load
from livebatch.errors import DefinitionError, SourceError
from livebatch.schema import arrow_schema, written
from livebatch.sources import source
from livebatch.sources.file_stream import Source
from livebatch.testing import START, ManualContext, collected

TRADES = pa.table({"item": ["ring", "sting"], "price": [3.5, 4.0], "count": [1, 20]})
CSV = "item,price,count\nring,3.5,1\nsting,4,20\n"
JSON = '{"item": "ring", "price": 3.5, "count": 1}\n{"item": "sting", "price": 4.0, "count": 20}\n'


def write_arrow(path: Path, table: pa.Table) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


WRITERS: dict[str, Callable[[Path], object]] = {
    "csv": lambda path: path.write_text(CSV),
    "json": lambda path: path.write_text(JSON),
    "parquet": lambda path: parquet.write_table(TRADES, path),
    "arrow": lambda path: write_arrow(path, TRADES),
}


class Folder:
    """A folder, the source that reads it, and the offsets from one batch to the next."""

    def __init__(self, path: Path, **options: Any) -> None:
        path.mkdir(exist_ok=True)
        self.path, self.offsets = path, None
        made = source("file_stream", {"directory": path, **options})
        assert isinstance(made, Source)
        self.source = made

    def put(self, name: str, seconds: float, write: str | Callable[[Path], object]) -> Path:
        """Write a file, and have it look as if that was so many seconds after the start."""
        return put(self.path / name, seconds, write)

    def read(self, seconds: float) -> list[Any]:
        """What the readers of the batch at so many seconds after the start give."""
        return [load(reader)() for reader in self.readers(seconds)]

    def readers(self, seconds: float) -> list[Builtin]:
        offsets = msgspec.msgpack.decode(msgspec.msgpack.encode(self.offsets))
        readers, self.offsets = self.source.plan(offsets, START + round(seconds * 1000))
        return msgspec.msgpack.decode(msgspec.msgpack.encode(readers), type=list[Builtin])


def put(path: Path, seconds: float, write: str | Callable[[Path], object]) -> Path:
    if isinstance(write, str):
        path.write_text(write)
    else:
        write(path)
    ns = START * 1_000_000 + round(seconds * 1e9)
    os.utime(path, ns=(ns, ns))
    return path


@pytest.mark.parametrize("format", WRITERS)
def test_new_files_come_once_as_tables(tmp_path: Path, format: str) -> None:
    put(tmp_path / "before", -5, WRITERS[format])
    folder = Folder(tmp_path, format=format)
    assert folder.source.schema == TRADES.schema
    assert folder.read(0) == []
    folder.put("b", 0.7, WRITERS[format])
    folder.put("a", 0.5, WRITERS[format])
    assert folder.read(1) == [TRADES, TRADES]
    assert folder.read(2) == []


@pytest.mark.parametrize("format", WRITERS)
def test_the_first_file_tells_the_columns_of_all(tmp_path: Path, format: str) -> None:
    folder = Folder(tmp_path, format=format)
    assert folder.source.schema is None
    folder.read(0)
    folder.put("a", 0.5, WRITERS[format])
    assert folder.read(1) == [TRADES]
    assert folder.offsets is not None
    assert arrow_schema(written(folder.offsets["schema"])) == TRADES.schema
    folder.put("b", 1.5, WRITERS[format])
    assert folder.read(2) == [TRADES]


@pytest.mark.parametrize("format", WRITERS)
def test_a_given_schema_chooses_columns_and_types(tmp_path: Path, format: str) -> None:
    folder = Folder(tmp_path, format=format, schema={"count": "FLOAT", "item": "string"})
    folder.read(0)
    folder.put("a", 0.5, WRITERS[format])
    (table,) = folder.read(1)
    assert table.schema == folder.source.schema
    assert table.to_pylist() == [
        {"count": 1.0, "item": "ring"},
        {"count": 20.0, "item": "sting"},
    ]


BAD = pa.table({"item": ["ring"], "price": ["cheap"], "count": [1]})
BAD_WRITERS: dict[str, str | Callable[[Path], object]] = {
    "csv": "item,price,count\nring,cheap,1\n",
    "json": '{"item": "ring", "price": "cheap", "count": 1}\n',
    "parquet": lambda path: parquet.write_table(BAD, path),
    "arrow": lambda path: write_arrow(path, BAD),
}


@pytest.mark.parametrize("format", BAD_WRITERS)
def test_a_file_that_does_not_fit_is_named_with_the_column(tmp_path: Path, format: str) -> None:
    folder = Folder(tmp_path, format=format, schema=TRADES.schema)
    folder.read(0)
    folder.put("bad", 0.5, BAD_WRITERS[format])
    (reader,) = folder.readers(1)
    with pytest.raises(SourceError, match=r'/bad does not fit.*"price" cannot be read as double '):
        load(reader)()
    folder.put("good", 1.5, WRITERS[format])
    assert folder.read(2) == [TRADES]


@pytest.mark.parametrize("format", ["csv", "parquet", "arrow"])
def test_a_missing_column_is_named(tmp_path: Path, format: str) -> None:
    folder = Folder(tmp_path, format=format, schema={"item": "VARCHAR", "weight": "DOUBLE"})
    folder.read(0)
    folder.put("light", 0.5, WRITERS[format])
    with pytest.raises(SourceError, match=r'/light does not fit: its column "weight"'):
        folder.read(1)


def test_what_an_object_of_json_does_not_have_is_null(tmp_path: Path) -> None:
    folder = Folder(tmp_path, format="json", schema={"item": "VARCHAR", "weight": "DOUBLE"})
    folder.read(0)
    folder.put("light", 0.5, JSON)
    (table,) = folder.read(1)
    assert table.column("weight").to_pylist() == [None, None]


BROKEN = {
    "csv": "item,price,count\nring,1\n",
    "json": '{"item": "ring", "price": 1',
    "parquet": "no such thing",
    "arrow": "no such thing",
}


@pytest.mark.parametrize("format", BROKEN)
def test_a_broken_file_is_named(tmp_path: Path, format: str) -> None:
    folder = Folder(tmp_path, format=format, schema=TRADES.schema)
    folder.read(0)
    folder.put("broken", 0.5, BROKEN[format])
    with pytest.raises(SourceError, match=r"cannot read .*/broken .*all of it there"):
        folder.read(1)


@pytest.mark.parametrize("format", BROKEN)
def test_a_broken_first_file_fails_its_batch_only(tmp_path: Path, format: str) -> None:
    folder = Folder(tmp_path, format=format)
    folder.read(0)
    folder.put("broken", 0.5, BROKEN[format])
    (reader,) = folder.readers(1)
    with pytest.raises(SourceError, match=r"cannot tell the columns of .*/broken"):
        load(reader)()
    folder.put("good", 1.5, WRITERS[format])
    assert folder.read(2) == [TRADES]


@pytest.mark.parametrize("format", BROKEN)
def test_a_broken_newest_file_is_an_error_where_the_stream_is_defined(
    tmp_path: Path, format: str
) -> None:
    put(tmp_path / "good", -2, WRITERS[format])
    put(tmp_path / "broken", -1, BROKEN[format])
    with pytest.raises(SourceError, match=r"/broken .*schema="):
        Folder(tmp_path, format=format)


def test_a_file_that_has_gone_is_an_error(tmp_path: Path) -> None:
    folder = Folder(tmp_path, schema=TRADES.schema)
    folder.read(0)
    path = folder.put("a", 0.5, CSV)
    (reader,) = folder.readers(1)
    path.unlink()
    with pytest.raises(SourceError, match=r"cannot read .*/a \(no such file or directory\)"):
        load(reader)()


@pytest.mark.parametrize("blank", ["", "\n", " \n\n"])
@pytest.mark.parametrize("format", ["csv", "json"])
def test_a_blank_file_has_no_rows(tmp_path: Path, format: str, blank: str) -> None:
    folder = Folder(tmp_path, format=format)
    folder.read(0)
    folder.put("nothing", 0.5, blank)
    assert folder.read(1) == [[]]
    folder.put("something", 1.5, WRITERS[format])
    folder.put("nothing more", 1.6, blank)
    assert folder.read(2) == [TRADES, TRADES.schema.empty_table()]


def test_a_header_alone_tells_no_types(tmp_path: Path) -> None:
    put(tmp_path / "header", -1, "item,price,count\n")
    folder = Folder(tmp_path)
    assert folder.source.schema is None
    folder.read(0)
    folder.put("a", 0.5, CSV)
    folder.put("another header", 0.6, "item,price,count\n")
    assert folder.read(1) == [TRADES, TRADES.schema.empty_table()]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_as_it_is_found(tmp_path: Path, delimiter: str) -> None:
    text = (
        'id,said,at\r\n1,"one, ""two""\nthree",2024-02-29 12:00:00.5\r\n2,,2024-03-01 00:00:00\r\n'
    )
    put(tmp_path / "a", -1, lambda path: path.write_bytes(text.replace(",", delimiter).encode()))
    folder = Folder(tmp_path)
    folder.read(0)
    os.utime(tmp_path / "a", (START / 1000 + 1,) * 2)
    (table,) = folder.read(1)
    assert table.schema.types == [pa.int64(), pa.string(), pa.timestamp("us")]
    assert table.to_pylist() == [
        {
            "id": 1,
            "said": f'one{delimiter} "two"\nthree',
            "at": datetime(2024, 2, 29, 12, 0, 0, 500_000),
        },
        {"id": 2, "said": "", "at": datetime(2024, 3, 1)},
    ]


def test_finer_times_are_kept(tmp_path: Path) -> None:
    put(tmp_path / "a", -1, "at\n2024-02-29 12:00:00.123456789\n")
    assert Folder(tmp_path).source.schema == pa.schema([("at", pa.timestamp("ns"))])


def test_nested_json(tmp_path: Path) -> None:
    row = {
        "user": {"name": "sam", "ids": [1, 2]},
        "tags": ["a"],
        "nothing": None,
        "none": [],
        "at": "2024-02-29T12:00:00Z",
    }
    put(tmp_path / "a", -1, msgspec.json.encode(row).decode())
    folder = Folder(tmp_path, format="json")
    folder.read(0)
    folder.put("b", 0.5, msgspec.json.encode({**row, "nothing": "some", "none": ["x"]}).decode())
    (table,) = folder.read(1)
    (read,) = table.to_pylist()
    assert read == {
        **row, "nothing": "some", "none": ["x"], "at": datetime(2024, 2, 29, 12),
    }  # fmt: skip


@pytest.mark.parametrize("format", ["csv", "json"])
def test_compressed_files(tmp_path: Path, format: str) -> None:
    text = CSV if format == "csv" else JSON
    put(tmp_path / "a.gz", -1, lambda path: path.write_bytes(gzip.compress(text.encode())))
    folder = Folder(tmp_path, format=format)
    assert folder.source.schema == TRADES.schema
    folder.read(0)
    folder.put("b.gz", 0.5, lambda path: path.write_bytes(gzip.compress(text.encode())))
    folder.put("c.gz", 0.6, lambda path: path.write_bytes(gzip.compress(b"")))
    assert folder.read(1) == [TRADES, TRADES.schema.empty_table()]


def test_types_in_the_words_of_sql_and_arrow(tmp_path: Path) -> None:
    types = {
        "a": "INTEGER", "b": "int32", "c": "timestamp[ms, tz=Europe/Berlin]", "d": "timestamptz",
        "e": "date", "f": pa.decimal128(10, 2), "g": "boolean", "h": "TEXT",
    }  # fmt: skip
    folder = Folder(tmp_path, schema=types)
    assert folder.source.schema is not None
    assert folder.source.schema.types == [
        pa.int32(), pa.int32(), pa.timestamp("us", "UTC"), pa.timestamp("us", "UTC"),
        pa.date32(), pa.decimal128(10, 2), pa.bool_(), pa.string(),
    ]  # fmt: skip
    folder.read(0)
    header = ",".join(types)
    folder.put(
        "x", 0.5, f"{header}\n1,2,2024-01-01 00:00+02,2024-01-01 00:00Z,2024-01-01,1.5,true,t\n"
    )
    (table,) = folder.read(1)
    assert [list(row.values()) for row in table.to_pylist()] == [
        [
            1, 2, datetime(2023, 12, 31, 22, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC),
            date(2024, 1, 1), Decimal("1.5"), True, "t",
        ]
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"a": "NUMBERS"}, "column \"a\": there is no type 'NUMBERS'"),
        ({"a": "INT); SELECT (1"}, "there is no type"),
        ({"a": 3}, "must be a string"),
        ({3: "INTEGER"}, "name of a column must be a string"),
        ({}, "at least one column"),
        ({"a": pa.sparse_union([pa.field("x", pa.int64())])}, "no form in SQL"),
        (pa.schema([("a", pa.int64()), ("a", pa.int64())]), 'two columns have the name "a"'),
        ("a BIGINT", "is written like"),
    ],
)
def test_what_is_no_schema_is_refused(tmp_path: Path, schema: Any, why: str) -> None:
    with pytest.raises(DefinitionError, match=why.replace("(", r"\(").replace(")", r"\)")):
        Folder(tmp_path, schema=schema)


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "a", -1, "x,x\n1,2\n")
    with pytest.raises(SourceError, match=r'/a .*two columns have the name "x"'):
        Folder(tmp_path)


def test_no_such_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="format must be one of csv, json, parquet, arrow"):
        Folder(tmp_path, format="xml")


def test_options_come_back(tmp_path: Path) -> None:
    put(tmp_path / "a.csv", -1, CSV)
    made = Folder(tmp_path).source
    options = msgspec.msgpack.decode(msgspec.msgpack.encode(msgspec.to_builtins(made)))
    (tmp_path / "a.csv").unlink()
    again = source("file_stream", options)
    assert again == made
    assert again.schema == TRADES.schema


def test_a_folder_may_be_a_uri(tmp_path: Path) -> None:
    made = source("file_stream", {"directory": (tmp_path / "of trades").as_uri()})
    _, offsets = made.plan(None, START)
    with pytest.raises(SourceError, match="cannot list the folder file:///"):
        made.plan(offsets, START)
    (tmp_path / "of trades").mkdir()
    put(tmp_path / "of trades" / "käse 1.csv", 0.5, CSV)
    (reader,), _ = made.plan(offsets, START + 1000)
    assert load(reader)() == TRADES


@pytest.mark.parametrize("uri", ["nonsense://x/y", "file:///a b"])
def test_a_uri_that_leads_nowhere_is_an_error(uri: str) -> None:
    with pytest.raises(SourceError, match=f"cannot reach {uri}"):
        source("file_stream", {"directory": uri})


cells = st.tuples(
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.floats(allow_nan=False, width=64),
    st.text(st.characters(codec="utf-8", exclude_characters="\0\r")),
    st.none() | st.booleans(),
)


@given(st.lists(cells, min_size=1))
def test_what_was_written_as_csv_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[Any, ...]]
) -> None:
    schema = pa.schema(
        [("i", pa.int64()), ("f", pa.float64()), ("s", pa.string()), ("b", pa.bool_())]
    )
    table = pa.table([list(column) for column in zip(*rows, strict=True)], schema=schema)
    folder = Folder(tmp_path_factory.mktemp("csv"), schema=schema)
    folder.read(0)
    folder.put("a", 0.5, lambda path: csv.write_csv(table, path))
    assert folder.read(1) == [table]


def test_rows_are_dicts_and_blocks_are_tables(tmp_path: Path) -> None:
    with ManualContext("1s") as ssc:
        stream = ssc.register("trades", ssc.file_stream(tmp_path))
        items = collected(stream.map(lambda row: row["item"]))
        ssc.start()
        put(tmp_path / "a", 0.5, CSV)
        ssc.advance("1s")
        assert items == [["ring", "sting"]]
        assert stream.latest().collect() == TRADES.to_pylist()
        (rdd,) = ssc.settled(stream)
        assert {block.format for blocks in rdd.operation.blocks for block in blocks} == {"arrow"}
