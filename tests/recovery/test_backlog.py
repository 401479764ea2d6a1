"""Checkpoints are taken, and are good, while many batches wait to be computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from livebatch.engine.executors.inline import InlineExecutor
from tests.recovery.harness import Reborn

WAITING = 200


def counted(key: Any, value: int, state: Any) -> Any:
    state.update(state.get(0) + value)
    return key, state.get(0)


def test_layers_of_a_state_that_nobody_has_computed_yet(tmp_path: Path) -> None:
    life = Reborn(str(tmp_path), 1000, lambda: InlineExecutor(2))
    words = life.ssc.queue_stream([["a"]] * WAITING).map(lambda word: (word, 1))
    life.ssc.register("out", words.map_with_state(counted), retain="2s")
    life.ssc.start()
    life.advance_to(1)
    life.ssc.stepped.run()
    life.ssc.clock.advance(1000 * (WAITING - 1))
    engine = life.ssc.stepped.engine
    for _ in range(WAITING):
        engine.advance()
    life.ssc.stepped._checkpoints.take(engine)  # type: ignore[union-attr]
    life.crash(0)
    assert life.results("out")[WAITING] == [("a", WAITING)]
