"""Which states a stream goes on with that is defined anew after a restart."""

from __future__ import annotations

from typing import Any

from livebatch.errors import DefinitionError
from livebatch.interval import Millis
from livebatch.stream import DStream
from livebatch.upstream import states_of

Pair = tuple[DStream[Any], DStream[Any]]


def successors(name: str, new: DStream[Any], old: DStream[Any]) -> list[Pair]:
    """Return the states of a stream, each with the one of the former stream that it goes on from.

    They must be of the same kinds and divided over as many partitions; what their functions do may
    have changed. Windows, which fill again, need not agree.

    Raises:
        DefinitionError: they do not agree.
    """
    mine, theirs = _states(new), _states(old)
    if theirs and mine and [_shape(node) for node in mine] == [_shape(node) for node in theirs]:
        return list(zip(mine, theirs, strict=True))
    if any(node.holds_state for node in theirs):
        raise DefinitionError(
            f"the checkpoint has a state of {name} from {_said(theirs)}, with which "
            f"{_said(mine) or 'a stream without one'} cannot go on: define the stream under "
            f"another name; or stop it first (ssc.remove({name!r})), and it begins with a new state"
        )
    return []


def take_over(pairs: list[Pair], now: Millis) -> None:
    """Have states go on from others, from the first batch after a time."""
    for new, old in pairs:
        new.recall({**old.memory(), "start": now, "pauses": ()})


def _states(node: DStream[Any]) -> list[DStream[Any]]:
    return [state for state in states_of(node) if not _refills(state)]


def _refills(node: DStream[Any]) -> bool:
    return bool(node.lookback)  # a window


def _shape(node: DStream[Any]) -> tuple[str, int, Any]:
    return type(node).__name__, node.slide, getattr(node, "num_partitions", None)


def _said(states: list[DStream[Any]]) -> str:
    return ", ".join(
        f"{type(node).__name__} in {count} partitions"
        if (count := getattr(node, "num_partitions", None))
        else type(node).__name__
        for node in states
    )
