"""Transformations that leave rows in their partitions, or move whole partitions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from livebatch.closures import builtin, ship
from livebatch.errors import DefinitionError
from livebatch.rdd import functions as run
from livebatch.rdd.base import Dataset
from livebatch.rdd.operation import (
    Coalesced,
    Crossed,
    Filtered,
    FlatMapped,
    Mapped,
    PartitionsMapped,
    Shuffled,
    Unioned,
    Zipped,
)
from livebatch.rdd.partitioner import in_turn

if TYPE_CHECKING:
    from livebatch.rdd.dataset import RDD

T = TypeVar("T")
U = TypeVar("U")
K = TypeVar("K")


class Elementwise(Dataset[T]):
    """Transformations that need no shuffle by key."""

    def map(self, f: Callable[[T], U], preserves_partitioning: bool = False) -> RDD[U]:
        """Return an RDD of ``f(row)`` for every row."""
        return self.derive(Mapped(ship(f), preserves_partitioning))  # type: ignore[no-any-return]

    def filter(self, f: Callable[[T], Any]) -> RDD[T]:
        """Return an RDD of the rows for which ``f(row)`` is true."""
        return self.derive(Filtered(ship(f)))  # type: ignore[no-any-return]

    def flat_map(
        self, f: Callable[[T], Iterable[U]], preserves_partitioning: bool = False
    ) -> RDD[U]:
        """Return an RDD of all items of ``f(row)``, for every row."""
        return self.derive(FlatMapped(ship(f), preserves_partitioning))  # type: ignore[no-any-return]

    def map_partitions(
        self, f: Callable[[Iterable[T]], Iterable[U]], preserves_partitioning: bool = False
    ) -> RDD[U]:
        """Return an RDD of what ``f(rows of a partition)`` gives."""
        return self.derive(PartitionsMapped(ship(f), preserves_partitioning))  # type: ignore[no-any-return]

    def map_partitions_with_index(
        self, f: Callable[[int, Iterable[T]], Iterable[U]], preserves_partitioning: bool = False
    ) -> RDD[U]:
        """Return an RDD of what ``f(index, rows of a partition)`` gives."""
        return self.derive(PartitionsMapped(ship(f), preserves_partitioning, True))  # type: ignore[no-any-return]

    def key_by(self, f: Callable[[T], K]) -> RDD[tuple[K, T]]:
        """Return an RDD of (``f(row)``, row)."""
        return self._apply(run.with_key, ship(f))

    def glom(self) -> RDD[list[T]]:
        """Return an RDD with one row for each partition: the list of its rows."""
        return self._apply(run.as_one_row)

    def sample(self, with_replacement: bool, fraction: float, seed: int | None = None) -> RDD[T]:
        """Return an RDD of rows drawn at random.

        Args:
            with_replacement: whether a row can be drawn more than once.
            fraction: the share of the rows to expect (with replacement, it can exceed 1).
            seed: for the same draw again.

        Raises:
            DefinitionError: the fraction is negative, or above 1 without replacement.
        """
        if fraction < 0 or (fraction > 1 and not with_replacement):
            raise DefinitionError(f"a fraction is between 0 and 1, not {fraction}")
        start = run.fresh_seed() if seed is None else seed
        draw = builtin(run.drawn, with_replacement, fraction, start)
        return self.derive(PartitionsMapped(draw, True, True))  # type: ignore[no-any-return]

    def union(self, *others: RDD[T]) -> RDD[T]:
        """Return an RDD of the rows of this one and of the others."""
        return self.derive(Unioned(), *others)  # type: ignore[no-any-return]

    def __add__(self, other: RDD[T]) -> RDD[T]:
        return self.union(other)

    def zip(self, other: RDD[U]) -> RDD[tuple[T, U]]:
        """Pair the rows of this RDD with those of another, in order.

        Both must have as many partitions, with as many rows in each; a job on rows that do not
        match fails with a ValueError.

        Raises:
            DefinitionError: they differ in the number of partitions.
        """
        if self.num_partitions != other.num_partitions:
            raise DefinitionError(
                f"zip needs RDDs with the same number of partitions, not {self.num_partitions} "
                f"and {other.num_partitions}"
            )
        return self.derive(Zipped(builtin(run.zipped), False), other)  # type: ignore[no-any-return]

    def zip_with_index(self) -> RDD[tuple[T, int]]:
        """Pair each row with its position; a job counts the rows of the partitions first."""
        counts = self.run(builtin(run.count_rows)) if self.num_partitions > 1 else [0]
        starts = [sum(counts[:i]) for i in range(len(counts))]
        number = builtin(run.numbered, starts)
        return self.derive(PartitionsMapped(number, False, True))  # type: ignore[no-any-return]

    def cartesian(self, other: RDD[U]) -> RDD[tuple[T, U]]:
        """Pair every row with every row of another RDD."""
        return self.derive(Crossed(), other)  # type: ignore[no-any-return]

    def coalesce(self, num_partitions: int, shuffle: bool = False) -> RDD[T]:
        """Bring the rows into fewer partitions, without moving them unless ``shuffle``."""
        if shuffle:
            return self.repartition(num_partitions)
        return self.derive(Coalesced(_positive(num_partitions)))  # type: ignore[no-any-return]

    def repartition(self, num_partitions: int) -> RDD[T]:
        """Divide the rows evenly over so many partitions."""
        bucketing = builtin(in_turn, _positive(num_partitions))
        return self.derive(Shuffled(num_partitions, bucketing, in_turn=True))  # type: ignore[no-any-return]

    def _apply(self, function: Callable[..., Any], *args: Any, keeps: bool = False) -> RDD[Any]:
        """Apply one of livebatch's own functions to each partition."""
        return self.derive(PartitionsMapped(builtin(function, *args), keeps))  # type: ignore[no-any-return]


def _positive(partitions: int) -> int:
    if partitions < 1:
        raise DefinitionError(f"at least 1 partition is needed, not {partitions}")
    return partitions
