"""The settled batches of a stream, as a table that DuckDB scans as often as it likes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from livebatch.block import BlockRef, BlockStore, read_rows, read_table
from livebatch.columns import conform, distinct, from_rows, unified
from livebatch.errors import BlockLost
from livebatch.events import Batch
from livebatch.interval import Millis

BATCH_TIME = "batch_time"
"""The first column: the time of the batch that a row is of."""

# However many rows a block has, they have one time.
_TIME = pa.timestamp("ms", tz="UTC")
_TIMES = pa.run_end_encoded(pa.int32(), _TIME)


class Piece(NamedTuple):
    """A block, its batch's time and, if it stays open, its rows."""

    time: Millis
    block: BlockRef
    table: pa.Table | None


class Recent:
    """Reads settled batches as one table, each stored as Arrow where it lies, without a copy.

    Args:
        batches: in the order in which their rows are to come.
        store: where their blocks are.
        room: bytes of blocks that may stay open; others, the older ones first, are opened again
            for each scan, so that what was moved to disk need not fit into memory.
        sample: batches whose columns the table has too, but not their rows.

    Attributes:
        schema: of the table; ``batch_time`` comes first.
        nbytes: of all the blocks.
        lost: the block that was not there any more when it was to be opened again.

    Raises:
        BlockLost: a block is not there any more.
    """

    def __init__(
        self,
        batches: Sequence[Batch],
        store: BlockStore,
        room: int,
        sample: Sequence[Batch] = (),
    ) -> None:
        self._store = store
        self.nbytes = sum(block.nbytes for batch in batches for block in batch.blocks)
        self.lost: BlockLost | None = None
        pieces: list[Piece] = []
        schemas: dict[pa.Schema, None] = {}
        for batch in reversed(batches):
            for block in reversed(batch.blocks):
                if block.rows == 0 and block.format == "pickle":
                    continue  # has no columns
                table, room = self._open(block), room - block.nbytes
                schemas[table.schema] = None
                pieces.append(Piece(batch.time, block, table if room >= 0 else None))
        for block in (block for batch in sample for block in batch.blocks if block.rows):
            schemas[self._open(block).schema] = None
        self._rows = unified(reversed(schemas))
        self.schema = self._rows.insert(0, pa.field(BATCH_TIME, _TIMES))
        self._parts = [
            piece if piece.table is None else list(self._dated(piece)) for piece in reversed(pieces)
        ]

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        reader = pa.RecordBatchReader.from_batches(self.schema, self._scan())
        return reader.__arrow_c_stream__(requested_schema)

    def _scan(self) -> Iterator[pa.RecordBatch]:
        try:
            for part in self._parts:
                yield from part if isinstance(part, list) else self._dated(part)
        except BlockLost as error:
            self.lost = error
            raise

    def _dated(self, piece: Piece) -> Iterator[pa.RecordBatch]:
        table = self._open(piece.block) if piece.table is None else piece.table
        for batch in conform(table, self._rows).to_batches():
            time = _constant(piece.time, batch.num_rows)
            yield pa.RecordBatch.from_arrays([time, *batch.columns], schema=self.schema)

    def _open(self, block: BlockRef) -> pa.Table:
        if block.format == "arrow":
            table = read_table(block, self._store).replace_schema_metadata(None)
        else:
            table = from_rows(read_rows(block, self._store))
        names = distinct(tuple(table.column_names), taken=(BATCH_TIME,))
        return table if names == table.column_names else table.rename_columns(names)


def _constant(time: Millis, length: int) -> Any:
    ends = pa.array([length] if length else [], pa.int32())
    times = pa.array([time] if length else [], _TIME)
    return pa.RunEndEncodedArray.from_arrays(ends, times)
