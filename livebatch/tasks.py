"""Tasks, and what comes of them, as typed records."""

from __future__ import annotations

from typing import ClassVar, TypeAlias

import msgspec

from livebatch.accumulator import Piece
from livebatch.block import BlockRef
from livebatch.closures import Function
from livebatch.events import BadRecords, Message
from livebatch.failure import Failure
from livebatch.rdd.operation import AnyOperation, Exchanged, Shuffled
from livebatch.taskcontext import Attempt


class Step(msgspec.Struct, frozen=True, array_like=True):
    """One node of a task: rows of blocks, or an operation on the rows of earlier steps."""

    operation: AnyOperation | None
    split: int
    inputs: tuple[int, ...] = ()
    blocks: tuple[BlockRef, ...] = ()


class Divide(msgspec.Struct, frozen=True, tag=True):
    """Write the rows for the partitions of a shuffle."""

    shuffle: Shuffled | Exchanged


class Keep(msgspec.Struct, frozen=True, tag=True):
    """Write the rows as a block."""


class Answer(msgspec.Struct, frozen=True, tag=True):
    """Apply a function to the rows and return its result."""

    function: Function


Purpose: TypeAlias = Divide | Keep | Answer


class Task(Message, frozen=True):
    """One partition's worth of work.

    Attributes:
        id: unique, also over attempts; the block it writes has the same.
        steps: what it computes, in order; the last is the result.
        purpose: what becomes of the rows.
        strict: fail at the first record that a function raises on.
        attempt: what user code may know of it.
        pieces: into about so many its rows are cut, to take less memory, if that can be.
    """

    id: str
    steps: tuple[Step, ...]
    purpose: Purpose
    strict: bool = False
    attempt: Attempt = Attempt(0, 0, 0)
    pieces: int = 1


class Done(Message, frozen=True):
    """A task was carried out.

    Attributes:
        block: what it wrote.
        answer: the pickled result of its function.
        bad: records that were left out.
        rows: how many rows it read from blocks, about.
        seconds: how long it ran.
        output: what user code printed and logged meanwhile.
        added: what it added to accumulators, by their ids.
    """

    carries_code: ClassVar[bool] = False
    task: str
    block: BlockRef | None = None
    answer: bytes | None = None
    bad: BadRecords | None = None
    rows: int = 0
    seconds: float = 0.0
    output: str = ""
    added: dict[str, Piece] = msgspec.field(default_factory=dict)


class Failed(Message, frozen=True):
    """A task raised.

    Attributes:
        lost: the id of the block it missed, if that was it.
        memory: whether it was memory that it lacked.
    """

    task: str
    failure: Failure
    lost: str | None = None
    output: str = ""
    memory: bool = False


class Lost(Message, frozen=True):
    """The worker that ran a task is gone, and writes no more.

    Attributes:
        reason: what became of it.
        memory: whether it was memory that it lacked.
    """

    task: str
    reason: str = "died"
    memory: bool = False


Outcome: TypeAlias = Done | Failed | Lost
