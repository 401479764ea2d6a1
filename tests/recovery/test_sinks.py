"""Every sink has all batches once, whenever the engine dies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livebatch.engine.executors.inline import InlineExecutor
from livebatch.sinks import kinds
from tests.recovery.harness import Crash, Reborn, crashes
from tests.sinks.places import Place, place

SECONDS = 7


@pytest.mark.parametrize("kind", kinds())
@settings(max_examples=8)
@given(deaths=crashes, every=st.integers(1, 4))
def test_sink_has_every_row_once(kind: str, deaths: Sequence[Crash], every: int) -> None:
    with TemporaryDirectory() as checkpoints, TemporaryDirectory() as folder:
        where = place(kind, Path(folder))
        rows = write(where, checkpoints, deaths, every)
        assert Counter(where.values()) == Counter(rows)


def write(where: Place, checkpoints: str, deaths: Sequence[Crash], every: int) -> list[str]:
    """Write batches while the engine dies; return their rows."""
    batches = [[f"{second}/{i}" for i in range(second % 3)] for second in range(SECONDS)]
    life = Reborn(checkpoints, every, lambda: InlineExecutor(2))
    where.write(life.ssc.queue_stream(batches))
    life.ssc.start()
    for death in deaths:
        life.advance_to(death.second)
        life.crash(death.steps)
    life.advance_to(SECONDS)
    life.ssc.stepped.run()
    return [row for batch in batches for row in batch]
