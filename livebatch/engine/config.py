"""What an engine is given when it starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from livebatch.block import BlockRef
from livebatch.closures import Function
from livebatch.errors import NotRunning
from livebatch.interval import Millis
from livebatch.stream import Input


@dataclass(frozen=True)
class Config:
    """What an engine is told when it starts.

    Attributes:
        batch: the batch interval, in milliseconds.
        strict: fail a batch at the first record that a function raises on.
        name: of the engine.
        urgency: of its batches among all jobs; what is lower comes first.
        place: the directory of its blocks, if they lie in one.
        backpressure: whether pull sources are limited while batches fall behind.
        buffer: bytes of a push source that may wait, if it is not told.
    """

    batch: Millis
    strict: bool = False
    name: str = ""
    urgency: int = 0
    place: str = ""
    backpressure: bool = True
    buffer: int = 256 << 20


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


class Receivers(Protocol):
    """Where push sources run."""

    def take_up(self, inputs: Sequence[Input[Any]], newest: Mapping[str, str]) -> None:
        """Hand on what lies on disk of these inputs, and came after the newest blocks, by id, that
        are known of each."""

    def keep_only(self, inputs: Sequence[Input[Any]]) -> None:
        """Run the sources of these inputs, and no others."""

    def room(self, stream: str, waiting: int, dropped: int) -> None:
        """Tell a stream's receiver how many bytes of the stream wait, and how many records of it
        have been dropped."""
