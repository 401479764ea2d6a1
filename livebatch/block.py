"""Blocks: the immutable units in which data is stored and travels.

A block holds the rows of one partition. Rows that have an Arrow form (all of one simple type,
or all tuples or dicts of such) are an Arrow IPC stream, so that they can be queried and charted
where they lie; other rows are a pickle. Only a `BlockRef` travels; the data stay in the store,
unless they are small.
"""

from __future__ import annotations

import pickle
import struct
import sys
from collections.abc import Collection, ItemsView, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

import msgspec
import pyarrow as pa

from livebatch.rowtables import as_table, each_row, pairs_table, table_parts, to_table
from livebatch.scratch import Rows, Scratch, dumps, gathered, is_short


class _NoPandas:
    """Hides pandas for a moment."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name == "pandas":
            raise ImportError(name)


def _settle_pyarrow() -> None:
    """Have pyarrow make its first array without importing pandas to see whether it is there,
    which would cost every worker 0.2 s and 60 MB. Where pandas is used, it still is found."""
    hidden = _NoPandas()
    sys.meta_path.insert(0, hidden)
    try:
        pa.array([])
    finally:
        sys.meta_path.remove(hidden)


if "pandas" not in sys.modules:
    _settle_pyarrow()

Format: TypeAlias = Literal["arrow", "pickle", "layer"]

INLINE_LIMIT = 64 * 1024
"""Blocks up to this many bytes travel inside the message."""

_SIZE = struct.Struct("<Q")
"""Before each pickle stands how many bytes it has."""


class BlockRef(msgspec.Struct, frozen=True, array_like=True):
    """All that travels of a block.

    Attributes:
        id: unique name, usable as a file name.
        rows: how many rows it holds.
        nbytes: size of the data.
        format: how the rows are encoded.
        inline: the data themselves, where small.
        index: byte offsets of the segments of a map task's output, n + 1 numbers; else empty.
        segment: which segment is meant; -1 is the whole block.
        keys: of a layer of a state: how many keys the state has.
    """

    carries_code: ClassVar[bool] = False
    id: str
    rows: int
    nbytes: int
    format: Format
    inline: bytes | None = None
    index: tuple[int, ...] = ()
    segment: int = -1
    keys: int = 0

    def at(self, segment: int) -> BlockRef:
        """Return a reference to one segment of a map task's output."""
        start, end = self.index[segment], self.index[segment + 1]
        rows = self.rows // (len(self.index) - 1)  # about
        if self.inline is None:
            return msgspec.structs.replace(self, rows=rows, segment=segment)
        data = self.inline[start:end]
        return BlockRef(self.id, rows, len(data), self.format, data)

    def span(self) -> slice:
        """Return which bytes of the block are meant."""
        if self.segment < 0:
            return slice(0, self.nbytes)
        return slice(self.index[self.segment], self.index[self.segment + 1])


@dataclass(frozen=True)
class Encoded:
    """The data of a block on the way into a store."""

    format: Format
    rows: int
    chunks: Sequence[bytes | memoryview | pa.Buffer]
    index: tuple[int, ...] = ()
    keys: int = 0

    @property
    def nbytes(self) -> int:
        return sum(memoryview(chunk).nbytes for chunk in self.chunks)


class BlockStore(Protocol):
    """Where blocks lie.

    Attributes:
        budget: bytes that they may take in memory.
    """

    budget: int

    def put(self, block: Encoded, id: str) -> BlockRef:
        """Store a block; storing the same id again is harmless.

        Raises:
            StoreFull: there is no room; nothing of the block was written.
        """

    def get(self, ref: BlockRef) -> memoryview:
        """Return the bytes of a whole block, mapped on demand and not copied.

        Raises:
            BlockLost: the block is not in the store.
        """

    def delete(self, id: str) -> None:
        """Forget a block; views of it that are held stay readable."""

    def keep_only(self, ids: Collection[str]) -> None:
        """Forget every block but these, and what was half written."""

    def used(self) -> int:
        """Return how many bytes are taken up in memory."""

    def ids(self) -> set[str]:
        """Return the ids of the blocks in memory that do not travel inside their references."""

    def spill(self, ref: BlockRef) -> int:
        """Move a block to disk, if that can be; return how many bytes of memory that frees."""


def encode(rows: Sequence[Any]) -> Encoded:
    """Encode rows, as Arrow where that gives back exactly the same rows, else as a pickle.

    >>> encode(["a", "b"]).format, encode([("a", 1)]).format, encode([{1, 2}]).format
    ('arrow', 'arrow', 'pickle')
    """
    table = to_table(rows)
    return encode_table(table) if table is not None else _pickled(rows)


def _pickled(rows: Sequence[Any]) -> Encoded:
    data = dumps(rows)
    return Encoded("pickle", len(rows), [_SIZE.pack(len(data)), data])


def encode_rows(rows: Iterable[Any]) -> Encoded:
    """Encode rows as `encode` does; as pickles where memory holds only some of them at a time."""
    if isinstance(rows, ItemsView) and rows and not is_short():
        table = pairs_table(rows)
        if table is not None:
            return encode_table(table)
    pickled = Pickled(1)
    rest = gathered(rows, lambda some: pickled.add([some]))
    if not pickled.rows:
        return encode(rest)
    pickled.add([rest])
    return replace(pickled.encoded(), index=())


def encode_table(table: pa.Table) -> Encoded:
    """Encode an Arrow table as it is."""
    return Encoded("arrow", table.num_rows, [_written([table])])


class Tables(Iterable[Any]):
    """Rows that lie in Arrow tables: iterated over they are Python objects, but who can work on
    tables takes those.

    Example:
        >>> list(Tables([pa.table({"n": [1]}), pa.table({"n": [2]})]))
        [{'n': 1}, {'n': 2}]
    """

    def __init__(self, tables: Iterable[pa.Table]) -> None:
        self.tables = tuple(tables)

    def __iter__(self) -> Iterator[Any]:
        return chain.from_iterable(map(each_row, self.tables))

    def __len__(self) -> int:
        return sum(table.num_rows for table in self.tables)

    def __reduce__(self) -> tuple[Any, ...]:  # what is pickled of slices is all that they are of
        encoded = encode_tables(Tables(self.tables))
        return _decoded, (b"".join(encoded.chunks), encoded.format)


def _decoded(data: bytes, format: Format) -> Any:
    view = memoryview(data)
    return Tables([decode_table(view)]) if format == "arrow" else [*chain(*decode(view, format))]


def encode_tables(rows: Tables) -> Encoded:
    """Encode rows that lie in tables: as they are, if the tables have one schema."""
    tables = rows.tables
    if not tables or any(not _same(table.schema, tables[0].schema) for table in tables):
        return encode_rows(rows)
    return Encoded("arrow", len(rows), [_written(tables)])


def encode_segments(tables: Sequence[pa.Table]) -> Encoded:
    """Encode tables as the segments of a map task's output; one without rows takes no space."""
    chunks = [_written([table]) if table.num_rows else b"" for table in tables]
    bounds = (0, *accumulate(memoryview(chunk).nbytes for chunk in chunks))
    return Encoded("arrow", sum(table.num_rows for table in tables), chunks, bounds)


def _written(tables: Sequence[pa.Table]) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, tables[0].schema) as writer:
        for table in tables:
            writer.write_table(table)
    return sink.getvalue()


def _same(schema: pa.Schema, other: pa.Schema) -> bool:
    return bool(schema.equals(other, check_metadata=True))


class Pickled:
    """Rows that come some at a time, on their way into one block, such as a map task's output.

    Args:
        segments: how many segments the block has; their rows lie end to end.
    """

    def __init__(self, segments: int) -> None:
        scratch = Scratch()
        self._segments = [Rows(scratch) for _ in range(segments)]

    def add(self, segments: Sequence[Iterable[Any]]) -> None:
        """Add some rows to each segment."""
        for rows, more in zip(self._segments, segments, strict=True):
            rows.extend(more)

    @property
    def rows(self) -> int:
        """How many rows have been added."""
        return sum(map(len, self._segments))

    def encoded(self) -> Encoded:
        """Return the block; no more can be added."""
        for rows in self._segments:
            rows.flush()
        pickles = [rows.pickles() for rows in self._segments]
        sizes = [sum(_SIZE.size + len(data) for data in datas) for datas in pickles]
        flat = chain.from_iterable(pickles)
        chunks = [chunk for data in flat for chunk in (_SIZE.pack(len(data)), data)]
        return Encoded("pickle", self.rows, chunks, (0, *accumulate(sizes)))


def read_rows(ref: BlockRef, store: BlockStore) -> list[Any]:
    """Return the rows of a block, or of the segment that is meant."""
    return list(chain.from_iterable(read_parts(ref, store)))


def read_parts(ref: BlockRef, store: BlockStore) -> Iterator[list[Any]]:
    """Yield the rows of a block, or of the segment that is meant, some at a time."""
    return decode(store.get(ref)[ref.span()], ref.format)


def decode(data: memoryview, format: Format) -> Iterator[list[Any]]:
    """Yield the rows that the data of a block hold, some at a time."""
    if format == "arrow":
        yield from table_parts(decode_table(data))
        return
    while data:
        (size,) = _SIZE.unpack_from(data)
        end = _SIZE.size + size
        yield pickle.loads(data[_SIZE.size : end])
        data = data[end:]


def read_table(ref: BlockRef, store: BlockStore) -> pa.Table:
    """Return a block as an Arrow table, without a copy where it is stored as one.

    Raises:
        TypeError: its rows have no form as a table.
    """
    if ref.format == "arrow":
        return decode_table(store.get(ref)[ref.span()])
    return as_table(read_rows(ref, store))


def decode_table(data: memoryview) -> pa.Table:
    """Return the table that the data of a block hold, which must stay there."""
    return pa.ipc.open_stream(pa.py_buffer(data)).read_all()
