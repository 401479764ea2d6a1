"""Operators that look at each record, or each partition, of a batch by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from livebatch.arguments import check_count
from livebatch.closures import builtin, ship
from livebatch.rdd import functions as run
from livebatch.stream import (
    DStream,
    Lifted,
    lift,
    operator,
    same_slide,
)

Stream = DStream[Any]


@operator
def map(self: Stream, f: Callable[[Any], Any], preserves_partitioning: bool = False) -> Stream:
    """Return a stream of ``f(record)`` for every record.

    Example:
        >>> from livebatch.testing import run
        >>> run(lambda lines: lines.map(str.upper), [["a", "b"]])
        [['A', 'B']]

    Raises:
        ClosureError: ``f`` cannot be sent to the workers.
    """
    return lift(self, "map", ship(f), preserves_partitioning)


@operator
def filter(self: Stream, f: Callable[[Any], Any]) -> Stream:
    """Return a stream of the records for which ``f(record)`` is true.

    Example:
        >>> from livebatch.testing import run
        >>> run(lambda s: s.filter(lambda n: n > 1), [[1, 2], [1]])
        [[2], []]

    Raises:
        ClosureError: ``f`` cannot be sent to the workers.
    """
    return lift(self, "filter", ship(f))


@operator
def flat_map(
    self: Stream, f: Callable[[Any], Iterable[Any]], preserves_partitioning: bool = False
) -> Stream:
    """Return a stream of all items of ``f(record)``, for every record.

    Example:
        >>> from livebatch.testing import run
        >>> run(lambda lines: lines.flat_map(str.split), [["to be", "or"]])
        [['to', 'be', 'or']]

    Raises:
        ClosureError: ``f`` cannot be sent to the workers.
    """
    return lift(self, "flat_map", ship(f), preserves_partitioning)


@operator
def map_partitions(
    self: Stream,
    f: Callable[[Iterable[Any]], Iterable[Any]],
    preserves_partitioning: bool = False,
) -> Stream:
    """Return a stream of what ``f(records of a partition)`` gives, for every partition.

    For work that costs less once per partition than once per record, such as opening a
    connection.

    Example:
        >>> from livebatch.testing import run
        >>> run(lambda s: s.repartition(1).map_partitions(lambda rows: [sum(rows)]), [[1, 2]])
        [[3]]
    """
    return lift(self, "map_partitions", ship(f), preserves_partitioning)


@operator
def map_partitions_with_index(
    self: Stream,
    f: Callable[[int, Iterable[Any]], Iterable[Any]],
    preserves_partitioning: bool = False,
) -> Stream:
    """Return a stream of what ``f(index of a partition, its records)`` gives, for every partition.

    Example:
        >>> from livebatch.testing import run
        >>> run(lambda s: s.repartition(2).map_partitions_with_index(
        ...     lambda index, rows: [(index, sum(rows))]), [[1, 2]])
        [[(0, 1), (1, 2)]]
    """
    return lift(self, "map_partitions_with_index", ship(f), preserves_partitioning)


@operator
def map_values(self: Stream, f: Callable[[Any], Any]) -> Stream:
    """Apply ``f`` to the value of every (key, value) record; keys stay where they are.

    Example:
        >>> from livebatch.testing import run
        >>> run(lambda prices: prices.map_values(round), [[("tea", 1.2)]])
        [[('tea', 1)]]
    """
    return lift(self, "map_values", ship(f))


@operator
def flat_map_values(self: Stream, f: Callable[[Any], Iterable[Any]]) -> Stream:
    """Pair the key of every (key, value) record with each item of ``f(value)``.

    Example:
        >>> from livebatch.testing import run
        >>> run(lambda texts: texts.flat_map_values(str.split), [[(1, "to be")]])
        [[(1, 'to'), (1, 'be')]]
    """
    return lift(self, "flat_map_values", ship(f))


@operator
def union(self: Stream, *others: Stream) -> Stream:
    """Return a stream of the records of this one and of the others.

    Example:
        >>> from livebatch.testing import run
        >>> run(lambda s: s.union(s.map(abs)), [[-1]])
        [[-1, 1]]

    Raises:
        DefinitionError: the streams have different slides.
    """
    streams = [self, *others]
    return Lifted(streams, same_slide(streams, "union"), "union")


@operator
def repartition(self: Stream, num_partitions: int) -> Stream:
    """Divide the records of each batch evenly over so many partitions.

    Example:
        >>> from livebatch.testing import run
        >>> run(lambda s: s.repartition(2).glom().map(len), [[1, 2, 3, 4]])
        [[2, 2]]
    """
    return lift(self, "repartition", check_count(num_partitions))


@operator
def glom(self: Stream) -> Stream:
    """Return a stream with one record for each partition: the list of its records.

    Example:
        >>> from livebatch.testing import run
        >>> run(lambda s: s.repartition(1).glom(), [[1, 2]])
        [[[1, 2]]]
    """
    return lift(self, "glom")


@operator
def reduce(self: Stream, func: Callable[[Any, Any], Any]) -> Stream:
    """Merge the records of each batch into one, with an associative, commutative function.

    An empty batch stays empty.

    Example:
        >>> from livebatch.testing import run
        >>> run(lambda latencies: latencies.reduce(max), [[3, 5], []])
        [[5], []]
    """
    return _to_one(self, builtin(run.reduce_rows, ship(func)))


@operator
def count(self: Stream) -> Stream:
    """Return a stream of one number for each batch: how many records it has, 0 included.

    Example:
        >>> from livebatch.testing import run
        >>> run(lambda s: s.count(), [["a", "b"], []])
        [[2], [0]]
    """
    counts = lift(self, "map_partitions", builtin(run.counted))
    return lift(lift(counts, "repartition", 1), "map_partitions", builtin(run.summed))


@operator
def top(self: Stream, num: int, key: Callable[[Any], Any] | None = None) -> Stream:
    """Return a stream of the ``num`` largest records of each batch, largest first.

    Args:
        num: how many.
        key: by what they are compared; without one they are compared themselves.

    Example:
        >>> from livebatch.testing import run
        >>> run(lambda s: s.top(2, key=lambda pair: pair[1]), [[("a", 1), ("b", 3), ("c", 2)]])
        [[('b', 3), ('c', 2)]]
    """
    return _to_one(
        self, builtin(run.largest, check_count(num, "num"), None if key is None else ship(key))
    )


def _to_one(stream: Stream, step: Any) -> Stream:
    """Apply a step to each partition, bring the results together and apply it again."""
    parts = lift(stream, "map_partitions", step)
    return lift(lift(parts, "repartition", 1), "map_partitions", step)
