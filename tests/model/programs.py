"""Programs over batch RDDs, made at random, that plain Python can carry out too.

Every dataset holds (key, number) pairs, so that any operation can follow any other. A program is
a list of steps, each of which makes a dataset of one or two that are there already: a graph in
which datasets are shared.
"""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add, itemgetter
from typing import Any, TypeAlias

from hypothesis import strategies as st

from livebatch.rdd import RDD

Rows: TypeAlias = list[tuple[Any, int]]

KEYS = st.sampled_from([0, 1, 1.0, True, -0.0, 2.5, None, "a", "ß", (1, "x"), (1.0, "x"), b"a"])
ROWS = st.lists(st.tuples(KEYS, st.integers(-9, 9)), max_size=8)
MOST = 300
"""A step that would give more rows than this is left out."""


@dataclass(frozen=True)
class Operation:
    """One thing that can be done, on RDDs and on lists.

    Attributes:
        on_rdds: takes RDDs and a number of partitions.
        on_lists: takes lists.
    """

    on_rdds: Callable[..., RDD[Any]]
    on_lists: Callable[..., Rows]
    arity: int = 1


def groups(rows: Rows) -> dict[Any, list[int]]:
    found: defaultdict[Any, list[int]] = defaultdict(list)
    for key, value in rows:
        found[key].append(value)
    return dict(found)


def joined(left: Rows, right: Rows, fill_left: bool, fill_right: bool) -> Rows:
    here, there = groups(left), groups(right)
    found = []
    for key in {**here, **there}:
        if (key in here or fill_left) and (key in there or fill_right):
            pairs = [(a, b) for a in here.get(key, [None]) for b in there.get(key, [None])]
            found += [(key, together(pair)) for pair in pairs]
    return found


def together(pair: tuple[Any, Any]) -> int:
    """Tell (a, b), (a, None) and (None, b) from each other."""
    a, b = pair
    return 3 * (50 if a is None else a) - (70 if b is None else b)


def totals(sides: Sequence[Any]) -> int:
    return together((sum(sides[0]), sum(sides[1])))


def folded(rows: Rows) -> Rows:
    return [(key, sum(values)) for key, values in groups(rows).items()]


ONE: dict[str, Operation] = {
    "map": Operation(
        lambda r, n: r.map(lambda kv: (kv[0], kv[1] + 1)),
        lambda rows: [(k, v + 1) for k, v in rows],
    ),
    "filter": Operation(
        lambda r, n: r.filter(lambda kv: kv[1] % 3), lambda rows: [r for r in rows if r[1] % 3]
    ),
    "flat_map": Operation(
        lambda r, n: r.flat_map(lambda kv: [kv] * (kv[1] % 3)),
        lambda rows: [row for row in rows for _ in range(row[1] % 3)],
    ),
    "map_values": Operation(
        lambda r, n: r.map_values(lambda v: -v), lambda rows: [(k, -v) for k, v in rows]
    ),
    "flat_map_values": Operation(
        lambda r, n: r.flat_map_values(lambda v: [v, v + 1]),
        lambda rows: [(k, w) for k, v in rows for w in (v, v + 1)],
    ),
    "map_partitions": Operation(
        lambda r, n: r.map_partitions(lambda rows: [(k, v * 2) for k, v in rows]),
        lambda rows: [(k, v * 2) for k, v in rows],
    ),
    "key_by": Operation(
        lambda r, n: r.key_by(lambda kv: kv[1] % 4).map_values(itemgetter(1)),
        lambda rows: [(v % 4, v) for _, v in rows],
    ),
    "group_by_key": Operation(lambda r, n: r.group_by_key(n).map_values(sum), folded),
    "reduce_by_key": Operation(lambda r, n: r.reduce_by_key(add, n), folded),
    "combine_by_key": Operation(lambda r, n: r.combine_by_key(lambda v: v, add, add, n), folded),
    "fold_by_key": Operation(lambda r, n: r.fold_by_key(0, add, n), folded),
    "aggregate_by_key": Operation(
        lambda r, n: r.aggregate_by_key((), lambda c, v: (*c, v), add, n).map_values(sum), folded
    ),
    "group_by": Operation(
        lambda r, n: r.group_by(lambda kv: kv[1] % 2, n).map_values(len),
        lambda rows: [(k, len(v)) for k, v in groups([(v % 2, v) for _, v in rows]).items()],
    ),
    "distinct": Operation(lambda r, n: r.distinct(n), lambda rows: list(dict.fromkeys(rows))),
    "sort_by": Operation(lambda r, n: r.sort_by(itemgetter(1), False, n), lambda rows: list(rows)),
    "sort_by_key": Operation(
        lambda r, n: r.map(lambda kv: (kv[1], kv[1])).sort_by_key(num_partitions=n),
        lambda rows: [(v, v) for _, v in rows],
    ),
    "zip_with_index": Operation(
        lambda r, n: r.zip_with_index().map(lambda row: ("at", row[1])),
        lambda rows: [("at", i) for i in range(len(rows))],
    ),
    "zip": Operation(
        lambda r, n: r.zip(r).map(lambda two: (two[0][0], two[1][1])), lambda rows: list(rows)
    ),
    "glom": Operation(lambda r, n: r.glom().flat_map(list), lambda rows: list(rows)),
    "coalesce": Operation(lambda r, n: r.coalesce(n or 2), lambda rows: list(rows)),
    "repartition": Operation(lambda r, n: r.repartition(n or 3), lambda rows: list(rows)),
    "partition_by": Operation(lambda r, n: r.partition_by(n), lambda rows: list(rows)),
    "sample": Operation(lambda r, n: r.sample(False, 1.0), lambda rows: list(rows)),
    "persist": Operation(lambda r, n: r.persist(), lambda rows: list(rows)),
}

TWO: dict[str, Operation] = {
    "union": Operation(lambda a, b, n: a.union(b), add, 2),
    "join": Operation(
        lambda a, b, n: a.join(b, n).map_values(together),
        lambda a, b: joined(a, b, False, False),
        2,
    ),
    "left_outer_join": Operation(
        lambda a, b, n: a.left_outer_join(b, n).map_values(together),
        lambda a, b: joined(a, b, False, True),
        2,
    ),
    "right_outer_join": Operation(
        lambda a, b, n: a.right_outer_join(b, n).map_values(together),
        lambda a, b: joined(a, b, True, False),
        2,
    ),
    "full_outer_join": Operation(
        lambda a, b, n: a.full_outer_join(b, n).map_values(together),
        lambda a, b: joined(a, b, True, True),
        2,
    ),
    "cogroup": Operation(
        lambda a, b, n: a.cogroup(b, num_partitions=n).map_values(totals),
        lambda a, b: [
            (k, totals((groups(a).get(k, []), groups(b).get(k, []))))
            for k in {**groups(a), **groups(b)}
        ],
        2,
    ),
    "subtract_by_key": Operation(
        lambda a, b, n: a.subtract_by_key(b, n),
        lambda a, b: [row for row in a if row[0] not in groups(b)],
        2,
    ),
    "subtract": Operation(
        lambda a, b, n: a.subtract(b, n), lambda a, b: [row for row in a if row not in b], 2
    ),
    "intersection": Operation(
        lambda a, b, n: a.intersection(b, n),
        lambda a, b: [row for row in dict.fromkeys(a) if row in b],
        2,
    ),
    "cartesian": Operation(
        lambda a, b, n: a.cartesian(b).map(lambda two: (two[0][0], two[1][1])),
        lambda a, b: [(k, v) for k, _ in a for _, v in b],
        2,
    ),
}

OPERATIONS = {**ONE, **TWO}


@dataclass(frozen=True)
class Step:
    """An operation on earlier datasets."""

    name: str
    sources: tuple[int, ...]
    partitions: int | None


@dataclass(frozen=True)
class Program:
    """Rows to begin with, each divided over some partitions, and steps from there on."""

    inputs: tuple[tuple[Rows, int], ...]
    steps: tuple[Step, ...]

    def on_lists(self) -> list[Rows]:
        """Return all datasets of the program, in plain Python."""
        made = [rows for rows, _ in self.inputs]
        for step in self.steps:
            made.append(OPERATIONS[step.name].on_lists(*(made[i] for i in step.sources)))
        return made

    def on_rdds(self, ssc: Any) -> list[RDD[Any]]:
        """Return all datasets of the program, as RDDs."""
        made = [ssc.parallelize(rows, parts) for rows, parts in self.inputs]
        for step in self.steps:
            sources = (made[i] for i in step.sources)
            made.append(OPERATIONS[step.name].on_rdds(*sources, step.partitions))
        return made


@st.composite
def programs(draw: st.DrawFn, most: int = 7) -> Program:
    """Programs of so many steps at most."""
    inputs = draw(st.lists(st.tuples(ROWS, st.integers(1, 4)), min_size=1, max_size=2))
    steps: list[Step] = []
    for _ in range(draw(st.integers(1, most))):
        name = draw(st.sampled_from(sorted(OPERATIONS)))
        source = st.integers(0, len(inputs) + len(steps) - 1)
        sources = tuple(draw(source) for _ in range(OPERATIONS[name].arity))
        step = Step(name, sources, draw(st.none() | st.integers(1, 3)))
        if len(Program(tuple(inputs), (*steps, step)).on_lists()[-1]) <= MOST:
            steps.append(step)
    return Program(tuple(inputs), tuple(steps))


def values(rdd: RDD[Any]) -> RDD[Any]:
    return rdd.map(itemgetter(1))


ACTIONS: dict[str, tuple[Callable[[RDD[Any]], Any], Callable[[Rows], Any]]] = {
    "collect": (lambda r: Counter(r.collect()), Counter),
    "count": (lambda r: r.count(), len),
    "is_empty": (lambda r: r.is_empty(), lambda rows: not rows),
    "take": (lambda r: len(r.take(3)), lambda rows: min(3, len(rows))),
    "top": (
        lambda r: values(r).top(3),
        lambda rows: sorted((v for _, v in rows), reverse=True)[:3],
    ),
    "take_ordered": (
        lambda r: values(r).take_ordered(3),
        lambda rows: sorted(v for _, v in rows)[:3],
    ),
    "count_by_key": (lambda r: r.count_by_key(), lambda rows: Counter(k for k, _ in rows)),
    "count_by_value": (lambda r: r.count_by_value(), Counter),
    "sum": (lambda r: values(r).sum(), lambda rows: sum(v for _, v in rows)),
    "fold": (lambda r: values(r).fold(0, add), lambda rows: sum(v for _, v in rows)),
    "aggregate": (
        lambda r: r.aggregate((0, 0), count_and_add, lambda a, b: (a[0] + b[0], a[1] + b[1])),
        lambda rows: (len(rows), sum(v for _, v in rows)),
    ),
    "reduce": (
        lambda r: None if r.is_empty() else values(r).reduce(max),
        lambda rows: reduce(max, (v for _, v in rows)) if rows else None,
    ),
    "least and most": (
        lambda r: None if r.is_empty() else (values(r).min(), values(r).max()),
        lambda rows: (min(v for _, v in rows), max(v for _, v in rows)) if rows else None,
    ),
    "mean": (
        lambda r: None if r.is_empty() else round(values(r).mean(), 6),
        lambda rows: round(statistics.fmean(v for _, v in rows), 6) if rows else None,
    ),
    "histogram": (
        lambda r: values(r).histogram([-1000, 0, 1000])[1],
        lambda rows: [
            sum(-1000 <= v < 0 for _, v in rows),
            sum(0 <= v <= 1000 for _, v in rows),
        ],
    ),
    "to_arrow": (lambda r: r.to_arrow().num_rows, len),
}


def count_and_add(so_far: tuple[int, int], row: tuple[Any, int]) -> tuple[int, int]:
    return so_far[0] + 1, so_far[1] + row[1]
