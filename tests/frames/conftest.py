"""Frames over batches that are given, and what came of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from livebatch.engine.executors.base import Executor
from livebatch.testing import ManualContext, collected

Play = Callable[..., list[list[Any]]]


@pytest.fixture
def play(executor: Executor) -> Play:
    """Return the batches of ``build(frame of the given batches)``; a failed batch is raised."""

    def play(
        build: Callable[[Any], Any], columns: dict[str, str], batches: Sequence[Sequence[Any]]
    ) -> list[list[Any]]:
        with ManualContext("1s", executor=executor) as ssc:
            found = collected(build(ssc.queue_stream(batches).to_frame(columns)))
            ssc.start()
            ssc.advance(len(batches))
            ssc.await_termination(timeout=0)
        return found

    return play
