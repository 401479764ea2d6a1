"""RDD: an immutable, partitioned dataset that knows how it is computed."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, reduce
from html import escape
from itertools import chain, count, islice
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Protocol, TypeVar

from livebatch.block import BlockRef, as_table
from livebatch.closures import Function, builtin, ship
from livebatch.errors import ClosureError, DefinitionError, NotRunning
from livebatch.rdd import functions as run
from livebatch.rdd.operation import (
    AnyOperation,
    Filtered,
    FlatMapped,
    Mapped,
    PartitionsMapped,
    Shuffled,
    Stored,
    Unioned,
    Zipped,
)
from livebatch.rdd.partitioner import Partitioner, in_turn

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

T = TypeVar("T")
U = TypeVar("U")
K = TypeVar("K")
V = TypeVar("V")
W = TypeVar("W")

_process = secrets.token_hex(4)
_numbers = count(1)


class JobRunner(Protocol):
    """Where actions on RDDs are carried out."""

    @property
    def default_parallelism(self) -> int:
        """How many partitions a shuffle makes when not told."""

    def run(self, rdd: RDD[Any], action: Function, splits: Sequence[int] | None) -> list[Any]:
        """Apply ``action`` to the rows of each of the partitions (None: all) and return its
        results, in order.

        Raises:
            JobFailed: a function of the user's raised.
        """


class RDD(Generic[T]):
    """An immutable, partitioned dataset: transformations make new ones, actions run jobs.

    RDDs come from `StreamingContext.parallelize`, from streams (``stream.latest()``) and, within
    ``transform`` and ``foreach_rdd``, as arguments. Rows are any Python objects.
    """

    def __init__(
        self,
        operation: AnyOperation,
        parents: Sequence[RDD[Any]] = (),
        runner: JobRunner | None = None,
        *,
        id: str | None = None,
    ) -> None:
        self.operation = operation
        self.parents = tuple(parents)
        known = (parent.runner for parent in self.parents if parent.runner)
        self.runner: JobRunner | None = runner or next(known, None)
        self.id = id or f"{_process}.{next(_numbers)}"
        self.persisted = False
        self._origin: tuple[AnyOperation, tuple[RDD[Any], ...]] | None = None

    @cached_property
    def num_partitions(self) -> int:
        """How many partitions it has."""
        return self.operation.partitions(self.parents)

    @cached_property
    def partitioner(self) -> Partitioner | None:
        """How its rows are known to be divided; None where they are in no known order."""
        return self.operation.partitioner(self.parents)

    def become(self, operation: AnyOperation, parents: Sequence[RDD[Any]] = ()) -> None:
        """Take on an equal lineage, such as the blocks it has been computed to."""
        self.operation, self.parents = operation, tuple(parents)
        self.__dict__.pop("num_partitions", None)
        self.__dict__.pop("partitioner", None)

    def store(self, blocks: Sequence[BlockRef], cut: bool = False) -> None:
        """Read from these blocks, one a partition, from now on.

        Args:
            cut: forget how they were computed; otherwise `restore` brings that back.
        """
        self._origin = None if cut else (self.operation, self.parents)
        self.become(Stored(tuple((block,) for block in blocks), self.partitioner))

    def restore(self) -> bool:
        """Go back to how it was computed before it was stored; False if that is forgotten."""
        if self._origin is None:
            return False
        self.become(*self._origin)
        self._origin = None
        return True

    # -- transformations ---------------------------------------------------------------------

    def map(self, f: Callable[[T], U], preserves_partitioning: bool = False) -> RDD[U]:
        """Return an RDD of ``f(row)`` for every row."""
        return RDD(Mapped(ship(f), preserves_partitioning), [self])

    def filter(self, f: Callable[[T], Any]) -> RDD[T]:
        """Return an RDD of the rows for which ``f(row)`` is true."""
        return RDD(Filtered(ship(f)), [self])

    def flat_map(
        self, f: Callable[[T], Iterable[U]], preserves_partitioning: bool = False
    ) -> RDD[U]:
        """Return an RDD of all items of ``f(row)``, for every row."""
        return RDD(FlatMapped(ship(f), preserves_partitioning), [self])

    def map_partitions(
        self, f: Callable[[Iterable[T]], Iterable[U]], preserves_partitioning: bool = False
    ) -> RDD[U]:
        """Return an RDD of what ``f(rows of a partition)`` gives."""
        return RDD(PartitionsMapped(ship(f), preserves_partitioning), [self])

    def map_partitions_with_index(
        self, f: Callable[[int, Iterable[T]], Iterable[U]], preserves_partitioning: bool = False
    ) -> RDD[U]:
        """Return an RDD of what ``f(index, rows of a partition)`` gives."""
        return RDD(PartitionsMapped(ship(f), preserves_partitioning, True), [self])

    def map_values(self: RDD[tuple[K, V]], f: Callable[[V], W]) -> RDD[tuple[K, W]]:
        """Apply ``f`` to the value of every (key, value) row; the keys stay where they are."""
        return self.map_partitions(builtin(run.on_value, ship(f)), True)  # type: ignore[arg-type]

    def flat_map_values(self: RDD[tuple[K, V]], f: Callable[[V], Iterable[W]]) -> RDD[tuple[K, W]]:
        """Pair the key of every (key, value) row with each item of ``f(value)``."""
        return self.map_partitions(builtin(run.each_on_value, ship(f)), True)  # type: ignore[arg-type]

    def key_by(self, f: Callable[[T], K]) -> RDD[tuple[K, T]]:
        """Return an RDD of (``f(row)``, row)."""
        return self.map_partitions(builtin(run.with_key, ship(f)))  # type: ignore[arg-type]

    def keys(self: RDD[tuple[K, V]]) -> RDD[K]:
        """Return the first item of every row."""
        return self.map_partitions(builtin(run.first_of))  # type: ignore[arg-type]

    def values(self: RDD[tuple[K, V]]) -> RDD[V]:
        """Return the second item of every row."""
        return self.map_partitions(builtin(run.second_of))  # type: ignore[arg-type]

    def glom(self) -> RDD[list[T]]:
        """Return an RDD with one row for each partition: the list of its rows."""
        return self.map_partitions(_glom)

    def union(self, *others: RDD[T]) -> RDD[T]:
        """Return an RDD of the rows of this one and of the others."""
        return RDD(Unioned(), [self, *others])

    def distinct(self, num_partitions: int | None = None) -> RDD[T]:
        """Return an RDD of the different rows."""
        counts: RDD[Any] = self.value_counts(num_partitions)
        return counts.keys()

    def repartition(self, num_partitions: int) -> RDD[T]:
        """Divide the rows evenly over so many partitions."""
        if num_partitions < 1:
            raise DefinitionError(f"at least 1 partition is needed, not {num_partitions}")
        bucketing = builtin(in_turn, num_partitions)
        return RDD(Shuffled(num_partitions, bucketing), [self])

    def partition_by(
        self: RDD[tuple[K, V]],
        num_partitions: int | None = None,
        partition_func: Callable[[K], int] | None = None,
    ) -> RDD[tuple[K, V]]:
        """Divide (key, value) rows by key, with a hash that all processes agree on."""
        return self._shuffle_by_key(num_partitions, None, None, partition_func)

    def combine_by_key(
        self: RDD[tuple[K, V]],
        create_combiner: Callable[[V], W],
        merge_value: Callable[[W, V], W],
        merge_combiners: Callable[[W, W], W],
        num_partitions: int | None = None,
        partition_func: Callable[[K], int] | None = None,
    ) -> RDD[tuple[K, W]]:
        """Fold the values of each key into one, first within partitions, then across them."""
        before = builtin(run.combine_values, ship(create_combiner), ship(merge_value))
        after = builtin(run.combine_values, None, ship(merge_combiners))
        return self._shuffle_by_key(num_partitions, before, after, partition_func)

    def reduce_by_key(
        self: RDD[tuple[K, V]],
        func: Callable[[V, V], V],
        num_partitions: int | None = None,
        partition_func: Callable[[K], int] | None = None,
    ) -> RDD[tuple[K, V]]:
        """Merge the values of each key with an associative, commutative function."""
        merge = builtin(run.combine_values, None, ship(func))
        return self._shuffle_by_key(num_partitions, merge, merge, partition_func)

    def group_by_key(
        self: RDD[tuple[K, V]],
        num_partitions: int | None = None,
        partition_func: Callable[[K], int] | None = None,
    ) -> RDD[tuple[K, list[V]]]:
        """Collect the values of each key into a list."""
        after = builtin(run.group_values)
        return self._shuffle_by_key(num_partitions, None, after, partition_func)

    def cogroup(
        self: RDD[tuple[K, V]], *others: RDD[tuple[K, Any]], num_partitions: int | None = None
    ) -> RDD[tuple[K, tuple[list[Any], ...]]]:
        """Give (key, (values here, values in the first other, …)) for every key of any."""
        parts = num_partitions or self._parallelism()
        sides = [side.partition_by(parts) for side in (self, *others)]
        return RDD(Zipped(builtin(run.cogroup_values)), sides)

    def value_counts(self, num_partitions: int | None = None) -> RDD[tuple[T, int]]:
        """Return an RDD of (row, how often it occurs)."""
        before, after = builtin(run.count_values), builtin(run.sum_counts)
        return self._shuffle_by_key(num_partitions, before, after, None)

    def _shuffle_by_key(
        self,
        num_partitions: int | None,
        before: Function | None,
        after: Function | None,
        partition_func: Callable[[Any], int] | None,
    ) -> RDD[Any]:
        by = Partitioner(
            num_partitions or self._parallelism(),
            None if partition_func is None else ship(partition_func),
        )
        return RDD(Shuffled(by.partitions, by.bucketing(), before, after, by), [self])

    def _parallelism(self) -> int:
        return self.runner.default_parallelism if self.runner else 1

    # -- actions -----------------------------------------------------------------------------

    def collect(self) -> list[T]:
        """Return all rows."""
        return list(chain.from_iterable(self._run(builtin(run.collect_rows))))

    def take(self, num: int) -> list[T]:
        """Return the first ``num`` rows, reading no more partitions than needed."""
        rows: list[T] = []
        split, step = 0, 1
        while len(rows) < num and split < self.num_partitions:
            splits = range(split, min(split + step, self.num_partitions))
            found = self._run(builtin(run.first_rows, num - len(rows)), splits)
            rows += islice(chain.from_iterable(found), num - len(rows))
            split, step = split + step, step * 4
        return rows

    def first(self) -> T:
        """Return the first row.

        Raises:
            ValueError: there is none.
        """
        for row in self.take(1):
            return row
        raise ValueError("the RDD is empty")

    def is_empty(self) -> bool:
        """Return whether there are no rows."""
        return not self.take(1)

    def count(self) -> int:
        """Return the number of rows."""
        return sum(self._run(builtin(run.count_rows)))

    def count_by_value(self) -> dict[T, int]:
        """Return how often each row occurs."""
        return dict(self.value_counts().collect())

    def collect_as_map(self: RDD[tuple[K, V]]) -> dict[K, V]:
        """Return (key, value) rows as a dict."""
        return dict(self.collect())

    def reduce(self, f: Callable[[T, T], T]) -> T:
        """Merge all rows with an associative, commutative function.

        Raises:
            ValueError: there are no rows.
        """
        rows: list[T] = list(chain.from_iterable(self._run(builtin(run.reduce_rows, ship(f)))))
        if not rows:
            raise ValueError("the RDD is empty")
        return reduce(f, rows)

    def top(self, num: int, key: Callable[[T], Any] | None = None) -> list[T]:
        """Return the ``num`` largest rows, largest first."""
        ranked = self._run(builtin(run.largest, num, None if key is None else ship(key)))
        return run.largest(num, key, chain.from_iterable(ranked))

    def take_ordered(self, num: int, key: Callable[[T], Any] | None = None) -> list[T]:
        """Return the ``num`` smallest rows, smallest first."""
        ranked = self._run(builtin(run.smallest, num, None if key is None else ship(key)))
        return run.smallest(num, key, chain.from_iterable(ranked))

    def foreach(self, f: Callable[[T], Any]) -> None:
        """Call ``f(row)`` for every row, in the workers."""
        self._run(builtin(run.for_each, ship(f)))

    def to_arrow(self) -> pa.Table:
        """Return the rows as an Arrow table: dicts by their keys, tuples as ``_1``, ``_2``, …,
        anything else as ``value``."""
        import pyarrow as pa

        tables = [t for t in self._run(builtin(run.collect_table)) if t is not None]
        if not tables:
            return as_table([])
        return pa.concat_tables(tables, promote_options="permissive")

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows as a DataFrame, with the columns of `to_arrow`."""
        frame: pd.DataFrame = self.to_arrow().to_pandas()
        return frame

    def _run(self, action: Function, splits: Sequence[int] | None = None) -> list[Any]:
        if self.runner is None:
            raise NotRunning("this RDD is not tied to an engine")
        return self.runner.run(self, action, splits)

    # -- how it shows ------------------------------------------------------------------------

    def __repr__(self) -> str:
        return f"<RDD {self.id}: {type(self.operation).__name__.lower()}>"

    def _repr_html_(self) -> str:
        rows = self.take(21)
        table = as_table(rows[:20]).to_pandas().to_html(index=False, border=0) if rows else ""
        more = "the first 20 rows" if len(rows) > 20 else f"{len(rows)} rows"
        return f"<small>{escape(self.id)} · {more}</small>{table}"

    def __reduce__(self) -> NoReturn:
        raise ClosureError(
            "an RDD is used inside a function that runs in the workers, where there are no RDDs: "
            "collect() it first and use the list, or combine the two with join or transform"
        )


def _glom(rows: Iterable[T]) -> list[list[T]]:
    return [list(rows)]


def stored(blocks: Sequence[Any], runner: JobRunner | None = None, **known: Any) -> RDD[Any]:
    """Return an RDD with one partition for each block reference."""
    return RDD(Stored(tuple((block,) for block in blocks)), runner=runner, **known)
