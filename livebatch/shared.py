"""Requests about broadcast variables, accumulators and how long batches are remembered."""

from __future__ import annotations

from typing import ClassVar, TypeAlias

from livebatch.accumulator import Piece
from livebatch.closures import Code, Function
from livebatch.events import Message
from livebatch.interval import Millis


class SetBroadcast(Message, frozen=True):
    """Have a broadcast variable have a value from the next batch on.

    Attributes:
        loader: makes a new value, in the driver, ``every`` so many milliseconds.
    """

    id: str
    value: Code
    loader: Function | None = None
    every: Millis = 0


class DropBroadcast(Message, frozen=True):
    """Free the workers' copies of a broadcast variable; ``destroy``: its value, too."""

    id: str
    destroy: bool


class AskBroadcast(Message, frozen=True):
    """Ask for the newest value of a broadcast variable; the reply is a `BroadcastValue`."""

    id: str


class BroadcastValue(Message, frozen=True):
    """The newest value of a broadcast variable; None: it has been destroyed."""

    value: Code | None


class SetAccumulator(Message, frozen=True):
    """Have an accumulator begin with a value.

    Attributes:
        param: how its values are added up; None: as before.
        plain: whether numbers are simply added, which the engine can do itself.
    """

    id: str
    piece: Piece
    param: Function | None = None
    plain: bool = False


class AddToAccumulator(Message, frozen=True):
    """Add to an accumulator, from outside of tasks."""

    once: ClassVar[bool] = True
    id: str
    piece: Piece


class AskAccumulator(Message, frozen=True):
    """Ask for what is to be added up for an accumulator's value; the reply is an `Ok`."""

    id: str


class Remember(Message, frozen=True):
    """Have every stream remember its batches at least so long."""

    duration: Millis


SharedRequest: TypeAlias = (
    SetBroadcast
    | DropBroadcast
    | AskBroadcast
    | BroadcastValue
    | SetAccumulator
    | AddToAccumulator
    | AskAccumulator
    | Remember
)
