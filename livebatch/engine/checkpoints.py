"""Checkpoints: a folder from which an engine can go on after it died.

It holds snapshots, the log since the older of the two that are kept, the code of functions, and
blocks that could not be had again. All are files that are written once. ::

    snapshots/000000000000007      log/000000000000123-Allocated      code/DIGEST
    packs/000000000000007          copies/000000000000123-Allocated   blocks/ID

Snapshots are put together by the engine, between two batches, and written by a thread. One counts
when its file is there, after all that it refers to; until then the one before does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from livebatch.block import BlockRef, BlockStore, Encoded
from livebatch.clock import stopwatch
from livebatch.closures import digests
from livebatch.engine.codefiles import CodeFiles
from livebatch.engine.core import Engine
from livebatch.engine.files import Damaged, Files
from livebatch.engine.inuse import InUse
from livebatch.engine.lineages import Lineages
from livebatch.engine.log import Allocated, Entry, FileLog
from livebatch.engine.snapshot import Snapshot, blocks_in, code_of, snapshot_of
from livebatch.errors import BlockLost, EngineError
from livebatch.events import CheckpointStatus, Recovery
from livebatch.filesystems import is_uri, reason, within
from livebatch.interval import Millis
from livebatch.rdd.operation import Stored

_log = logging.getLogger(__name__)

RARELY = 20
"""Putting a snapshot together takes at most one part in so many of the engine's time."""

Run = Callable[[Callable[[], None]], "Future[None]"]
Spare = Callable[[BlockRef], Encoded]


class _Packed(msgspec.Struct, frozen=True, array_like=True):
    """Where a small block lies: in which pack, from which byte on."""

    pack: int
    start: int


class _Written(msgspec.Struct, frozen=True):
    """A snapshot as a file, with the places of small blocks, and which files blocks lie in."""

    number: int
    snapshot: Snapshot
    packed: dict[str, _Packed]
    blocks: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """What an engine goes on from.

    Attributes:
        snapshot: the newest that can be read.
        entries: of the log, since then.
        blocks: those of the snapshot that are there, by id.
        lost: blocks of input, by id, that batches since then had and that are not there.
    """

    snapshot: Snapshot
    entries: list[Entry]
    blocks: Mapping[str, BlockRef]
    lost: frozenset[str]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Written)


def at_once(work: Callable[[], None]) -> Future[None]:
    """Do something now; return what came of it."""
    future: Future[None] = Future()
    try:
        work()
        future.set_result(None)
    except Exception as error:
        future.set_exception(error)
    return future


class Checkpoints:
    """The checkpoints of one engine.

    Args:
        folder: its path or URI.
        every: how often a snapshot is taken, in milliseconds.
        durable: whether the folder is to outlive the machine's memory: files are forced to the
            disk, and blocks in shared memory that could not be had again are copied.
        run: has snapshots written.
        alone: whether to refuse a folder that another engine uses; of URIs that is not known.

    Raises:
        EngineError: another engine uses the folder.
        OSError: it cannot be written.

    Attributes:
        log: the log of batches.
        taken: the time of the batch after which the newest snapshot was taken.
        trouble: why the last one could not be written, in words; else empty.
        recovery: how the engine went on from one, if it did.
    """

    def __init__(
        self,
        folder: str,
        every: Millis,
        durable: bool = True,
        run: Run = at_once,
        alone: bool = False,
    ) -> None:
        self.folder, self._every, self._durable, self._run = folder, every, durable, run
        self._code = CodeFiles(Files(within(folder, "code"), durable))
        self.log = FileLog(folder, durable, self._code)
        self._snapshots = Files(within(folder, "snapshots"), durable)
        self._packs = Files(within(folder, "packs"), durable)
        self._blocks = Files(within(folder, "blocks"), durable)
        self._mark = InUse(folder) if alone and not is_uri(folder) else None
        self._number = max(map(int, self._snapshots.names()), default=0)
        self._kept: dict[str, Any] = {}
        self._newest: _Written | None = None
        self._before: _Written | None = None
        self._writing: Future[None] | None = None
        self._due: Millis = 0
        self._held: list[tuple[frozenset[str], Millis]] = []
        self.taken: Millis | None = None
        self.trouble = ""
        self.recovery: Recovery | None = None

    def status(self) -> CheckpointStatus:
        """Return how they are doing."""
        return CheckpointStatus(self.folder, self.taken, self.trouble, self.recovery)

    # -- taking them -------------------------------------------------------------------------

    def keep_up(self, engine: Engine) -> None:
        """Take a snapshot if it is time; the engine is between two batches."""
        if self._writing is not None:
            if not self._writing.done():
                return
            self._finish(engine)
        if engine.tick is not None and engine.tick >= self._due:
            begun = stopwatch()
            self.take(engine)
            taken = round((stopwatch() - begun) * 1000)
            self._due = engine.tick + max(self._every, taken * RARELY)

    def take(self, engine: Engine) -> None:
        """Take a snapshot now; the engine is between two batches."""
        lineages = Lineages(self._durable, self._kept)
        snapshot = snapshot_of(engine, lineages, self.log.number)
        self._kept = lineages.kept
        known = {} if self._newest is None else self._newest.packed
        fresh = {id: data for id, data in lineages.inline.items() if id not in known}
        packed = {id: place for id, place in known.items() if id in lineages.inline}
        self._number += 1
        start = 0
        for id, data in fresh.items():
            packed[id] = _Packed(self._number, start)
            start += len(data)
        files = {*lineages.needed} if self._durable else set()
        written = _Written(self._number, snapshot, packed, tuple(sorted(files)))
        # In this thread: what is not needed any more may be freed later.
        self._code.begin(self._number)
        try:
            self._code.write(digests(code_of(snapshot)))
        except OSError as error:
            self._failed(error)
            return
        number, needed, store = self._number, lineages.needed, engine.executor.store
        self._held = [*self._held, (frozenset(lineages.records), engine.now)]
        self.hold(engine)
        self._before, self._newest = self._newest, written
        self.taken = None if engine.tick is None else engine.now
        self._writing = self._run(
            lambda: self._write(number, written, list(fresh.values()), needed, store)
        )

    def finish(self, engine: Engine) -> None:
        """Wait until the snapshot that is being written is there."""
        if self._writing is not None:
            self._writing.exception()
            self._finish(engine)

    def close(self) -> None:
        """Leave the folder to others."""
        if self._mark is not None:
            self._mark.end()

    def _finish(self, engine: Engine) -> None:
        assert self._writing is not None
        error, self._writing = self._writing.exception(), None
        if error is not None:
            self._newest, self._before = self._before, None
            self._held.pop()
            self._failed(error)
        else:
            self.trouble = ""
            self._held = self._held[-2:]
            self._code.keep_since(self._number - 1)
        self.hold(engine)

    def hold(self, engine: Engine) -> None:
        """Have the engine keep what it would need to go on from any snapshot that there is."""
        engine.keeping.pinned = frozenset().union(*(ids for ids, _ in self._held))
        engine.keeping.since = self._held[0][1] if self._held else None

    def _failed(self, error: BaseException) -> None:
        said = reason(error) if isinstance(error, OSError) else str(error)
        self.trouble = f"no checkpoint could be written: {said}"
        _log.warning("%s", self.trouble)

    def _write(
        self,
        number: int,
        written: _Written,
        fresh: list[bytes],
        needed: Mapping[str, BlockRef],
        store: BlockStore,
    ) -> None:
        there = set(self._blocks.names())
        if self._durable:
            for id, block in needed.items():
                if id not in there:
                    self._blocks.write(id, store.get(block))
        if fresh:
            self._packs.write(_name(number), *fresh)
        self._snapshots.write(_name(number), _encoder.encode(written))
        self._prune(number, there)

    def _prune(self, number: int, there: set[str]) -> None:
        """Remove what neither this snapshot nor the one before it needs."""
        before = self._before
        kept = [written for written in (self._newest, before) if written is not None]
        numbers = {written.number for written in kept}
        self._snapshots.delete([n for n in self._snapshots.names() if int(n) not in numbers])
        packs = {place.pack for written in kept for place in written.packed.values()}
        self._packs.delete([name for name in self._packs.names() if int(name) not in packs])
        self._blocks.delete(there.difference(*(written.blocks for written in kept)))
        if before is not None:
            self.log.forget(before.snapshot.entry)

    # -- going on from them ------------------------------------------------------------------

    def find(self) -> Snapshot | None:
        """Return the newest snapshot that can be read, if there is one.

        Raises:
            EngineError: it was written by a version that is too different; or there are some, and
                none can be read.
        """
        damaged: list[str] = []
        for name in reversed(self._snapshots.names()):
            try:
                self._newest = _decoder.decode(self._snapshots.read(name))
            except (Damaged, msgspec.DecodeError) as error:
                _log.warning("a checkpoint is damaged, so the one before it is used: %s", error)
                damaged.append(name)
                continue
            kept = self._newest.snapshot
            kept.versions.check(self.folder, (node.record.kind for node in kept.nodes))
            self._snapshots.delete(damaged)
            self._code.begin(int(name))
            self._code.load()
            return self._newest.snapshot
        if damaged and self.log.number:  # without a log, the first one was being written
            raise EngineError(
                f"no checkpoint in {self.folder} can be read, all are damaged: bring the files "
                "back from a copy, or give another folder to start anew"
            )
        return None

    def read(self, store: BlockStore, spare: Spare) -> Found:
        """Return what to go on from; blocks that are missing in the store are put back there, and
        what nothing refers to is removed from it.

        `find` has found it.

        Args:
            spare: gives blocks of input that lie elsewhere, too.
        """
        assert self._newest is not None
        snapshot = self._newest.snapshot
        if snapshot.tick is not None:
            ids = frozenset(kept.id for kept in snapshot.rdds)
            self._held = [(ids, snapshot.tick - snapshot.batch)]
        entries = list(self.log.read(snapshot.entry))
        self.log.cut(snapshot.entry + len(entries))
        inputs = {block.id: block for entry in entries for block in _blocks_of(entry)}
        store.keep_only({*inputs, *blocks_in(snapshot)})
        found = self._put_back(self._newest, store, spare)
        lost = {id for id, block in inputs.items() if not _there(store, block, spare)}
        if lost:
            _log.warning("%d blocks of input are gone, and what they held is lost", len(lost))
        return Found(snapshot, entries, found, frozenset(lost))

    def _put_back(self, written: _Written, store: BlockStore, spare: Spare) -> dict[str, BlockRef]:
        found: dict[str, BlockRef] = {}
        pack = cache(lambda number: self._packs.read(_name(number)))
        for id, block in blocks_in(written.snapshot).items():
            there = block if block.inline is not None else _there(store, block, spare)
            if there is not None:
                found[id] = there
                continue
            try:
                place = written.packed.get(id)
                data = (
                    self._blocks.read(id)
                    if place is None
                    else pack(place.pack)[place.start : place.start + block.nbytes]
                )
            except (FileNotFoundError, Damaged) as error:
                if isinstance(error, Damaged):
                    _log.warning("a block of the checkpoint is gone: %s", error)
                continue
            found[id] = store.put(_encoded(block, data), id)
        return found


def _blocks_of(entry: Entry) -> list[BlockRef]:
    """Return the blocks in files that an entry says a batch has been given."""
    lineages = entry.inputs.values() if isinstance(entry, Allocated) else ()
    stored = [item.operation for lineage in lineages for item in lineage]
    blocks = [b for one in stored if isinstance(one, Stored) for split in one.blocks for b in split]
    return [block for block in blocks if block.inline is None]


def _there(store: BlockStore, block: BlockRef, spare: Spare) -> BlockRef | None:
    """Return a block as it is in a store, where it is put if there is a spare one, or small enough
    to travel along; None if it is nowhere."""
    try:
        store.get(block)
    except BlockLost:
        try:
            return store.put(spare(block), block.id)
        except BlockLost:
            return None
    return block


def _encoded(block: BlockRef, data: memoryview) -> Encoded:
    return Encoded(block.format, block.rows, [bytes(data)], block.index, block.keys)


def _name(number: int) -> str:
    return f"{number:015}"
