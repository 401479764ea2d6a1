"""What the rows of a partition come as: one by one, in tables, or in tables yet to be made."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, TypeAlias

import pyarrow as pa

from livebatch.block import Tables

Rows: TypeAlias = Iterator[Any]
Data: TypeAlias = Iterable[Any] | Tables


class Flow(Tables):
    """Tables that are made while a query takes them, so that each is worked on while it is near.

    Args:
        schema: of all of them.
        make: gives them, the same ones each time.

    It is a context for a query that takes them: within it, `pyarrow` and DuckDB can.

    Example:
        >>> schema = pa.schema({"n": pa.int64()})
        >>> flow = Flow(schema, lambda: (pa.table({"n": [n]}) for n in range(3)))
        >>> len(flow)
        3
        >>> with flow:
        ...     pa.RecordBatchReader.from_stream(flow).read_all().column("n").to_pylist()
        [0, 1, 2]
    """

    def __init__(self, schema: pa.Schema, make: Callable[[], Iterator[pa.Table]]) -> None:
        self.schema, self.make = schema, make
        self._failed: BaseException | None = None
        self._rest: Iterator[pa.RecordBatch] | None = None

    @cached_property
    def tables(self) -> tuple[pa.Table, ...]:  # type: ignore[override]
        return tuple(self.make())

    def __len__(self) -> int:
        return super().__len__() if "tables" in self.__dict__ else sum(map(len, self.make()))

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        self._rest = self._batches()
        reader = pa.RecordBatchReader.from_batches(self.schema, self._rest)
        return reader.__arrow_c_stream__(requested_schema)

    def __enter__(self) -> Flow:
        return self

    def __exit__(self, kind: object, raised: object, trace: object) -> None:
        """Have a query end: make what it has not asked for, so that none goes unseen; or raise what
        was raised while it took them, which it hides."""
        failed, self._failed = self._failed, None
        if failed is not None:
            raise failed
        if raised is None:
            deque(self._batches() if self._rest is None else self._rest, maxlen=0)
        self._rest = None

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            for table in self.make():
                yield from table.to_batches()
        except Exception as error:
            self._failed = error
            raise


def nothing_left(rows: Rows) -> Rows:
    """Give no rows, at the end of others; notice if a user's function raised StopIteration, by
    which ``map`` and ``filter`` take it that their input has ended.

    Raises:
        RuntimeError: it did.
    """
    for _ in rows:
        raise RuntimeError("a function raised StopIteration, which would end the batch early")
    yield from ()


def all_to_one(rows: Tables) -> list[pa.Table]:
    """Divide what lies in one table over one partition."""
    return list(rows.tables)


def together(parts: Sequence[Data]) -> Data:
    """Return rows one after the other; those that lie in tables stay there."""
    if len(parts) == 1:
        return parts[0]
    tables = [part.tables for part in parts if isinstance(part, Tables)]
    if len(tables) == len(parts):
        return Tables(chain.from_iterable(tables))
    return chain.from_iterable(parts)
