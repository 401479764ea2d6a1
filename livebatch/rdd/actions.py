"""Actions: what runs a job and gives a result."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from functools import reduce
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from livebatch.closures import builtin, ship, ship_value
from livebatch.filesystems import absolute
from livebatch.rdd import functions as run
from livebatch.rdd.keyed import Keyed
from livebatch.rdd.operation import PartitionsMapped
from livebatch.rdd.sketches import count_of, distinct_rows, distinct_size
from livebatch.rdd.statcounter import StatCounter, counted_stats
from livebatch.rdd.textfiles import folder_of_lines, write_lines
from livebatch.rowtables import as_table

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

T = TypeVar("T")
U = TypeVar("U")
K = TypeVar("K")
V = TypeVar("V")


class Actions(Keyed[T]):
    """What gives results. Any of them can raise `JobFailed`, with the user's own traceback."""

    # -- rows --------------------------------------------------------------------------------

    def collect(self) -> list[T]:
        """Return all rows."""
        return list(chain.from_iterable(self.run(builtin(run.collect_rows))))

    def take(self, num: int) -> list[T]:
        """Return the first ``num`` rows, reading no more partitions than needed."""
        rows: list[T] = []
        split, step = 0, 1
        while len(rows) < num and split < self.num_partitions:
            splits = range(split, min(split + step, self.num_partitions))
            found = self.run(builtin(run.first_rows, num - len(rows)), splits)
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

    def top(self, num: int, key: Callable[[T], Any] | None = None) -> list[T]:
        """Return the ``num`` largest rows, largest first."""
        ranked = self.run(builtin(run.largest, num, None if key is None else ship(key)))
        return run.largest(num, key, chain.from_iterable(ranked))

    def take_ordered(self, num: int, key: Callable[[T], Any] | None = None) -> list[T]:
        """Return the ``num`` smallest rows, smallest first."""
        ranked = self.run(builtin(run.smallest, num, None if key is None else ship(key)))
        return run.smallest(num, key, chain.from_iterable(ranked))

    def collect_as_map(self: Actions[tuple[K, V]]) -> dict[K, V]:
        """Return (key, value) rows as a dict."""
        return dict(self.collect())

    def lookup(self: Actions[tuple[K, V]], key: K) -> list[V]:
        """Return the values of a key."""
        wanted = builtin(run.values_of, ship_value(key, "the key"))
        return list(chain.from_iterable(self.run(wanted)))

    # -- counts ------------------------------------------------------------------------------

    def count(self) -> int:
        """Return the number of rows."""
        return sum(self.run(builtin(run.count_rows)))

    def count_by_value(self) -> dict[T, int]:
        """Return how often each row occurs."""
        parts = self.run(builtin(run.listed, builtin(run.count_values)))
        return dict(run.sum_counts(chain.from_iterable(parts)))

    def count_by_key(self: Actions[tuple[K, V]]) -> dict[K, int]:
        """Return how often each key occurs."""
        counts: dict[K, int] = self.keys().count_by_value()
        return counts

    def count_approx_distinct(self, relative_sd: float = 0.05) -> int:
        """Return about how many different rows there are, in one pass and little memory.

        Args:
            relative_sd: the relative standard deviation of the result, above 0.0007: it is off by
                more than twice as much one time in twenty. Half of it takes four times the memory
                (0.05: 512 bytes).

        Raises:
            DefinitionError: no such deviation can be had.

        Example:
            >>> from livebatch.testing import ManualContext
            >>> with ManualContext() as ssc:
            ...     ssc.parallelize("to be or not to be".split()).count_approx_distinct()
            4
        """
        size = distinct_size(relative_sd)
        parts = self.run(builtin(distinct_rows, size))
        (count,) = count_of(size, chain.from_iterable(parts))
        return count

    # -- merging -----------------------------------------------------------------------------

    def reduce(self, f: Callable[[T, T], T]) -> T:
        """Merge all rows with an associative, commutative function.

        Raises:
            ValueError: there are no rows.
        """
        rows: list[T] = list(chain.from_iterable(self.run(builtin(run.reduce_rows, ship(f)))))
        if not rows:
            raise ValueError("the RDD is empty")
        return reduce(f, rows)

    def fold(self, zero_value: T, op: Callable[[T, T], T]) -> T:
        """Fold the rows of each partition into a copy of ``zero_value``, then the results."""
        return self.aggregate(zero_value, op, op)

    def aggregate(
        self, zero_value: U, seq_op: Callable[[U, T], U], comb_op: Callable[[U, U], U]
    ) -> U:
        """Fold the rows of each partition into a copy of ``zero_value`` with ``seq_op``, then
        the results with ``comb_op``."""
        zero = ship_value(zero_value, "the zero value")
        parts = self.run(builtin(run.aggregated, zero, ship(seq_op)))
        return reduce(comb_op, parts, deepcopy(zero_value))

    # -- numbers -----------------------------------------------------------------------------

    def sum(self) -> Any:
        """Return the sum of the rows."""
        return sum(self.run(builtin(sum_rows)))

    def max(self, key: Callable[[T], Any] | None = None) -> T:
        """Return the largest row.

        Raises:
            ValueError: there are no rows.
        """
        return _only(self.top(1, key))

    def min(self, key: Callable[[T], Any] | None = None) -> T:
        """Return the smallest row.

        Raises:
            ValueError: there are no rows.
        """
        return _only(self.take_ordered(1, key))

    def stats(self) -> StatCounter:
        """Return count, mean, variance, minimum and maximum of the rows, in one pass."""
        merged = StatCounter()
        for part in self.run(builtin(counted_stats)):
            merged.merge_stats(part)
        return merged

    def mean(self) -> float:
        """Return the mean of the rows; NaN if there are none."""
        return self.stats().mean()

    def variance(self) -> float:
        """Return the variance of the rows (divided by their number); NaN if there are none."""
        return self.stats().variance()

    def stdev(self) -> float:
        """Return the standard deviation of the rows; NaN if there are none."""
        return self.stats().stdev()

    def histogram(self, buckets: int | Iterable[Any]) -> tuple[list[Any], list[int]]:
        """Count rows in buckets, which are open to the right but for the last.

        Args:
            buckets: how many, evenly between the smallest and the largest row, or their bounds in
                rising order.

        Returns:
            the bounds and the counts, one fewer.

        Raises:
            ValueError: the bounds do not rise, or there are fewer than two; or there are no rows
                to find bounds for.
        """
        if isinstance(buckets, int):
            stats = self.stats()
            if not stats.count():
                raise ValueError("the RDD is empty")
            bounds: list[Any] = run.even_bounds(stats.min(), stats.max(), buckets)
        else:
            bounds = list(buckets)
        if len(bounds) < 2 or sorted(set(bounds)) != bounds:
            raise ValueError(f"bounds must rise, and be at least two: {bounds}")
        counts = self.run(builtin(run.histogram_of, ship_value(bounds, "bounds")))
        return bounds, [sum(column) for column in zip(*counts, strict=True)]

    # -- for their effect --------------------------------------------------------------------

    def foreach(self, f: Callable[[T], Any]) -> None:
        """Call ``f(row)`` for every row, in the workers."""
        self.run(builtin(run.for_each, ship(f)))

    def foreach_partition(self, f: Callable[[Iterable[T]], Any]) -> None:
        """Call ``f(rows of a partition)`` for every partition, in the workers."""
        self.run(builtin(run.for_partition, ship(f)))

    def save_as_text_file(self, path: str | Path, may_exist: bool = False) -> None:
        """Write every row as a line, a file for each partition, and last of all ``_SUCCESS``.

        Args:
            path: of the folder: local, or a URI that pyarrow.fs understands; it is made.
            may_exist: whether what is in the folder already is to be replaced.

        Raises:
            SinkError: the folder cannot be written, or is there and may not be.

        Example:
            >>> from tempfile import TemporaryDirectory
            >>> from livebatch.testing import ManualContext
            >>> with TemporaryDirectory() as folder, ManualContext() as ssc:
            ...     ssc.parallelize([1, 2, 3], 2).save_as_text_file(f"{folder}/numbers")
            ...     ssc.text_file(f"{folder}/numbers").collect()
            ['1', '2', '3']
        """
        folder = absolute(path)
        with folder_of_lines(folder, may_exist):
            writing = PartitionsMapped(builtin(write_lines, folder), with_index=True)
            self.derive(writing).collect()

    # -- tables ------------------------------------------------------------------------------

    def to_arrow(self) -> pa.Table:
        """Return the rows as an Arrow table: dicts by their keys, tuples as ``_1``, ``_2``, …,
        anything else as ``value``."""
        import pyarrow as pa

        tables = [t for t in self.run(builtin(run.collect_table)) if t is not None]
        if not tables:
            return as_table([])
        try:
            return pa.concat_tables(tables, promote_options="permissive")
        except pa.ArrowException:  # partitions whose columns have nothing in common
            return as_table(self.collect())

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows as a DataFrame, with the columns of `to_arrow`."""
        frame: pd.DataFrame = self.to_arrow().to_pandas()
        return frame


def sum_rows(rows: Iterable[Any]) -> Any:
    """The sum of a partition's rows."""
    return sum(rows)


def _only(rows: list[T]) -> T:
    for row in rows:
        return row
    raise ValueError("the RDD is empty")
