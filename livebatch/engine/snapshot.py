"""What an engine must know to go on: its streams and outputs as records, what they remember as
lineage, and which blocks that lies in."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any, NamedTuple

import msgspec

from livebatch._version import __version__
from livebatch.block import BlockRef
from livebatch.closures import Code, Function
from livebatch.errors import EngineError
from livebatch.events import Batch
from livebatch.frames.event_time import OpenWindows
from livebatch.frames.sliding import StatesLevel, StatesWindow
from livebatch.graph import NodeRecord, Output
from livebatch.interval import Millis
from livebatch.rdd import RDD, JobRunner
from livebatch.rdd.operation import AnyOperation, Deferred, Read, Stored
from livebatch.stream import DStream

FORMAT = 1
_RDD = "@rdd"


class Versions(msgspec.Struct, frozen=True):
    """What wrote a snapshot: code and states can only be read by the like of it."""

    format: int = FORMAT
    livebatch: str = __version__
    python: str = ".".join(platform.python_version_tuple()[:2])
    duckdb: str = ""

    @classmethod
    def current(cls) -> Versions:
        """Return this process's."""
        return cls(duckdb=duckdb_version())

    def check(self, where: str, kinds: Iterable[str]) -> None:
        """Check that this process can read what they wrote.

        Args:
            where: the folder.
            kinds: of the streams that are to go on.

        Raises:
            EngineError: it cannot.
        """
        mine = Versions.current()
        if self.duckdb != mine.duckdb and any(map(_has_duckdb_states, kinds)):
            raise EngineError(
                f"the checkpoint in {where} has states that DuckDB {self.duckdb} has made, which "
                f"DuckDB {mine.duckdb} need not understand: go on with that version, or give "
                "another folder to start anew"
            )
        if self.format != mine.format:
            raise EngineError(
                f"the checkpoint in {where} was written by livebatch {self.livebatch}, in a form "
                f"that {mine.livebatch} does not read: go on with that version, or give another "
                "folder to start anew"
            )
        if self.python != mine.python:
            raise EngineError(
                f"the checkpoint in {where} holds functions of Python {self.python}, which Python "
                f"{mine.python} cannot load: go on with that, or give another folder to start anew"
            )


def duckdb_version() -> str:
    """Return the version of DuckDB, which the engine does not load."""
    return metadata.version("duckdb")


def _has_duckdb_states(kind: str) -> bool:
    node = DStream.kinds.get(kind)
    return node is not None and issubclass(node, (StatesLevel, StatesWindow, OpenWindows))


class KeptRDD(msgspec.Struct, frozen=True, array_like=True):
    """An RDD, and how it was computed where that can be done again."""

    id: str
    operation: AnyOperation
    parents: tuple[str, ...]
    persisted: bool
    cuts_lineage: bool
    origin: tuple[AnyOperation, tuple[str, ...]] | None = None


class KeptNode(msgspec.Struct, frozen=True):
    """A stream, and what it remembers; RDDs in that are ``{"@rdd": id}``."""

    record: NodeRecord
    name: str | None
    memory: dict[str, Any]


class KeptOutput(msgspec.Struct, frozen=True):
    """An output and how far it is: settled batches that it keeps, and (time, RDD) of those that
    are still to be made."""

    output: Output
    settled: tuple[tuple[Batch, str], ...]
    waiting: tuple[tuple[Millis, str], ...]
    batches: int
    bad: int
    failures: int
    error: str | None


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """An engine between two batches.

    Attributes:
        entry: the number of the last entry of the log that it knows of.
        slots: how many partitions shuffles make when not told.
        place: the directory of its blocks in shared memory.
        zero: the time before the first batch; None: it has not begun.
        tick: the time of the next batch.
        version, least: of the graph, see `Graph`.
        failed: batches that are still being made and of which an output has failed.
        offsets, received, queues: what inputs have that no batch has got yet.
        newest: the last block received of each push source, by id.
        broadcasts, loaders: values of broadcast variables; how and when they are made anew.
        sums, counted: of accumulators.
        told: blocks of bad records that streams of errors have been given.
    """

    versions: Versions
    entry: int
    batch: Millis
    slots: int
    place: str
    zero: Millis | None
    tick: Millis | None
    version: int
    least: Millis
    nodes: tuple[KeptNode, ...]
    outputs: tuple[KeptOutput, ...]
    rdds: tuple[KeptRDD, ...]
    failed: tuple[Millis, ...]
    offsets: dict[str, Any]
    received: dict[str, tuple[BlockRef, ...]]
    queues: dict[str, tuple[str, ...]]
    newest: dict[str, str]
    broadcasts: dict[str, Code]
    loaders: dict[str, tuple[Function, Millis, Millis]]
    sums: dict[str, Any]
    counted: dict[str, Millis | None]
    told: tuple[str, ...]


def packed(value: Any, refer: Mapping[int, str]) -> Any:
    """Return plain values with the RDDs in them by their ids; what is not known is left out."""
    if isinstance(value, RDD):
        return {_RDD: refer[id(value)]}
    if isinstance(value, Mapping):
        return {k: packed(v, refer) for k, v in value.items() if _known(v, refer)}
    if isinstance(value, (list, tuple)):
        return [packed(item, refer) for item in value]
    return value


def _known(value: Any, refer: Mapping[int, str]) -> bool:
    return not isinstance(value, RDD) or id(value) in refer


def unpacked(value: Any, rdds: Mapping[str, RDD[Any]]) -> Any:
    """Return what was packed; RDDs that there are no more are left out of mappings."""
    if isinstance(value, dict):
        if _RDD in value:
            return rdds[value[_RDD]]
        return {k: unpacked(v, rdds) for k, v in value.items() if not _gone(v, rdds)}
    if isinstance(value, list):
        return [unpacked(item, rdds) for item in value]
    return value


def _gone(value: Any, rdds: Mapping[str, RDD[Any]]) -> bool:
    return isinstance(value, dict) and _RDD in value and value[_RDD] not in rdds


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


def blocks_in(snapshot: Snapshot) -> dict[str, BlockRef]:
    """Return all blocks that a snapshot refers to, by id."""
    stored = [kept.operation for kept in snapshot.rdds if isinstance(kept.operation, Stored)]
    found = {block.id: block for one in stored for split in one.blocks for block in split}
    found.update((block.id, block) for blocks in snapshot.received.values() for block in blocks)
    return found


def code_of(snapshot: Snapshot) -> tuple[Any, ...]:
    """Return the parts of a snapshot that refer to code, without all the batches that are kept."""
    computed = [k for k in snapshot.rdds if k.origin or not isinstance(k.operation, Stored)]
    records = [kept.record for kept in snapshot.nodes]
    outputs = [kept.output for kept in snapshot.outputs]
    return computed, records, outputs, snapshot.broadcasts, snapshot.loaders, snapshot.sums
