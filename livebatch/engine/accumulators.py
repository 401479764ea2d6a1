"""What tasks have added to accumulators, each stage's once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from livebatch.accumulator import PLAIN, Piece
from livebatch.closures import Function, revive
from livebatch.engine.dag import Stage
from livebatch.interval import Millis
from livebatch.shared import SetAccumulator

MANY = 256
"""So many pieces of values that the engine cannot add up itself are added up in the driver."""

Merge = Callable[[Function, Sequence[Piece], Callable[[Piece | None], None]], None]


@dataclass
class _Sum:
    pieces: list[Piece]
    param: Function
    plain: bool
    limit: int = MANY
    merging: int = 0


class Accumulators:
    """Sums by accumulator. Numbers are added up here; other values, which the engine never opens,
    are collected in pieces.

    Args:
        merge: has a function add up pieces somewhere, and calls back with the one that results, or
            None if it failed.
    """

    def __init__(self, merge: Merge) -> None:
        self._merge = merge
        self._sums: dict[str, _Sum] = {}
        self.counted: dict[str, Millis | None] = {}

    def set(self, request: SetAccumulator) -> None:
        """Have an accumulator begin, perhaps anew, with a value."""
        known = self._sums.get(request.id)
        if request.param is not None:
            self._sums[request.id] = _Sum([request.piece], request.param, request.plain)
        elif known is not None:
            self._sums[request.id] = _Sum([request.piece], known.param, known.plain)

    def add(self, id: str, piece: Piece) -> None:
        """Add to an accumulator, if there is one."""
        found = self._sums.get(id)
        if found is None:
            return
        found.pieces.append(piece)
        if found.plain:
            _add_up(found.pieces, found.merging)
        if len(found.pieces) >= found.limit and not found.merging:
            found.merging = len(found.pieces)
            self._merge(found.param, list(found.pieces), partial(_merged, found))

    def pieces(self, id: str) -> list[Piece]:
        """Return what is to be added up for an accumulator's value."""
        return list(self._sums[id].pieces) if id in self._sums else []

    def params(self) -> list[Function]:
        """Return the code that adds up."""
        return [found.param for found in self._sums.values()]

    def memory(self) -> dict[str, Any]:
        """Return all sums as plain values, for `recall`."""
        return {id: [s.pieces, s.param, s.plain] for id, s in self._sums.items()}

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Have the sums that there were."""
        self._sums = {
            id: _Sum(list(pieces), revive(param), plain)
            for id, (pieces, param, plain) in memory.items()
        }

    # -- what counts -------------------------------------------------------------------------

    def stage_done(self, stage: Stage, added: Iterable[Mapping[str, Piece]]) -> None:
        """Count what the tasks of a stage have added, unless it has been done before."""
        if stage.id in self.counted:
            return
        self.counted[stage.id] = stage.time
        for pieces in added:
            for id, piece in pieces.items():
                self.add(id, piece)

    def job_ended(self, stages: Iterable[str]) -> None:
        """Forget the stages of a job which belong to no batch: they are not done again for it."""
        for id in stages:
            if self.counted.get(id, 0) is None:
                del self.counted[id]

    def forget_before(self, time: Millis) -> None:
        """Forget the stages of batches that are computed no more."""
        self.counted = {id: t for id, t in self.counted.items() if t is None or t > time}


def _merged(found: _Sum, one: Piece | None) -> None:
    if one is None:
        found.limit = 2 * len(found.pieces)
    else:
        found.pieces[: found.merging], found.limit = [one], MANY
    found.merging = 0


def _add_up(pieces: list[Piece], first: int) -> None:
    """Add the last number to another from the ``first`` on, if they travel as such."""
    last = pieces[-1]
    for at, other in enumerate(pieces[first:-1], first):
        if isinstance(other, bytes) or isinstance(last, bytes):
            continue
        total = other + last
        if isinstance(total, float) or abs(total) < PLAIN:
            pieces[at] = total
            pieces.pop()
            return
