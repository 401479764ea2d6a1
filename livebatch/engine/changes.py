"""Requests that change what the engine does: logged, then carried out; again when it recovers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, get_args

from livebatch.engine.log import Began, Changed
from livebatch.rdd import RDD, Lineage
from livebatch.shared import (
    AddToAccumulator,
    DropBroadcast,
    Remember,
    SetAccumulator,
    SetBroadcast,
)
from livebatch.wire import Change, Define, Discard, Offer, Pause, Remove

if TYPE_CHECKING:
    from livebatch.engine.core import Engine

CHANGES = get_args(Change)


def make(engine: Engine, request: Change, rdd_of: Callable[[Lineage], RDD[Any]]) -> None:
    """Log a change and carry it out.

    Args:
        rdd_of: gives the RDD of lineage that a client has sent.

    Raises:
        LivebatchError: it cannot be carried out.
        OSError: it cannot be logged, and has not been carried out.
    """
    engine.log.append(Changed(request))
    carry_out(engine, request, rdd_of)
    if begun := engine.allocator.taken_on():
        engine.note(Began(begun))  # if it cannot be, the first batch's entry tells


def carry_out(engine: Engine, request: Change, rdd_of: Callable[[Lineage], RDD[Any]]) -> None:
    """Carry out a change.

    Raises:
        LivebatchError: it cannot be.
    """
    match request:
        case Define():
            engine.define(request.nodes, request.outputs)
        case Remove():
            engine.remove(request.name)
        case Discard():
            engine.discard(request.output)
        case Pause():
            engine.pause(request.name, request.paused)
        case Offer():
            engine.allocator.offered(request.stream, map(rdd_of, request.rdds))
        case Remember():
            engine.graph.remember(request.duration)
        case SetBroadcast():
            engine.broadcasts.set(request, engine.now)
        case DropBroadcast():
            engine.broadcasts.drop(request.id, request.destroy)
        case SetAccumulator():
            engine.jobs.accumulators.set(request)
        case AddToAccumulator():
            engine.jobs.accumulators.add(request.id, request.piece)
