"""Every operator in an expression that both a stream and the oracle understand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from operator import add, itemgetter, sub, xor
from typing import Any, NamedTuple

from hypothesis import strategies as st

from livebatch.storage import StorageLevel
from tests.model.strategies import Parameters, gains, keys, numbers, pairs


class Case(NamedTuple):
    """An operator, with the kind of records that it takes."""

    name: str
    rows: st.SearchStrategy[Any]
    build: Callable[[Any, Parameters], Any]


def _keep_or_drop(new: list[int], total: int | None) -> int | None:
    """A state that ends now and then, with new values as well as without."""
    value = (total or 0) + sum(new)
    return None if value > 15 or (not new and value % 3 == 0) else value


counts = itemgetter(1)
"""Of records that occur equally often, any may be among the most frequent."""


def _odd(pairs: Any) -> Any:
    return pairs.filter(lambda pair: pair[1] % 2)


def _even(pairs: Any) -> Any:
    return pairs.filter(lambda pair: not pair[1] % 2)


def _count_or_drop(key: Any, value: int | None, state: Any) -> Any:
    """A state that is not always changed, and ends now and then."""
    if state.is_timing_out():
        return key, "idle", state.get(0)
    total = state.get(0) + value
    if total > 12:
        state.remove()
    elif value % 3:
        state.update(total)
    return (key, total, state.exists()) if value else None


def _with_length(session: Any) -> tuple[Any, Any, float]:
    key, value, start, end = session
    length = end - start
    return key, value, length.total_seconds() if isinstance(length, timedelta) else length


ELEMENTWISE = [
    Case("map", numbers, lambda s, p: s.map(lambda n: n * 2)),
    Case("filter", numbers, lambda s, p: s.filter(lambda n: n % 2)),
    Case("flat_map", numbers, lambda s, p: s.flat_map(lambda n: range(n))),
    Case("map_partitions", numbers, lambda s, p: s.map_partitions(lambda r: (n + 1 for n in r))),
    Case("map_partitions_with_index", numbers,
         lambda s, p: s.map_partitions_with_index(lambda i, rows: (n + 1 for n in rows))),
    Case("persist and checkpoint", numbers,
         lambda s, p: s.map(abs).persist(StorageLevel.MEMORY_ONLY).map(str).cache()
         .checkpoint(f"{2 * p.slide}s").window(p.window)),
    Case("map_values", pairs, lambda s, p: s.map_values(abs)),
    Case("flat_map_values", pairs, lambda s, p: s.flat_map_values(lambda n: [n] * (n % 3))),
    Case("union", keys, lambda s, p: s.union(s.map(lambda k: (k,)), s)),
    Case("repartition", keys, lambda s, p: s.repartition(p.partitions or 5)),
    Case("partition_by", pairs, lambda s, p: s.partition_by(p.partitions)),
    Case("partition_by a function", gains,
         lambda s, p: s.partition_by(p.partitions, lambda key: len(repr(key)))),
    Case("transform", pairs, lambda s, p: s.transform(lambda rdd: rdd.union(rdd.filter(any)))),
    Case("transform_with", pairs,
         lambda s, p: s.transform_with(lambda one, two: one.union(two), s.map_values(abs))),
]  # fmt: skip

WITHIN_A_BATCH = [
    Case("reduce", numbers, lambda s, p: s.reduce(max)),
    Case("count", keys, lambda s, p: s.count()),
    Case("count_by_value", keys, lambda s, p: s.count_by_value(p.partitions)),
    Case("top", st.integers(), lambda s, p: s.top(p.window)),
    Case("top by a key", st.integers(), lambda s, p: s.top(p.window, key=lambda n: -n)),
    Case("reduce_by_key", pairs, lambda s, p: s.reduce_by_key(add, p.partitions)),
    Case("group_by_key", pairs, lambda s, p: s.group_by_key(p.partitions).map_values(sorted)),
    Case("combine_by_key", pairs,
         lambda s, p: s.combine_by_key(
             lambda n: (n, 1),
             lambda mean, n: (mean[0] + n, mean[1] + 1),
             lambda one, two: (one[0] + two[0], one[1] + two[1]),
             p.partitions)),
    Case("keyed operators in a row", pairs,
         lambda s, p: s.reduce_by_key(add, p.partitions).map_values(abs)
         .filter(lambda pair: pair[1] > 2).group_by_key(p.partitions).reduce_by_key(add)),
]  # fmt: skip

JOINS = [
    Case("cogroup", pairs, lambda s, p: s.cogroup(_odd(s), p.partitions).map_values(
        lambda sides: tuple(map(sorted, sides)))),
    Case("join", pairs, lambda s, p: s.join(_odd(s), p.partitions)),
    Case("left_outer_join", pairs, lambda s, p: s.left_outer_join(_odd(s), p.partitions)),
    Case("right_outer_join", pairs, lambda s, p: _odd(s).right_outer_join(s, p.partitions)),
    Case("full_outer_join", pairs, lambda s, p: _even(s).full_outer_join(_odd(s), p.partitions)),
    Case("join of windows", pairs, lambda s, p: s.reduce_by_key_and_window(
        add, sub, p.window, p.slide).join(s.window(p.window, p.slide), p.partitions)),
]  # fmt: skip

WINDOWS = [
    Case("window", keys, lambda s, p: s.window(p.window, p.slide)),
    Case("window of windows", numbers,
         lambda s, p: s.window(p.window, p.slide).map(abs).window(2 * p.slide, 4 * p.slide)),
    Case("count_by_window", keys, lambda s, p: s.count_by_window(p.window, p.slide)),
    Case("reduce_by_window", numbers,
         lambda s, p: s.reduce_by_window(max, None, p.window, p.slide)),
    Case("reduce_by_window with an inverse", numbers,
         lambda s, p: s.reduce_by_window(add, sub, p.window, p.slide)),
    Case("count_by_value_and_window", keys,
         lambda s, p: s.count_by_value_and_window(p.window, p.slide, p.partitions)),
    Case("group_by_key_and_window", pairs,
         lambda s, p: s.group_by_key_and_window(p.window, p.slide, p.partitions)
         .map_values(sorted)),
    Case("reduce_by_key_and_window", pairs,
         lambda s, p: s.reduce_by_key_and_window(min, None, p.window, p.slide, p.partitions)),
    Case("reduce_by_key_and_window, filtered", pairs,
         lambda s, p: s.reduce_by_key_and_window(
             add, None, p.window, p.slide, p.partitions, lambda pair: pair[1] % 2)),
    Case("windows that share partial results", pairs,
         lambda s, p: s.reduce_by_key_and_window(max, None, 2 * p.window, p.slide, p.partitions)
         .union(s.reduce_by_key_and_window(max, None, 3 * p.slide, p.slide, p.partitions))),
    Case("reduce_by_key_and_window with an inverse", pairs,
         lambda s, p: s.reduce_by_key_and_window(
             add, sub, p.window, p.slide, p.partitions)),
    Case("reduce_by_key_and_window with another inverse", gains,
         lambda s, p: s.reduce_by_key_and_window(
             xor, xor, p.window, p.slide, p.partitions)),
    Case("reduce_by_key_and_window with an inverse, filtered", pairs,
         lambda s, p: s.reduce_by_key_and_window(
             add, sub, p.window, p.slide, p.partitions, lambda pair: pair[1] % 3)),
]  # fmt: skip

SKETCHES = [
    Case("count_approx_distinct", keys, lambda s, p: s.count_approx_distinct()),
    Case("count_approx_distinct_by_window", keys,
         lambda s, p: s.count_approx_distinct_by_window(2 * p.window, p.slide)),
    Case("top_k", keys, lambda s, p: s.top_k(p.window).map(counts)),
    Case("top_k_by_window", keys,
         lambda s, p: s.top_k_by_window(p.window, 2 * p.window, p.slide).map(counts)),
]  # fmt: skip

STATE = [
    Case("update_state_by_key", pairs,
         lambda s, p: s.update_state_by_key(lambda new, n: sum(new) + (n or 0), p.partitions)),
    Case("update_state_by_key that drops keys", pairs,
         lambda s, p: s.update_state_by_key(_keep_or_drop, p.partitions)),
    Case("update_state_by_key from an initial state", pairs,
         lambda s, p: s.update_state_by_key(
             _keep_or_drop, p.partitions, [("a", 5), (1, 7), (None, 3)])),
    Case("map_with_state", pairs,
         lambda s, p: s.map_with_state(_count_or_drop, num_partitions=p.partitions)),
    Case("map_with_state with a timeout, from an initial state", pairs,
         lambda s, p: s.map_with_state(
             _count_or_drop, timeout=p.window, initial=[("a", 5), (1, 7), (None, 3)],
             num_partitions=p.partitions)),
    Case("state_snapshots", pairs,
         lambda s, p: s.map_with_state(_count_or_drop, timeout=p.window).state_snapshots()),
    Case("session_window", pairs,
         lambda s, p: s.session_window(p.window, num_partitions=p.partitions).map(_with_length)),
    Case("session_window, aggregated", pairs,
         lambda s, p: s.session_window(p.window, 100, add).map(_with_length)),
    Case("state of a window", pairs,
         lambda s, p: s.window(p.window, p.slide).update_state_by_key(
             lambda new, n: len(new) + (n or 0), p.partitions)),
]  # fmt: skip

CASES = [*ELEMENTWISE, *WITHIN_A_BATCH, *JOINS, *WINDOWS, *SKETCHES, *STATE]
