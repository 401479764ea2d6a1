"""Transformations that bring equal keys, or rows in order, together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from livebatch.closures import Function, builtin, ship, ship_value
from livebatch.rdd import functions as run
from livebatch.rdd.elementwise import Elementwise
from livebatch.rdd.external import sorted_rows
from livebatch.rdd.operation import Shuffled, Zipped
from livebatch.rdd.partitioner import Partitioner, by_range

if TYPE_CHECKING:
    from livebatch.rdd.dataset import RDD

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")
W = TypeVar("W")

SAMPLED = 100
"""So many rows of each partition are looked at to divide rows by range."""


class Keyed(Elementwise[T]):
    """Transformations of (key, value) rows, and those that need equal rows together."""

    # -- values and keys ---------------------------------------------------------------------

    def map_values(self: Keyed[tuple[K, V]], f: Callable[[V], W]) -> RDD[tuple[K, W]]:
        """Apply ``f`` to the value of every (key, value) row; the keys stay where they are."""
        return self._apply(run.on_value, ship(f), keeps=True)

    def flat_map_values(
        self: Keyed[tuple[K, V]], f: Callable[[V], Iterable[W]]
    ) -> RDD[tuple[K, W]]:
        """Pair the key of every (key, value) row with each item of ``f(value)``."""
        return self._apply(run.each_on_value, ship(f), keeps=True)

    def keys(self: Keyed[tuple[K, V]]) -> RDD[K]:
        """Return the first item of every row."""
        return self._apply(run.first_of)

    def values(self: Keyed[tuple[K, V]]) -> RDD[V]:
        """Return the second item of every row."""
        return self._apply(run.second_of)

    # -- by key ------------------------------------------------------------------------------

    def partition_by(
        self: Keyed[tuple[K, V]],
        num_partitions: int | None = None,
        partition_func: Callable[[K], int] | None = None,
    ) -> RDD[tuple[K, V]]:
        """Divide (key, value) rows by key, with a hash that all processes agree on."""
        return self._shuffle(num_partitions, None, None, partition_func)

    def combine_by_key(
        self: Keyed[tuple[K, V]],
        create_combiner: Callable[[V], W],
        merge_value: Callable[[W, V], W],
        merge_combiners: Callable[[W, W], W],
        num_partitions: int | None = None,
        partition_func: Callable[[K], int] | None = None,
    ) -> RDD[tuple[K, W]]:
        """Fold the values of each key into one, first within partitions, then across them."""
        before = builtin(run.combine_values, ship(create_combiner), ship(merge_value))
        after = builtin(run.combine_values, None, ship(merge_combiners))
        return self._shuffle(num_partitions, before, after, partition_func)

    def reduce_by_key(
        self: Keyed[tuple[K, V]],
        func: Callable[[V, V], V],
        num_partitions: int | None = None,
        partition_func: Callable[[K], int] | None = None,
    ) -> RDD[tuple[K, V]]:
        """Merge the values of each key with an associative, commutative function."""
        merge = builtin(run.combine_values, None, ship(func))
        return self._shuffle(num_partitions, merge, merge, partition_func)

    def aggregate_by_key(
        self: Keyed[tuple[K, V]],
        zero_value: W,
        seq_func: Callable[[W, V], W],
        comb_func: Callable[[W, W], W],
        num_partitions: int | None = None,
        partition_func: Callable[[K], int] | None = None,
    ) -> RDD[tuple[K, W]]:
        """Fold the values of each key into a copy of ``zero_value``, then merge the results."""
        zero = ship_value(zero_value, "the zero value")
        create = builtin(run.from_zero, zero, ship(seq_func))
        before = builtin(run.combine_values, create, ship(seq_func))
        after = builtin(run.combine_values, None, ship(comb_func))
        return self._shuffle(num_partitions, before, after, partition_func)

    def fold_by_key(
        self: Keyed[tuple[K, V]],
        zero_value: V,
        func: Callable[[V, V], V],
        num_partitions: int | None = None,
        partition_func: Callable[[K], int] | None = None,
    ) -> RDD[tuple[K, V]]:
        """Fold the values of each key into a copy of ``zero_value``."""
        return self.aggregate_by_key(zero_value, func, func, num_partitions, partition_func)

    def group_by_key(
        self: Keyed[tuple[K, V]],
        num_partitions: int | None = None,
        partition_func: Callable[[K], int] | None = None,
    ) -> RDD[tuple[K, list[V]]]:
        """Collect the values of each key into a list."""
        return self._shuffle(num_partitions, None, builtin(run.group_values), partition_func)

    def group_by(
        self, f: Callable[[T], K], num_partitions: int | None = None
    ) -> RDD[tuple[K, list[T]]]:
        """Collect the rows with the same ``f(row)`` into a list."""
        return self.key_by(f)._shuffle(num_partitions, None, builtin(run.group_values), None)

    # -- with another RDD --------------------------------------------------------------------

    def cogroup(
        self: Keyed[tuple[K, V]], other: RDD[tuple[K, W]], num_partitions: int | None = None
    ) -> RDD[tuple[K, tuple[list[V], list[W]]]]:
        """Give (key, (values here, values there)) for every key of either."""
        return self._together(run.cogroup_values, [other], num_partitions)

    def group_with(
        self: Keyed[tuple[K, V]], other: RDD[tuple[K, Any]], *others: RDD[tuple[K, Any]]
    ) -> RDD[tuple[K, tuple[list[Any], ...]]]:
        """Give (key, (values here, values in the first other, …)) for every key of any."""
        return self._together(run.cogroup_values, [other, *others], None)

    def join(
        self: Keyed[tuple[K, V]], other: RDD[tuple[K, W]], num_partitions: int | None = None
    ) -> RDD[tuple[K, tuple[V, W]]]:
        """Give (key, (value here, value there)) for every pair of values of the same key."""
        return self._together(run.inner_join, [other], num_partitions)

    def left_outer_join(
        self: Keyed[tuple[K, V]], other: RDD[tuple[K, W]], num_partitions: int | None = None
    ) -> RDD[tuple[K, tuple[V, W | None]]]:
        """Join, with None for values there of keys that are only here."""
        return self._together(run.left_join, [other], num_partitions)

    def right_outer_join(
        self: Keyed[tuple[K, V]], other: RDD[tuple[K, W]], num_partitions: int | None = None
    ) -> RDD[tuple[K, tuple[V | None, W]]]:
        """Join, with None for values here of keys that are only there."""
        return self._together(run.right_join, [other], num_partitions)

    def full_outer_join(
        self: Keyed[tuple[K, V]], other: RDD[tuple[K, W]], num_partitions: int | None = None
    ) -> RDD[tuple[K, tuple[V | None, W | None]]]:
        """Join, with None for the values that are missing on either side."""
        return self._together(run.full_join, [other], num_partitions)

    def subtract_by_key(
        self: Keyed[tuple[K, V]], other: RDD[tuple[K, Any]], num_partitions: int | None = None
    ) -> RDD[tuple[K, V]]:
        """Return the (key, value) rows whose key the other RDD does not have."""
        return self._together(run.without_keys, [other], num_partitions)

    # -- rows as a whole ---------------------------------------------------------------------

    def value_counts(self, num_partitions: int | None = None) -> RDD[tuple[T, int]]:
        """Return an RDD of (row, how often it occurs)."""
        counts: Keyed[Any] = self._apply(run.count_values)  # by the row, not by its key
        return counts._shuffle(num_partitions, None, builtin(run.sum_counts), None)

    def distinct(self, num_partitions: int | None = None) -> RDD[T]:
        """Return an RDD of the different rows."""
        counts: RDD[Any] = self.value_counts(num_partitions)
        return counts.keys()

    def intersection(self, other: RDD[T], num_partitions: int | None = None) -> RDD[T]:
        """Return an RDD of the different rows that both have."""
        here: Keyed[Any] = self._apply(run.as_keys)
        there = other._apply(run.as_keys)
        both: Keyed[Any] = here._together(run.keys_of_both, [there], num_partitions)
        return both.keys()

    def subtract(self, other: RDD[T], num_partitions: int | None = None) -> RDD[T]:
        """Return the rows that the other RDD does not have."""
        here: Keyed[Any] = self._apply(run.as_keys)
        return here.subtract_by_key(other._apply(run.as_keys), num_partitions).keys()

    def sort_by(
        self, keyfunc: Callable[[T], Any], ascending: bool = True, num_partitions: int | None = None
    ) -> RDD[T]:
        """Sort the rows, over all partitions; a job looks at some of them first.

        Args:
            keyfunc: by what rows are compared.
            ascending: smallest first.
            num_partitions: how many partitions the result has; as many as this one if not told.
        """
        count, key = num_partitions or self.num_partitions, ship(keyfunc)
        sort = builtin(sorted_rows, key, not ascending)
        samples = self.run(builtin(run.sampled_keys, key, SAMPLED)) if count > 1 else []
        bounds = run.range_bounds([key for part in samples for key in part], count)
        divide = builtin(by_range, key, ship_value(bounds, "bounds"), ascending, count)
        return self.derive(Shuffled(count, divide, None, sort))  # type: ignore[no-any-return]

    def sort_by_key(
        self: Keyed[tuple[K, V]],
        ascending: bool = True,
        num_partitions: int | None = None,
        keyfunc: Callable[[K], Any] | None = None,
    ) -> RDD[tuple[K, V]]:
        """Sort (key, value) rows by key; see `sort_by`."""
        of_key = builtin(run.of_first, None if keyfunc is None else ship(keyfunc))
        return self.sort_by(of_key, ascending, num_partitions)  # type: ignore[arg-type]

    # -- how it is done ----------------------------------------------------------------------

    def _together(
        self, function: Callable[..., Any], others: Iterable[RDD[Any]], num_partitions: int | None
    ) -> RDD[Any]:
        """Combine RDDs partition by partition, after dividing them alike."""
        parts = num_partitions or self.parallelism
        here: RDD[Any] = self.partition_by(parts)  # type: ignore[misc]
        there = [other.partition_by(parts) for other in others]
        return here.derive(Zipped(builtin(function)), *there)  # type: ignore[no-any-return]

    def _shuffle(
        self,
        num_partitions: int | None,
        before: Function | None,
        after: Function | None,
        partition_func: Callable[[Any], int] | None,
    ) -> RDD[Any]:
        by = Partitioner(
            num_partitions or self.parallelism,
            None if partition_func is None else ship(partition_func),
        )
        shuffled = Shuffled(by.partitions, by.bucketing(), before, after, by)
        return self.derive(shuffled)  # type: ignore[no-any-return]
