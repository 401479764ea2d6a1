"""The port of sinks, and how one is tied to a stream."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import import_module
from secrets import token_hex
from typing import Any, NamedTuple, Protocol, runtime_checkable

import msgspec
import pyarrow as pa

from livebatch.block import Tables
from livebatch.closures import builtin
from livebatch.columns import conform, from_rows, unified
from livebatch.errors import DefinitionError
from livebatch.interval import Millis
from livebatch.operators.written import Written
from livebatch.rdd.data import Data
from livebatch.stream import DStream, context_of

Stream = DStream[Any]

RECEIPT = pa.schema({"rows": pa.int64(), "bytes": pa.int64(), "files": pa.list_(pa.string())})

_WRITER = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Key(NamedTuple):
    """Which batch of which writer: it is written once.

    Attributes:
        writer: the same for all batches of an output, also when an engine goes on from its
            checkpoint.
        time: of the batch, milliseconds since 1970 UTC.
    """

    writer: str
    time: Millis


class Receipt(msgspec.Struct, frozen=True):
    """What has been written of a batch, and counts.

    Attributes:
        rows: how many.
        nbytes: size of the files, if there are files.
        files: their paths.
    """

    rows: int = 0
    nbytes: int = 0
    files: tuple[str, ...] = ()


@runtime_checkable
class Sink(Protocol):
    """Where batches are written to. Its options are plain data: it is made anew in each task.

    Every call may be made again, by another process or at the same time, or end at any point.
    """

    def prepare(self) -> None:
        """Find out, where that is cheap, whether it can be written to at all.

        Raises:
            LivebatchError: it cannot.
        """

    def write(self, key: Key, rows: Data) -> pa.Table:
        """Write a partition, or get it ready; return what `commit` needs of it, a table without
        rows if there is nothing. Nobody must see it before."""

    def commit(self, key: Key, parts: Sequence[pa.Table]) -> Receipt:
        """Have a batch count, unless it does already; return what counts.

        Args:
            key: the batch.
            parts: of each partition, in order, what `write` gave; not of those without rows.
        """


def sink(name: str, options: dict[str, Any]) -> Sink:
    """Return the sink of a kind, the name of its file, with these options."""
    made: Sink = import_module(f"livebatch.sinks.{name}").Sink(**options)
    return made


def into(stream: Stream, made: Sink, label: str, writer: str | None) -> Written:
    """Have every batch of a stream written to a sink; return the stream of receipts.

    Args:
        stream: whose batches.
        made: the sink.
        label: how one would write it, without what is secret.
        writer: a name for `Key.writer`; a new one if None.

    Raises:
        DefinitionError: the writer's name is none.
        LivebatchError: the sink cannot be written to.
    """
    if writer is not None and not _WRITER.fullmatch(writer):
        raise DefinitionError(
            f"writer is a name of up to 64 letters, digits and any of _.-, not {writer!r}"
        )
    context = context_of(stream)
    made.prepare()
    kind = type(made).__module__.rpartition(".")[2]
    known = (kind, msgspec.to_builtins(made), writer or token_hex(6))
    node = Written([stream], stream.slide, label, builtin(write, *known), builtin(commit, *known))
    context.add_output(node, None)
    return node


def write(name: str, options: dict[str, Any], writer: str, time: Millis, rows: Data) -> pa.Table:
    """Write a partition; runs inside a task."""
    return sink(name, options).write(Key(writer, time), rows)


def commit(
    name: str, options: dict[str, Any], writer: str, time: Millis, parts: Tables
) -> pa.Table:
    """Commit a batch; runs inside a task."""
    receipt = sink(name, options).commit(Key(writer, time), parts.tables)
    columns = [[receipt.rows], [receipt.nbytes], [list(receipt.files)]]
    return pa.table(columns, schema=RECEIPT)


def as_table(rows: Data) -> pa.Table:
    """Return rows as one table: dicts, dataclasses and named tuples by their fields, tuples as
    ``_1``, ``_2``, …, anything else as ``value``.

    >>> as_table(iter([("a", 1), ("b", None)])).to_pydict()
    {'_1': ['a', 'b'], '_2': [1, None]}
    """
    return together(rows.tables if isinstance(rows, Tables) else [from_rows(list(rows))])


def together(tables: Sequence[pa.Table]) -> pa.Table:
    """Return tables one after the other, with the columns of all of them."""
    filled = [table for table in tables if table.num_rows]
    if not filled:
        return pa.table({})
    schema = unified(table.schema for table in filled)
    alike = [conform(table, schema).replace_schema_metadata(None) for table in filled]
    return pa.concat_tables(alike)
