"""Old batches go to disk when memory runs short."""

from __future__ import annotations

from collections.abc import Iterable

from livebatch.block import BlockStore
from livebatch.events import Batch

FULL, RELIEVED = 0.8, 0.6
"""Past the first share of the budget, old batches go to disk until the second is reached."""


def relieve(store: BlockStore, batches: Iterable[Batch]) -> None:
    """Move old batches to disk if memory runs short.

    Args:
        store: where their blocks lie.
        batches: those that can do without memory.
    """
    excess = store.used() - int(store.budget * RELIEVED)
    if excess <= store.budget * (FULL - RELIEVED):
        return
    freed = 0
    for batch in sorted(batches, key=lambda batch: batch.time):
        freed += sum(store.spill(block) for block in batch.blocks)
        if freed >= excess:
            break
