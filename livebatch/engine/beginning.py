"""How an engine goes on from checkpoints, or begins to keep them."""

from __future__ import annotations

from collections.abc import Callable

from pyarrow import fs

from livebatch.block import BlockRef, Encoded
from livebatch.engine.checkpoints import Checkpoints, Spare
from livebatch.engine.core import Engine
from livebatch.engine.recovery import missed, recover, skip_missed
from livebatch.errors import BlockLost, EngineError
from livebatch.events import Recovery
from livebatch.filesystems import locate, within


def nothing_spare(block: BlockRef) -> Encoded:
    """Raise `BlockLost`: the block is nowhere else."""
    raise BlockLost(block.id)


def go_on(
    engine: Engine, checkpoints: Checkpoints, skip: bool = False, spare: Spare = nothing_spare
) -> None:
    """Have a new engine go on from the newest checkpoint, if there is one, and take a snapshot of
    where it is.

    Args:
        skip: leave out the batches whose time has passed.
        spare: gives blocks of input that lie elsewhere, too; raises `BlockLost`.
    """
    snapshot = checkpoints.find()
    if snapshot is not None:
        found = checkpoints.read(engine.executor.store, spare)
        checkpoints.hold(engine)
        recover(engine, snapshot, found.blocks, found.entries, found.lost)
        again, late = len({job.time for job in engine.unfinished()}), missed(engine)
        if skip:
            skip_missed(engine)
        checkpoints.recovery = Recovery(engine.clock.now(), again, late, skip and late > 0)
    engine.checkpoints = checkpoints.status
    checkpoints.take(engine)
    engine.resume()


def begin_in(
    make: Callable[[], Checkpoints], engine: Engine, before: Checkpoints | None
) -> Checkpoints:
    """Have a running engine keep checkpoints from now on; return them.

    Raises:
        EngineError: it keeps some already, or there are some in the folder.
    """
    if before is not None:
        raise EngineError(f"this engine keeps its checkpoints in {before.folder} already")
    fresh = make()
    if fresh.find() is not None:
        fresh.close()
        raise EngineError(
            f"there is a checkpoint in {fresh.folder} already: StreamingContext.get_or_create goes "
            "on from it; to start anew, give another folder"
        )
    engine.log, engine.checkpoints = fresh.log, fresh.status
    fresh.take(engine)
    return fresh


def exists(folder: str) -> bool:
    """Return whether there is a checkpoint in a folder."""
    filesystem, place = locate(within(folder, "snapshots"))
    return bool(filesystem.get_file_info(fs.FileSelector(place, allow_not_found=True)))
