"""The engine's end of accumulators: what is added while the driver adds up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from livebatch.accumulator import PLAIN, Adding, merged, packed, unpacked
from livebatch.closures import ship_value
from livebatch.engine.accumulators import MANY, Accumulators
from livebatch.shared import SetAccumulator


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_lost_while_the_driver_adds_up(fails: bool) -> None:
    asked: list[tuple[list[Any], Callable[[Any], None]]] = []
    sums = Accumulators(lambda param, pieces, done: asked.append((list(pieces), done)))
    sums.set(SetAccumulator("a", 0, ship_value(Adding(), "param"), plain=True))
    for _ in range(MANY):
        sums.add("a", packed(PLAIN))
        sums.add("a", 1)
    ((pieces, done),) = asked
    done(None if fails else merged(Adding(), pieces, 0))
    assert sum(map(unpacked, sums.pieces("a"))) == MANY * (PLAIN + 1)
    sums.add("a", 1)
    sums.set(SetAccumulator("a", 5))
    assert sums.pieces("a") == [5]
    assert len(asked) == 1
