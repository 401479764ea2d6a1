"""RDD: all that can be done with a dataset, and how it shows."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, TypeVar

from livebatch.block import BlockRef, as_table
from livebatch.rdd.actions import Actions
from livebatch.rdd.base import JobRunner
from livebatch.rdd.operation import Stored

T = TypeVar("T")

SHOWN = 20
"""So many rows a notebook shows of an RDD."""


class RDD(Actions[T]):
    """An immutable, partitioned dataset: transformations make new ones, actions run jobs.

    RDDs come from `StreamingContext.parallelize`, from streams (``stream.latest()``) and, within
    ``transform`` and ``foreach_rdd``, as arguments. Rows are any Python objects.

    Example:
        >>> from livebatch.testing import ManualContext
        >>> with ManualContext() as ssc:
        ...     words = ssc.parallelize(["to", "be", "or", "not", "to", "be"])
        ...     counts = words.map(lambda word: (word, 1)).reduce_by_key(lambda a, b: a + b)
        ...     counts.sort_by_key().collect()
        [('be', 2), ('not', 1), ('or', 1), ('to', 2)]
    """

    def persist(self) -> RDD[T]:
        """Have the rows kept as blocks once a job has computed them, for later jobs."""
        self.persisted = True
        return self

    cache = persist

    def unpersist(self) -> RDD[T]:
        """Have the blocks of a persisted RDD forgotten."""
        self.persisted = False
        if self.runner is not None:
            self.runner.release(self)
        return self

    def __repr__(self) -> str:
        return f"<RDD {self.id}: {type(self.operation).__name__.lower()}>"

    def _repr_html_(self) -> str:
        rows = self.take(SHOWN + 1)
        more = f"the first {SHOWN} rows" if len(rows) > SHOWN else f"{len(rows)} rows"
        table = as_table(rows[:SHOWN]).to_pandas().to_html(index=False, border=0) if rows else ""
        return f"{table}<small>{escape(self.label)} · {more}</small>"


def stored(
    blocks: Sequence[BlockRef], runner: JobRunner | None = None, id: str | None = None
) -> RDD[Any]:
    """Return an RDD with one partition for each block."""
    return RDD(Stored(tuple((block,) for block in blocks)), runner=runner, id=id)
