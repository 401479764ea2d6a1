"""What an engine is told when it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from livebatch.block import BlockRef
from livebatch.closures import Function
from livebatch.errors import NotRunning
from livebatch.interval import Millis


@dataclass(frozen=True)
class Config:
    """What an engine is told when it starts.

    Attributes:
        batch: the batch interval, in milliseconds.
        strict: fail a batch at the first record that a function raises on.
        name: of the engine.
        urgency: of its batches among all jobs; what is lower comes first.
    """

    batch: Millis
    strict: bool = False
    name: str = ""
    urgency: int = 0


@dataclass(frozen=True)
class PlanOnly:
    """The runner of RDDs that only the engine sees: it knows how many partitions to make."""

    default_parallelism: int
    checkpoint_dir: str | None = None

    def run(self, rdd: Any, action: Function, splits: Sequence[int] | None) -> list[Any]:
        raise NotRunning("the engine runs no actions itself")

    def checkpoint(self, rdd: Any) -> None:
        raise NotRunning("the engine writes no checkpoints of RDDs itself")

    def keep(self, rdd: Any) -> Sequence[BlockRef]:
        raise NotRunning("the engine keeps what its streams persist itself")

    def release(self, rdd: Any) -> None:
        raise NotRunning("the engine releases what its streams persist itself")
