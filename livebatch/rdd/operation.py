"""What an RDD does to its parents: plain records, so that lineage can travel and be logged.

An operation says how many partitions it has, which partitions of its parents one of its own
needs, and how to compute it. `compute` runs in workers only; everything else anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain, product
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import msgspec
import pyarrow as pa

from livebatch.block import BlockRef, Encoded, Tables
from livebatch.closures import Function, load
from livebatch.rdd.data import Data, Rows, nothing_left, together
from livebatch.rdd.partitioner import Partitioner

if TYPE_CHECKING:
    from livebatch.rdd.dataset import RDD


class Operation(msgspec.Struct, frozen=True, tag_field="op", tag=str.lower):
    """How the partitions of an RDD come from those of its parents.

    Attributes:
        takes_tables: whether it is given rows that lie in tables as `Tables`, not one by one.
    """

    takes_tables: ClassVar[bool] = False

    def partitions(self, parents: Sequence[RDD[Any]]) -> int:
        """Return the number of partitions."""
        return parents[0].num_partitions

    def partitioner(self, parents: Sequence[RDD[Any]]) -> Partitioner | None:
        """Return how the rows are known to be divided, if they are."""
        return None

    def needs(self, split: int, parents: Sequence[RDD[Any]]) -> list[tuple[int, int]]:
        """Return the (parent, split) pairs that a partition is computed from, in order."""
        return [(0, split)]

    def compute(self, split: int, inputs: list[Any]) -> Data:
        """Return the rows of a partition, given those of what it needs."""
        raise TypeError(f"{type(self).__name__} is not computed from rows")

    def compute_one(self, row: Any) -> list[Any]:
        """Return what one row gives, where rows are computed each by itself."""
        return list(self.compute(0, [iter((row,))]))


class Stored(Operation, frozen=True):
    """Rows that lie in blocks: those of partition i in ``blocks[i]``."""

    blocks: tuple[tuple[BlockRef, ...], ...]
    known: Partitioner | None = None

    def partitions(self, parents: Sequence[RDD[Any]]) -> int:
        return len(self.blocks)

    def partitioner(self, parents: Sequence[RDD[Any]]) -> Partitioner | None:
        return self.known

    def needs(self, split: int, parents: Sequence[RDD[Any]]) -> list[tuple[int, int]]:
        return []


class Read(Operation, frozen=True):
    """Rows that come from outside: partition i is what calling ``readers[i]`` gives, rows or an
    Arrow table with one in each row."""

    readers: tuple[Function, ...]

    def partitions(self, parents: Sequence[RDD[Any]]) -> int:
        return len(self.readers)

    def needs(self, split: int, parents: Sequence[RDD[Any]]) -> list[tuple[int, int]]:
        return []

    def read(self, split: int) -> Iterable[Any] | pa.Table:
        """Return what a reader gives; a table stays one until an operation needs rows."""
        return load(self.readers[split])()


class Mapped(Operation, frozen=True):
    """``map``."""

    function: Function
    preserves: bool = False

    def partitioner(self, parents: Sequence[RDD[Any]]) -> Partitioner | None:
        return parents[0].partitioner if self.preserves else None

    def compute(self, split: int, inputs: list[Rows]) -> Rows:
        return chain(map(load(self.function), inputs[0]), nothing_left(inputs[0]))

    def compute_one(self, row: Any) -> list[Any]:
        return [load(self.function)(row)]


class Filtered(Operation, frozen=True):
    """``filter``."""

    function: Function

    def partitioner(self, parents: Sequence[RDD[Any]]) -> Partitioner | None:
        return parents[0].partitioner

    def compute(self, split: int, inputs: list[Rows]) -> Rows:
        return chain(filter(load(self.function), inputs[0]), nothing_left(inputs[0]))

    def compute_one(self, row: Any) -> list[Any]:
        return [row] if load(self.function)(row) else []


class FlatMapped(Operation, frozen=True):
    """``flat_map``."""

    function: Function
    preserves: bool = False

    def partitioner(self, parents: Sequence[RDD[Any]]) -> Partitioner | None:
        return parents[0].partitioner if self.preserves else None

    def compute(self, split: int, inputs: list[Rows]) -> Rows:
        mapped = map(load(self.function), inputs[0])
        return chain(chain.from_iterable(mapped), nothing_left(inputs[0]))

    def compute_one(self, row: Any) -> list[Any]:
        return list(load(self.function)(row))


class PartitionsMapped(Operation, frozen=True):
    """``map_partitions``: the function takes (split,) rows and gives rows."""

    function: Function
    preserves: bool = False
    with_index: bool = False

    def partitioner(self, parents: Sequence[RDD[Any]]) -> Partitioner | None:
        return parents[0].partitioner if self.preserves else None

    def compute(self, split: int, inputs: list[Rows]) -> Rows:
        function = load(self.function)
        return iter(function(split, inputs[0]) if self.with_index else function(inputs[0]))


class Unioned(Operation, frozen=True):
    """``union``: the parents' partitions one after the other, or, where all parents are divided
    alike, side by side (so that windows over keyed streams need no second shuffle)."""

    takes_tables: ClassVar[bool] = True

    def partitioner(self, parents: Sequence[RDD[Any]]) -> Partitioner | None:
        known = {parent.partitioner for parent in parents}
        return known.pop() if len(known) == 1 else None

    def partitions(self, parents: Sequence[RDD[Any]]) -> int:
        known = self.partitioner(parents)
        return known.partitions if known else sum(parent.num_partitions for parent in parents)

    def needs(self, split: int, parents: Sequence[RDD[Any]]) -> list[tuple[int, int]]:
        if self.partitioner(parents):
            return [(i, split) for i in range(len(parents))]
        for i, parent in enumerate(parents):
            if split < parent.num_partitions:
                return [(i, split)]
            split -= parent.num_partitions
        raise IndexError(split)

    def compute(self, split: int, inputs: list[Data]) -> Data:
        return together(inputs)


class Zipped(Operation, frozen=True):
    """Partitions of several parents, divided alike, combined: the function takes one iterator
    for each parent and gives rows, whose keys stay where they are if it ``preserves`` them."""

    function: Function
    preserves: bool = True

    def partitioner(self, parents: Sequence[RDD[Any]]) -> Partitioner | None:
        return parents[0].partitioner if self.preserves else None

    def needs(self, split: int, parents: Sequence[RDD[Any]]) -> list[tuple[int, int]]:
        return [(i, split) for i in range(len(parents))]

    def compute(self, split: int, inputs: list[Rows]) -> Data:
        found: Iterable[Any] = load(self.function)(*inputs)
        return found


class Layered(Operation, frozen=True):
    """A layer of a keyed state, see `livebatch.rdd.layers`: the function takes an iterator for each
    parent that lies in other blocks, a `Layer` for each that lies in one, and gives a block."""

    function: Function

    def partitioner(self, parents: Sequence[RDD[Any]]) -> Partitioner | None:
        return parents[0].partitioner

    def needs(self, split: int, parents: Sequence[RDD[Any]]) -> list[tuple[int, int]]:
        return [(i, split) for i in range(len(parents))]

    def write(self, inputs: Sequence[Any]) -> Encoded:
        """Return the block of a partition, given what it needs."""
        block: Encoded = load(self.function)(*inputs)
        return block


class Coalesced(Operation, frozen=True):
    """``coalesce``: neighbouring partitions made into one."""

    takes_tables: ClassVar[bool] = True
    count: int

    def partitions(self, parents: Sequence[RDD[Any]]) -> int:
        return min(self.count, parents[0].num_partitions)

    def needs(self, split: int, parents: Sequence[RDD[Any]]) -> list[tuple[int, int]]:
        before, after = parents[0].num_partitions, self.partitions(parents)
        return [(0, i) for i in range(before * split // after, before * (split + 1) // after)]

    def compute(self, split: int, inputs: list[Data]) -> Data:
        return together(inputs)


class Crossed(Operation, frozen=True):
    """``cartesian``: every row of one parent with every row of the other."""

    def partitions(self, parents: Sequence[RDD[Any]]) -> int:
        return parents[0].num_partitions * parents[1].num_partitions

    def needs(self, split: int, parents: Sequence[RDD[Any]]) -> list[tuple[int, int]]:
        here, there = divmod(split, parents[1].num_partitions)
        return [(0, here), (1, there)]

    def compute(self, split: int, inputs: list[Rows]) -> Rows:
        return product(*inputs)


class Shuffled(Operation, frozen=True):
    """Rows divided anew over partitions: the one wide dependency.

    Attributes:
        count: how many partitions come out.
        bucketing: takes the rows of a map task, gives a list of rows for each partition.
        before: applied to a map task's rows before they are divided (map-side combine).
        after: applied to the rows that arrive, those of the first map task first.
        by: how keys are divided, where they are.
        in_turn: rows are dealt out in turn; each map task begins at another partition.
    """

    count: int
    bucketing: Function
    before: Function | None = None
    after: Function | None = None
    by: Partitioner | None = None
    in_turn: bool = False

    def partitions(self, parents: Sequence[RDD[Any]]) -> int:
        return self.count

    def partitioner(self, parents: Sequence[RDD[Any]]) -> Partitioner | None:
        return self.by

    def is_narrow(self, parents: Sequence[RDD[Any]]) -> bool:
        """Return whether the parent is divided this way already, so that nothing need move."""
        return self.by is not None and parents[0].partitioner == self.by

    def combine(self, rows: Rows) -> Iterable[Any]:
        """Return the rows of a map task that are to be divided."""
        combined: Iterable[Any] = rows if self.before is None else load(self.before)(rows)
        return combined

    def divide(self, split: int, rows: Collection[Any]) -> list[Collection[Any]]:
        """Divide rows of a map task: some for each partition that comes out."""
        divided: list[Collection[Any]] = load(self.bucketing)(rows)
        first = -split % self.count if self.in_turn else 0
        return divided[first:] + divided[:first]

    def compute(self, split: int, inputs: Sequence[Iterable[Any]]) -> Data:
        rows: Iterable[Any] = chain.from_iterable(inputs)
        return rows if self.after is None else load(self.after)(rows)

    def compute_narrow(self, inputs: list[Rows]) -> Data:
        return self.compute(0, [self.combine(inputs[0])])


class Tabled(Operation, frozen=True):
    """Tables made of tables: the function takes the rows of a partition of each parent, divided
    alike, and gives one table.

    Attributes:
        preserves: whether keys stay where they are.
        gathers: the function takes the rows of all partitions of the one parent, even of none.
        shared: so many of the last parents have one partition, which goes to all.
    """

    takes_tables: ClassVar[bool] = True
    function: Function
    preserves: bool = False
    gathers: bool = False
    shared: int = 0

    def partitions(self, parents: Sequence[RDD[Any]]) -> int:
        return 1 if self.gathers else parents[0].num_partitions

    def partitioner(self, parents: Sequence[RDD[Any]]) -> Partitioner | None:
        return parents[0].partitioner if self.preserves else None

    def needs(self, split: int, parents: Sequence[RDD[Any]]) -> list[tuple[int, int]]:
        if self.gathers:
            return [(0, i) for i in range(parents[0].num_partitions)]
        own = len(parents) - self.shared
        return [(i, split if i < own else 0) for i in range(len(parents))]

    def compute(self, split: int, inputs: list[Data]) -> Tables:
        parts = [together(inputs)] if self.gathers else inputs
        made = load(self.function)(*parts)
        return made if isinstance(made, Tables) else Tables([made])


class Exchanged(Shuffled, frozen=True):
    """Tables divided anew: ``before`` and ``after`` take rows that lie in tables and give one
    table, ``bucketing`` takes what ``before`` gives, if it is there, and gives a table for each
    partition."""

    takes_tables: ClassVar[bool] = True

    def is_narrow(self, parents: Sequence[RDD[Any]]) -> bool:
        """Return whether there is one partition; that the parent's keys were called the same says
        nothing of these."""
        return self.count == parents[0].num_partitions == 1

    def combine(self, rows: Any) -> Any:
        return rows if self.before is None else Tables([load(self.before)(rows)])

    def segments(self, rows: Tables) -> list[pa.Table]:
        """Return the tables of a map task, one for each partition."""
        divided: list[pa.Table] = load(self.bucketing)(self.combine(rows))
        return divided

    def compute(self, split: int, inputs: Sequence[Any]) -> Any:
        rows = together(inputs)
        return rows if self.after is None else Tables([load(self.after)(rows)])


class Deferred(Operation, frozen=True):
    """An RDD that a user's function will make of RDDs: ``transform``, run in the driver process.

    ``function`` takes ``time`` (of the batch, milliseconds since 1970) and an RDD for each parent.
    """

    function: Function
    time: int

    def partitions(self, parents: Sequence[RDD[Any]]) -> int:
        raise TypeError("a transform has no partitions before its function was run")


AnyOperation: TypeAlias = (
    Stored
    | Read
    | Mapped
    | Filtered
    | FlatMapped
    | PartitionsMapped
    | Unioned
    | Zipped
    | Layered
    | Coalesced
    | Crossed
    | Shuffled
    | Tabled
    | Exchanged
    | Deferred
)
ReadFunction: TypeAlias = Callable[[], Iterable[Any]]
