"""RDDs as records: how lineage travels between processes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import msgspec

from livebatch.block import BlockRef
from livebatch.rdd.base import JobRunner
from livebatch.rdd.dataset import RDD
from livebatch.rdd.operation import AnyOperation, Stored


class RDDRecord(msgspec.Struct, frozen=True, array_like=True):
    """One RDD: its operation, and its parents by id."""

    id: str
    operation: AnyOperation
    parents: tuple[str, ...] = ()
    persisted: bool = False


Lineage: TypeAlias = tuple[RDDRecord, ...]
"""Records in an order in which parents come first; the last is the RDD itself."""


def ancestors(*rdds: RDD[Any]) -> list[RDD[Any]]:
    """Return RDDs and all they come from, each once, parents first."""
    ordered: dict[str, RDD[Any]] = {}
    stack = [(rdd, False) for rdd in rdds]
    while stack:
        node, done = stack.pop()
        if done:
            ordered[node.id] = node
        elif node.id not in ordered:
            stack.append((node, True))
            stack.extend((parent, False) for parent in reversed(node.parents))
    return list(ordered.values())


def operations(rdds: Iterable[RDD[Any]]) -> list[AnyOperation]:
    """Return every operation by which RDDs are computed, or could be computed again."""
    found: list[AnyOperation] = []
    stack, seen = list(rdds), set[int]()
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        for operation, parents in node.origins():
            found.append(operation)
            stack.extend(parents)
    return found


def blocks_of(rdd: RDD[Any]) -> list[BlockRef]:
    """Return the blocks that an RDD lies in; none if it does not lie in any."""
    if not isinstance(rdd.operation, Stored):
        return []
    return [block for split in rdd.operation.blocks for block in split]


def record(rdd: RDD[Any]) -> RDDRecord:
    """Return the record of one RDD."""
    parents = tuple(parent.id for parent in rdd.parents)
    return RDDRecord(rdd.id, rdd.operation, parents, rdd.persisted)


def to_lineage(rdd: RDD[Any]) -> Lineage:
    """Return an RDD with all it comes from as records."""
    return tuple(record(node) for node in ancestors(rdd))


def from_lineage(
    lineage: Sequence[RDDRecord],
    runner: JobRunner | None = None,
    known: dict[str, RDD[Any]] | None = None,
) -> RDD[Any]:
    """Return the RDD that records describe.

    Args:
        lineage: its records, parents first.
        runner: who carries out its actions.
        known: RDDs that exist here already, by id; they are used instead of their records.
    """
    rdds = dict(known or {})
    for item in lineage:
        if item.id not in rdds:
            parents = [rdds[parent] for parent in item.parents]
            rdds[item.id] = RDD(item.operation, parents, runner, id=item.id)
            rdds[item.id].persisted = item.persisted
    return rdds[lineage[-1].id]
