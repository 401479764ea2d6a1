"""RDD: all that can be done with a dataset, and how it shows."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, TypeVar

from livebatch.block import BlockRef
from livebatch.errors import DefinitionError
from livebatch.rdd.actions import Actions
from livebatch.rdd.base import JobRunner
from livebatch.rdd.debug import debug_string
from livebatch.rdd.operation import Stored
from livebatch.rowtables import as_table
from livebatch.storage import StorageLevel

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

    def persist(self, storage_level: StorageLevel = StorageLevel.MEMORY_ONLY) -> RDD[T]:
        """Have the rows kept as blocks once a job has computed them, for later jobs.

        Args:
            storage_level: any but ``NONE``, which keeps nothing; see `StorageLevel`.
        """
        self.persisted = storage_level.keeps
        return self

    def cache(self) -> RDD[T]:
        """Have the rows kept as blocks once a job has computed them, for later jobs."""
        return self.persist()

    def unpersist(self) -> RDD[T]:
        """Have the blocks of a persisted RDD forgotten."""
        self.persisted = False
        if self.runner is not None:
            self.runner.release(self)
        return self

    def checkpoint(self) -> None:
        """Have the rows saved in the context's checkpoint directory after the next job on them or
        on what is computed from them, and read from there by later jobs: how they were computed is
        forgotten then. That takes another job, so `persist` them first.

        Raises:
            DefinitionError: there is no such directory; see
                `StreamingContext.set_checkpoint_dir`.
        """
        if self.runner is None or self.runner.checkpoint_dir is None:
            raise DefinitionError(
                "nobody has said where to save RDDs: call ssc.set_checkpoint_dir(folder) first"
            )
        self.to_be_saved = self.saved_in is None

    def is_checkpointed(self) -> bool:
        """Return whether the rows have been saved; see `checkpoint`."""
        return self.saved_in is not None

    def get_checkpoint_file(self) -> str | None:
        """Return the folder in which the rows have been saved, if they have."""
        return self.saved_in

    def to_debug_string(self) -> str:
        """Return this RDD and below it what it is computed from, with their numbers of
        partitions.

        Example:
            >>> from livebatch.testing import ManualContext
            >>> with ManualContext() as ssc:
            ...     pairs = ssc.parallelize("to be or not to be".split(), 3).key_by(len)
            ...     print(pairs.group_by_key(2).to_debug_string())
            (2) shuffled ...  [a stage begins here]
            └─ (3) partitionsmapped ...
               └─ (3) read ...
        """
        return debug_string(self)

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
