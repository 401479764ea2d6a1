"""RDDs as a snapshot has them: as lineage, and which blocks that lies in; and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from livebatch.block import BlockRef
from livebatch.rdd import RDD, JobRunner
from livebatch.rdd.operation import AnyOperation, Deferred, Read, Stored


class KeptRDD(msgspec.Struct, frozen=True, array_like=True):
    """An RDD, and how it was computed where that can be done again."""

    id: str
    operation: AnyOperation
    parents: tuple[str, ...]
    persisted: bool
    cuts_lineage: bool
    origin: tuple[AnyOperation, tuple[str, ...]] | None = None


class Lineages:
    """The records of RDDs, and the blocks without which they could not be had again.

    Args:
        durable: the blocks in shared memory may be lost, so what cannot be read or received again
            must be copied: such blocks are collected in `needed`. Otherwise they are there still.
        before: what the last snapshot has recorded of RDDs that are only kept; most are the same.

    Attributes:
        kept: the same of this snapshot.
        records: parents first.
        refer: the id of each recorded RDD, by its identity.
        inline: blocks that travel inside their references, by id; they are kept beside the records.
        needed: blocks in files that are to be copied.
    """

    def __init__(self, durable: bool, before: Mapping[str, _Noted] | None = None) -> None:
        self._durable, self._before = durable, before or {}
        self.kept: dict[str, _Noted] = {}
        self.records: dict[str, KeptRDD] = {}
        self.refer: dict[int, str] = {}
        self.inline: dict[str, bytes] = {}
        self.needed: dict[str, BlockRef] = {}
        self._again: dict[int, bool] = {}

    def add_needed(self, roots: Iterable[RDD[Any]]) -> None:
        """Record RDDs that batches to come are computed from, with all they come from."""
        for rdd in self._ordered(roots):
            if not isinstance(rdd.operation, Stored):
                self._record(rdd, rdd.operation, rdd.parents)
            elif self._durable and self.can_be_had_again(rdd):
                self._record(rdd, self._bare(rdd.operation), (), rdd.origins()[-1])
            else:
                self._record(rdd, self._bare(rdd.operation, needed=True), ())

    def add_kept(self, rdds: Iterable[RDD[Any]]) -> None:
        """Record RDDs that are only kept to be asked for, where they lie in blocks."""
        for rdd in rdds:
            if rdd.id in self.records:
                self.refer[id(rdd)] = rdd.id
            elif isinstance(rdd.operation, Stored):
                noted = self._before.get(rdd.id)
                if noted is None or noted.stored is not rdd.operation:
                    noted = _note(rdd, rdd.operation)
                self.kept[rdd.id], self.records[rdd.id] = noted, noted.record
                self.refer[id(rdd)] = rdd.id
                self.inline.update(noted.inline)

    def can_be_had_again(self, rdd: RDD[Any]) -> bool:
        """Return whether an RDD can be computed from what sources can be asked for again."""
        self._judge(rdd)
        return self._again[id(rdd)]

    def strip(self, block: BlockRef) -> BlockRef:
        """Return a reference without the data that travel inside it."""
        if block.inline is not None:
            self.inline[block.id] = block.inline
        return _bare(block)

    def received(self, block: BlockRef) -> BlockRef:
        """Return a reference to a block that no batch has got yet."""
        bare = self.strip(block)
        if block.inline is None:
            self.needed[block.id] = block
        return bare

    def _ordered(self, roots: Iterable[RDD[Any]]) -> Iterator[RDD[Any]]:
        """Yield RDDs that have not been recorded, parents first."""
        stack = [(rdd, False) for rdd in roots]
        seen: set[int] = set()
        while stack:
            rdd, done = stack.pop()
            if done:
                yield rdd
            elif id(rdd) not in seen and id(rdd) not in self.refer:
                seen.add(id(rdd))
                stack.append((rdd, True))
                stack.extend((parent, False) for parent in self._parents(rdd))

    def _parents(self, rdd: RDD[Any]) -> Sequence[RDD[Any]]:
        if not isinstance(rdd.operation, Stored):
            return rdd.parents
        return rdd.origins()[-1][1] if self._durable and self.can_be_had_again(rdd) else ()

    def _record(
        self,
        rdd: RDD[Any],
        operation: AnyOperation,
        parents: Sequence[RDD[Any]],
        origin: tuple[AnyOperation, tuple[RDD[Any], ...]] | None = None,
    ) -> None:
        self.refer[id(rdd)] = rdd.id
        known = None if origin is None else (origin[0], tuple(p.id for p in origin[1]))
        self.records[rdd.id] = KeptRDD(
            rdd.id, operation, tuple(p.id for p in parents), rdd.persisted, rdd.cuts_lineage, known
        )

    def _bare(self, stored: Stored, needed: bool = False) -> Stored:
        blocks = tuple(tuple(map(self.strip, split)) for split in stored.blocks)
        for split in blocks if needed else ():
            self.needed.update((b.id, b) for b in split if b.id not in self.inline)
        return Stored(blocks, stored.known)

    def _judge(self, rdd: RDD[Any]) -> None:
        stack = [rdd]
        while stack:
            node = stack[-1]
            operation, parents = node.origins()[-1]
            unknown = [p for p in parents if id(p) not in self._again]
            if id(node) in self._again or not unknown or isinstance(operation, Deferred):
                self._again.setdefault(id(node), _comes_again(operation, parents, self._again))
                stack.pop()
            else:
                stack += unknown


class _Noted(NamedTuple):
    """What has been recorded of an RDD, as long as it is stored like this."""

    stored: Stored
    record: KeptRDD
    inline: tuple[tuple[str, bytes], ...]


def _note(rdd: RDD[Any], stored: Stored) -> _Noted:
    blocks = [block for split in stored.blocks for block in split]
    inline = tuple((block.id, block.inline) for block in blocks if block.inline is not None)
    bare = Stored(tuple(tuple(map(_bare, split)) for split in stored.blocks), stored.known)
    record = KeptRDD(rdd.id, bare, (), rdd.persisted, rdd.cuts_lineage)
    return _Noted(stored, record, inline)


def _bare(block: BlockRef) -> BlockRef:
    return block if block.inline is None else msgspec.structs.replace(block, inline=None)


def _comes_again(
    operation: AnyOperation, parents: Sequence[RDD[Any]], again: Mapping[int, bool]
) -> bool:
    if isinstance(operation, (Stored, Deferred)):
        return isinstance(operation, Stored) and not operation.blocks
    return isinstance(operation, Read) or all(again[id(parent)] for parent in parents)


def revived(
    records: Sequence[KeptRDD], blocks: Mapping[str, BlockRef], runner: JobRunner
) -> dict[str, RDD[Any]]:
    """Return the RDDs of records, by id. One whose blocks are not there any more is computed again
    where that can be done, and else left out, with all that is computed from it.

    Args:
        records: parents first.
        blocks: the blocks that are there.
        runner: of the RDDs.
    """
    found: dict[str, RDD[Any]] = {}
    for kept in records:
        whole = _whole(kept.operation, blocks)
        ways = [] if whole is None else [(whole, kept.parents)]
        ways += [kept.origin] if kept.origin is not None else []
        ways = [way for way in ways if all(parent in found for parent in way[1])]
        if ways:
            (operation, parents), *before = ways
            rdd: RDD[Any] = RDD(operation, [found[p] for p in parents], runner, id=kept.id)
            rdd.persisted, rdd.cuts_lineage = kept.persisted, kept.cuts_lineage
            for origin, parents in before:
                rdd.remember_origin(origin, [found[p] for p in parents])
            found[kept.id] = rdd
    return found


def _whole(operation: AnyOperation, there: Mapping[str, BlockRef]) -> AnyOperation | None:
    """Return an operation with its blocks as they are there; None if one is not."""
    if not isinstance(operation, Stored):
        return operation
    if not all(block.id in there for split in operation.blocks for block in split):
        return None
    blocks = tuple(tuple(there[block.id] for block in split) for split in operation.blocks)
    return Stored(blocks, operation.known)
