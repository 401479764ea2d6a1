"""One stream as its view shows it: what of its events becomes picture, status and error."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress

import pyarrow as pa

from livebatch.block import BlockStore, read_rows, read_table
from livebatch.errors import BlockLost
from livebatch.events import Batch, BatchFailed, SourceState
from livebatch.failure import Failure
from livebatch.interval import Millis, to_datetime
from livebatch.kernel_ext.badrecords import ErrorSide
from livebatch.kernel_ext.status import (
    SEPARATOR,
    batch_figures,
    batch_status,
    clock,
    source_status,
)
from livebatch.rowtables import as_table
from livebatch.stream import DStream, Input
from livebatch.widgets import View

KEPT = 64
"""Batches that a view of the past takes when it is behind; a view of the present takes one."""


class LiveStream:
    """Follows one stream's events for its view.

    Args:
        stream: a named stream.
        view: shows it.
        past: whether the view shows the past too, not only the newest batch.
        store: where the engine's blocks are.
        render: writes a failure for people.
        write: prints what the stream's functions print in the workers.

    Attributes:
        stale: whether the view has not been told all yet.
    """

    def __init__(
        self,
        stream: DStream[object],
        view: View,
        past: bool,
        store: BlockStore,
        render: Callable[[Failure], str],
        write: Callable[[str], None],
    ) -> None:
        self.stream, self.view = stream, view
        self._store, self._render, self._write = store, render, write
        self._pending: deque[Batch] = deque(maxlen=KEPT if past else 1)
        self._schema: pa.Schema | None = None
        self._begun: Millis | None = None
        self._newest: Batch | None = None
        self._failures: dict[str, BatchFailed] = {}
        self._errors = ErrorSide(render)
        self._ended: str | None = None
        self._paused = False
        self.stale = False

    def settled(self, batch: Batch) -> None:
        """Take note of a settled batch of any output."""
        if self._failures.pop(batch.output, None) is not None:
            self.stale = True
        if not self._is_mine(batch) or (self._newest and batch.time <= self._newest.time):
            return
        if self._begun is None:
            self._begun = batch.time
            old = [id for id, event in self._failures.items() if event.time < batch.time]
            for id in old:  # of the stream that had the name before
                del self._failures[id]
        if batch.bad is not None:
            self._errors.take(batch.bad)
        self._newest, self.stale = batch, True
        self._pending.append(batch)
        if batch.printed:
            self._write(batch.printed.removesuffix("\n"))

    @property
    def newest(self) -> Millis:
        """The time of the newest batch that it knows of; 0 if there is none."""
        return self._newest.time if self._newest else 0

    def failed(self, event: BatchFailed) -> None:
        """Take note of a failed batch."""
        if self._begun is not None and event.time < self._begun:
            return
        self._failures[event.output], self.stale = event, True
        if event.printed:
            self._write(event.printed.removesuffix("\n"))

    def paused(self, paused: bool) -> None:
        """Take note that the stream was paused, or goes on."""
        self._paused, self.stale = paused, True

    def ended(self, why: str) -> None:
        """Take note that there will be no more batches."""
        self._ended, self.stale = why, True

    def refresh(self, sources: Mapping[str, SourceState]) -> None:
        """Bring the view up to date.

        Args:
            sources: the state of each push source, by the id of its stream.
        """
        self.stale = False
        while self._pending:
            batch = self._pending.popleft()
            table = self._table(batch)
            if table is not None:
                self.view.push(to_datetime(batch.time), table)
        self._say(sources)
        self.view.errors(self._errors.errors())
        self.view.fail(self._trouble())

    def _is_mine(self, batch: Batch) -> bool:
        if batch.name != self.stream.name:
            return False
        if batch.rdd.startswith(f"{self.stream.id}@") or type(self.stream) is DStream:
            return True  # of an attached stream only the name is known
        # What has the name before this stream's first batch is the one before; after it, one by
        # which another notebook has replaced it.
        return self._begun is not None

    def _say(self, sources: Mapping[str, SourceState]) -> None:
        if self._ended is not None:
            self.view.status(self._ended, "warn")
            return
        if self._paused:
            self.view.status("paused", "warn")
            return
        if self._failures:
            event = max(self._failures.values(), key=lambda failed: failed.time)
            self.view.status(f"{clock(event.time)}{SEPARATOR}failed", "error")
            return
        said = [source_status(sources[id]) for id in inputs_of(self.stream) if id in sources]
        troubled = next(filter(None, said), None)
        if troubled is not None:
            self.view.status(*troubled)
        elif self._newest is not None:
            figures = batch_figures(self._newest, self.stream.slide, self._errors.count)
            self.view.status(batch_status(self._newest), figures=figures)

    def _trouble(self) -> str | None:
        texts = [self._render(event.failure) for event in self._failures.values()]
        return "\n\n".join(dict.fromkeys(texts)) or None

    def _table(self, batch: Batch) -> pa.Table | None:
        """Return a batch as one table; None if there is nothing to show of it."""
        tables = []
        for block in batch.blocks:
            with suppress(BlockLost):
                table = read_table(block, self._store)
                tables.append(table.replace_schema_metadata(None))
        tables = [table for table in tables if table.num_rows]
        if tables:
            table = self._joined(batch, tables)
            self._schema = table.schema
            return table
        return None if self._schema is None else self._schema.empty_table()

    def _joined(self, batch: Batch, tables: list[pa.Table]) -> pa.Table:
        try:
            return pa.concat_tables(tables, promote_options="permissive")
        except pa.ArrowException:  # partitions whose columns have nothing in common
            return as_table([row for ref in batch.blocks for row in read_rows(ref, self._store)])


def inputs_of(stream: DStream[object]) -> set[str]:
    """Return the ids of the inputs that a stream is computed from, as they are now.

    A named stream may have been replaced since this one was defined from it.
    """
    context = stream.context
    named: Mapping[str, DStream[object]] = getattr(context, "streams", {})
    found: set[str] = set()
    seen: set[str] = set()
    stack = [stream]
    while stack:
        node = stack.pop()
        node = named.get(node.name, node) if node.name else node
        if node.id in seen:
            continue
        seen.add(node.id)
        if isinstance(node, Input):
            found.add(node.id)
        stack.extend(node.parents)
    return found
