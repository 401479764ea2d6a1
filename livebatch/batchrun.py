"""A streaming program run over batches that are there already, and what came of it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from livebatch.block import BlockRef, BlockStore, decode, decode_table
from livebatch.client import ClientRunner, Connection
from livebatch.errors import DefinitionError, EngineLost
from livebatch.events import Batch, Batches
from livebatch.explain import label_of
from livebatch.graph import records
from livebatch.history import Batch as Given
from livebatch.history import as_rdd, cut, together
from livebatch.interval import (
    Duration,
    Millis,
    check_multiple,
    from_datetime,
    to_datetime,
    to_millis,
)
from livebatch.jobbar import JobBar
from livebatch.rdd import to_lineage
from livebatch.rowtables import table_rows
from livebatch.stream import DStream, Input
from livebatch.wire import BeginRun, EndRun, RunNext

if TYPE_CHECKING:
    import pandas as pd

Stream = DStream[Any]
_TIME = pa.timestamp("ms", tz="UTC")


class _Rows:
    """The rows of a batch; those that come in tables stay there until they are asked for."""

    def __init__(self, parts: Sequence[pa.Table | list[Any]]) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    @cached_property
    def rows(self) -> list[Any]:
        return list(chain.from_iterable(map(_rows_of, self._parts)))

    def tables(self) -> Iterator[pa.Table]:
        """Yield tables of the rows, none of them empty."""
        from livebatch.columns import from_rows  # takes a moment

        for part in filter(len, self._parts):
            table = part if isinstance(part, pa.Table) else from_rows(part)
            yield table.replace_schema_metadata(None)


class BatchRun:
    """The settled batches of a stream that was run over history, oldest first.

    Iterate it for (time, rows). It is a copy: the engine keeps nothing of it.

    Attributes:
        label: what the stream is.
        times: of its batches, aware and local.
        bad: how many records were left out because a function raised on them.
    """

    def __init__(self, label: str) -> None:
        self.label = label
        self.times: list[datetime] = []
        self.bad = 0
        self._batches: list[_Rows] = []

    def add(self, batch: Batch, parts: Sequence[pa.Table | list[Any]]) -> None:
        """Take in one more batch, whose rows are those of tables and lists."""
        self.times.append(to_datetime(batch.time))
        self._batches.append(_Rows(parts))
        self.bad += batch.bad.count if batch.bad else 0

    @property
    def batches(self) -> list[list[Any]]:
        """The rows of each batch."""
        return [batch.rows for batch in self._batches]

    def __iter__(self) -> Iterator[tuple[datetime, list[Any]]]:
        return ((time, batch.rows) for time, batch in zip(self.times, self._batches, strict=True))

    def __len__(self) -> int:
        return len(self._batches)

    @property
    def latest(self) -> list[Any]:
        """The rows of the newest batch: of a stream of states, the newest states.

        Raises:
            IndexError: there are no batches.
        """
        return self._batches[-1].rows

    def rows(self) -> list[Any]:
        """Return the rows of all batches."""
        return list(chain.from_iterable(self.batches))

    def to_arrow(self) -> pa.Table:
        """Return all rows as a table with the columns that `RDD.to_arrow` gives, after the time
        of the batch as ``batch_time``."""
        from livebatch.columns import conform, unified  # takes a moment

        batches = zip(self.times, self._batches, strict=True)
        filled = [(time, table) for time, batch in batches for table in batch.tables()]
        schema = unified(table.schema for _, table in filled).insert(
            0, pa.field("batch_time", _TIME)
        )
        if not filled:
            return schema.empty_table()
        return pa.concat_tables(
            conform(table.add_column(0, "batch_time", pa.array([time] * len(table), _TIME)), schema)
            for time, table in filled
        )

    def to_pandas(self) -> pd.DataFrame:
        """Return all rows as a DataFrame, with the columns of `to_arrow`."""
        frame: pd.DataFrame = self.to_arrow().to_pandas()
        return frame

    def __repr__(self) -> str:
        count = sum(map(len, self._batches))
        bad = f", {self.bad:,} bad records left out" if self.bad else ""
        return f"<BatchRun of {self.label}: {len(self):,} batches, {count:,} rows{bad}>"


class Program:
    """A stream and all that it needs, rebuilt so that it can be run beside the original.

    Args:
        stream: whose batches are wanted.
        named: the streams that names stand for now.
        batch: the batch interval of the original.
        every: that of the run.
        given: streams that are given rather than computed; None: the only source there is.

    Attributes:
        stream: the new stream.
        inputs: for each given stream a new one, which is fed.

    Raises:
        DefinitionError: a source is not given, or the streams do not fit the batch interval.
    """

    def __init__(
        self,
        stream: Stream,
        named: Mapping[str, Stream],
        batch: Millis,
        every: Millis,
        given: Sequence[Stream] | None,
    ) -> None:
        self._named, self._batch, self._every = named, batch, every
        self._made: dict[Stream, Stream] = {}
        self._sources: list[Stream] = []
        self._given = None if given is None else [self._current(stream) for stream in given]
        self.stream = self._rebuilt(stream)
        wanted = self._sources if self._given is None else self._given
        self._check(wanted)
        self.inputs = [self._made.get(source) or self._fed() for source in wanted]

    def _check(self, wanted: list[Stream]) -> None:
        missing = [source for source in self._sources if source not in wanted]
        if missing or (self._given is None and len(wanted) != 1):
            names = ", ".join(source.name or label_of(source) for source in missing or wanted)
            raise DefinitionError(
                f"say what each source of the stream gives, as {{source: data, …}}: {names}"
                if names
                else "the stream has no source for which there could be data"
            )

    def _current(self, stream: Stream) -> Stream:
        return self._named.get(stream.name, stream) if stream.name else stream

    def _fed(self) -> Stream:
        return Input((), self._every, "queue", {"one_at_a_time": True, "default": None})

    def _rebuilt(self, stream: Stream) -> Stream:
        node = self._current(stream)
        if node not in self._made:
            self._made[node] = self._new(node)
        return self._made[node]

    def _new(self, node: Stream) -> Stream:
        if self._given is not None and node in self._given:
            return self._fed()
        if type(node) is Input:
            self._sources.append(node)
            return self._fed()
        if type(node) is DStream:
            raise DefinitionError(
                f"how {node.name} is computed is not known here: run the cell that defines it"
            )
        parents = [self._rebuilt(parent) for parent in node.parents]
        new = type(node)(parents, self._slide(node, parents), *node.params)
        check_multiple(new.slide, self._every, f"the slide of {label_of(node)}")
        length = getattr(new, "length", new.lookback)
        check_multiple(length, self._every, f"the window of {label_of(node)}")
        new.persisted = new.persisted or node.persisted
        return new

    def _slide(self, node: Stream, parents: Sequence[Stream]) -> Millis:
        if parents:
            return node.slide_over(parents[0].slide)
        return self._every if node.slide == self._batch else node.slide


class BatchRuns:
    """The part of a `StreamingContext` that runs streams over history."""

    batch: Millis
    connection: Connection
    runner: ClientRunner
    streams: dict[str, Stream]

    def run_batch(
        self,
        stream: DStream[Any],
        data: Any,
        every: Duration | None = None,
        *,
        time_column: str | None = None,
        start: datetime | None = None,
    ) -> BatchRun:
        """Run a stream over history, as fast as it goes, and return its batches.

        They are what the stream would have given live, had its sources given these batches. It
        runs on this engine's workers beside the live streams, which do not notice; outputs of the
        stream, such as ``foreach_rdd``, are not run.

        Args:
            stream: any stream of this context.
            data: what the stream's source has given: a list of batches, each a list of records or
                an RDD; one RDD; or, with a ``time_column``, a file, a data frame, an Arrow table,
                or dicts. For several sources, or to begin at other streams: a dict of data by
                stream.
            every: the batch interval; this context's if not told.
            time_column: the column of times by which data are cut into batches: that of time t
                has the rows of ``(t - every, t]``.
            start: when data without times begin; 1970 if not told, so that runs are alike.

        Raises:
            DefinitionError: the data do not fit, or a source has none.
            JobFailed: a batch failed; the message has the user's own traceback.

        Example:
            >>> from livebatch.testing import ManualContext
            >>> with ManualContext("1s") as ssc:
            ...     words = ssc.socket_text_stream("localhost", 9999).flat_map(str.split)
            ...     counts = words.count_by_value_and_window("2s")
            ...     history = ssc.run_batch(counts, [["to be"], ["or not"], ["to"]])
            ...     [dict(rows) for time, rows in history][-1]
            {'to': 1, 'or': 1, 'not': 1}
        """
        batch = self.batch if every is None else to_millis(every, "every")
        several = isinstance(data, Mapping) and all(isinstance(key, DStream) for key in data)
        given = list(data) if several else None
        program = Program(stream, self.streams, self.batch, batch, given)
        parts = data.values() if several else [data]
        histories = [cut(part, batch, time_column) for part in parts]
        zero, history = together(histories, batch, 0 if start is None else from_datetime(start))
        label = stream.name or label_of(stream)
        return _run(program, label, zero, batch, history, self.connection, self.runner)


def _run(
    program: Program,
    label: str,
    zero: Millis,
    every: Millis,
    history: Sequence[tuple[Given, ...]],
    connection: Connection,
    runner: ClientRunner,
) -> BatchRun:
    """Run a program over history, as fast as it goes.

    Args:
        program: what is run.
        label: what to call it.
        zero: the time before the first batch.
        every: the batch interval.
        history: for each batch what each input has.
        connection, runner: to the engine whose workers do it.

    Raises:
        JobFailed: a batch failed.
    """
    from livebatch.sql.adhoc import store_of  # takes a moment

    result, store, done = BatchRun(label), store_of(connection), 0
    id = f"run{secrets.token_hex(6)}"
    nodes = {n.id: n for s in (program.stream, *program.inputs) for n in records(s)}
    inputs = tuple(stream.id for stream in program.inputs)
    begin = BeginRun(id, tuple(nodes.values()), inputs, program.stream.id, every, zero)
    bar = JobBar(lambda: (done, len(history)), runner.bar, "batch")
    try:
        connection.request(begin)
        for given in history:
            rdds = tuple(to_lineage(as_rdd(batch, runner)) for batch in given)
            reply = connection.request(RunNext(id, rdds), bar)
            assert isinstance(reply, Batches)
            for batch in reply.batches:
                result.add(batch, [_copied(block, store) for block in batch.blocks])
                print(batch.printed, end="")
            done += 1
            bar()
    finally:
        bar.close()
        with suppress(EngineLost):
            connection.request(EndRun(id))
    return result


def _copied(block: BlockRef, store: BlockStore) -> pa.Table | list[Any]:
    """Return the rows of a block that the engine may forget."""
    data = store.get(block)[block.span()]
    if block.format == "arrow":
        return decode_table(memoryview(bytes(data)))
    return list(chain.from_iterable(decode(data, block.format)))


def _rows_of(part: pa.Table | list[Any]) -> list[Any]:
    return table_rows(part) if isinstance(part, pa.Table) else part
