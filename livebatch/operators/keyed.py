"""Operators on (key, value) records, and on records as keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from livebatch.arguments import check_count
from livebatch.closures import ship
from livebatch.stream import (
    DStream,
    lift,
    lift_two,
    operator,
)

Stream = DStream[Any]


@operator
def reduce_by_key(
    self: Stream, func: Callable[[Any, Any], Any], num_partitions: int | None = None
) -> Stream:
    """Merge the values of each key of a batch with an associative, commutative function.

    Args:
        func: takes two values, gives one.
        num_partitions: how many partitions the result has; the number of workers if not told.

    Example:
        >>> from livebatch.testing import run
        >>> run(lambda s: s.reduce_by_key(lambda a, b: a + b), [[("a", 1), ("a", 2)]])
        [[('a', 3)]]
    """
    return lift(self, "reduce_by_key", ship(func), check_count(num_partitions))


@operator
def combine_by_key(
    self: Stream,
    create_combiner: Callable[[Any], Any],
    merge_value: Callable[[Any, Any], Any],
    merge_combiners: Callable[[Any, Any], Any],
    num_partitions: int | None = None,
) -> Stream:
    """Fold the values of each key of a batch into one, first within partitions, then across.

    Example:
        >>> from livebatch.testing import run
        >>> run(lambda s: s.combine_by_key(lambda v: [v], lambda c, v: [*c, v], lambda a, b: a + b),
        ...     [[("a", 1), ("a", 2)]])
        [[('a', [1, 2])]]
    """
    functions = [ship(f) for f in (create_combiner, merge_value, merge_combiners)]
    return lift(self, "combine_by_key", *functions, check_count(num_partitions))


@operator
def group_by_key(self: Stream, num_partitions: int | None = None) -> Stream:
    """Collect the values of each key of a batch into a list.

    Example:
        >>> from livebatch.testing import run
        >>> run(lambda s: s.group_by_key(), [[("a", 1), ("a", 2)]])
        [[('a', [1, 2])]]
    """
    return lift(self, "group_by_key", check_count(num_partitions))


@operator
def partition_by(
    self: Stream,
    num_partitions: int | None = None,
    partition_func: Callable[[Any], int] | None = None,
) -> Stream:
    """Divide (key, value) records by key, with a hash that all processes agree on.

    Example:
        >>> from livebatch.testing import run
        >>> run(lambda s: s.partition_by(2, lambda key: key).glom(), [[(0, "a"), (1, "b")]])
        [[[(0, 'a')], [(1, 'b')]]]
    """
    function = None if partition_func is None else ship(partition_func)
    return lift(self, "partition_by", check_count(num_partitions), function)


@operator
def count_by_value(self: Stream, num_partitions: int | None = None) -> Stream:
    """Return a stream of (record, how often it occurs in the batch).

    Example:
        >>> from livebatch.testing import run
        >>> run(lambda words: words.count_by_value(1), [["a", "b", "a"]])
        [[('a', 2), ('b', 1)]]
    """
    return lift(self, "value_counts", check_count(num_partitions))


@operator
def cogroup(self: Stream, other: Stream, num_partitions: int | None = None) -> Stream:
    """Return a stream of (key, (values here, values there)) for every key of a batch of either.

    Args:
        other: a stream of (key, value) records with the same slide.
        num_partitions: how many partitions the result has; the number of workers if not told.

    Example:
        >>> from livebatch.testing import run
        >>> run(lambda s: s.cogroup(s.map_values(str)), [[("a", 1)]])
        [[('a', ([1], ['1']))]]

    Raises:
        DefinitionError: the streams have different slides.
    """
    return lift_two(self, other, "cogroup", check_count(num_partitions))


@operator
def join(self: Stream, other: Stream, num_partitions: int | None = None) -> Stream:
    """Return a stream of (key, (value here, value there)) for every pair of values that a key has
    in the batches of one time.

    Args:
        other: a stream of (key, value) records with the same slide.
        num_partitions: how many partitions the result has; the number of workers if not told.

    Example:
        >>> from livebatch.testing import run
        >>> ages = {"ann": 40, "bob": 50}
        >>> run(lambda s: s.join(s.map(lambda pair: (pair[0], ages[pair[0]]))), [[("ann", "hi")]])
        [[('ann', ('hi', 40))]]

    Raises:
        DefinitionError: the streams have different slides.
    """
    return lift_two(self, other, "join", check_count(num_partitions))


@operator
def left_outer_join(self: Stream, other: Stream, num_partitions: int | None = None) -> Stream:
    """Join as `join` does, with (value here, None) for keys that only this stream's batch has.

    Example:
        >>> from livebatch.testing import run
        >>> run(lambda s: s.left_outer_join(s.filter(lambda pair: pair[1] > 1)), [[("a", 1)]])
        [[('a', (1, None))]]

    Raises:
        DefinitionError: the streams have different slides.
    """
    return lift_two(self, other, "left_outer_join", check_count(num_partitions))


@operator
def right_outer_join(self: Stream, other: Stream, num_partitions: int | None = None) -> Stream:
    """Join as `join` does, with (None, value there) for keys that only the other's batch has.

    Example:
        >>> from livebatch.testing import run
        >>> run(lambda s: s.filter(lambda pair: pair[1] > 1).right_outer_join(s), [[("a", 1)]])
        [[('a', (None, 1))]]

    Raises:
        DefinitionError: the streams have different slides.
    """
    return lift_two(self, other, "right_outer_join", check_count(num_partitions))


@operator
def full_outer_join(self: Stream, other: Stream, num_partitions: int | None = None) -> Stream:
    """Join as `join` does, with None for the value that is missing on either side.

    Example:
        >>> from livebatch.testing import run
        >>> run(lambda s: s.filter(lambda pair: pair[1] > 1).full_outer_join(s), [[("a", 1)]])
        [[('a', (None, 1))]]

    Raises:
        DefinitionError: the streams have different slides.
    """
    return lift_two(self, other, "full_outer_join", check_count(num_partitions))
