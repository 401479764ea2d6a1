"""Streams of aggregates' states: made of each partition, and brought together by key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from livebatch.closures import Builtin, builtin
from livebatch.frames import counted, run
from livebatch.frames.frame import Frame, Source, given, queried
from livebatch.frames.functions import calling
from livebatch.frames.plan import Plan
from livebatch.interval import Millis
from livebatch.rdd import RDD
from livebatch.rdd.data import all_to_one
from livebatch.rdd.operation import Exchanged
from livebatch.rdd.partitioner import Partitioner
from livebatch.schema import Columns
from livebatch.stream import DStream


class Exchange(Frame):
    """Rows of each partition become states, which are divided by key and merged.

    Params: ``before`` makes the states, ``hashed`` makes them with the hash of their keys beside
    them (None: there are no keys), ``after`` merges or finishes those of a partition.
    """

    def __init__(
        self,
        parents: Sequence[DStream[Any]],
        slide: Millis,
        label: str,
        columns: Columns,
        before: Builtin,
        hashed: Builtin | None,
        after: Builtin,
    ) -> None:
        super().__init__(parents, slide, label, columns, after)
        self.params = (label, columns, before, hashed, after)
        self.before, self.hashed = before, hashed

    def compute(self, time: Millis) -> RDD[Any] | None:
        rows = self.parents[0].rdd_at(time)
        return None if rows is None else self.divided(rows)

    def divided(self, rows: RDD[Any]) -> RDD[Any]:
        """Return what becomes of the rows of a batch."""
        count = rows.parallelism if self.hashed else 1
        by = Partitioner(count, builtin(run.divided, self.id))  # alike are batches of this stream
        if count == 1:
            divide, before = builtin(all_to_one), self.before
        else:
            divide, before = builtin(run.divided, self.hashed, count), None
        return RDD(Exchanged(count, divide, before, self.function, by), [rows])


def states_of(
    source: Source,
    plan: Plan,
    label: str,
    columns: Columns,
    finish: bool,
    in_order: bool = False,
) -> Exchange:
    """Return the stream of what becomes of the rows of each batch by key.

    Args:
        source: the rows.
        plan: how their states are made.
        label: how the user wrote it.
        columns: of the result; empty for states.
        finish: whether states are finished too, or only merged.
        in_order: whether they are counts to be put in the order of their hashes.
    """
    frame = source.frame
    partial = queried(plan.partial, frame.columns, source.statics)
    with_hash = f"SELECT *, hash({plan.keys}) AS part FROM ({plan.partial})"
    hashed = queried(with_hash, frame.columns, source.statics) if plan.keys else None
    after = merging(source, plan, plan.finish if finish else plan.merge)
    if in_order:
        after = builtin(counted.in_order, after)
    return Exchange([frame], frame.slide, label, columns, partial, hashed, after)


def merging(source: Source, plan: Plan, sql: str) -> Builtin:
    """Return the function that merges states by a query."""
    statics = given(source.statics)
    columns = source.frame.columns
    merged = builtin(
        run.merged, sql, plan.states, plan.partial, columns, statics, sql in (plan.merge, run.ALL)
    )
    return calling(f"{plan.partial} UNION ALL {sql}", merged)
