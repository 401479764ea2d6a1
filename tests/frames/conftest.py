"""Frames over batches that are given, and what came of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from livebatch.engine.executors.base import Executor
from livebatch.engine.executors.inline import InlineExecutor
from livebatch.engine.executors.local import LocalExecutor
from livebatch.testing import ManualContext, collected, local_executor

Play = Callable[..., list[list[Any]]]


@pytest.fixture(scope="session")
def local(runtime_directory: str) -> Iterator[LocalExecutor]:
    """Two worker processes that all tests share."""
    with local_executor(workers=2) as executor:
        yield executor


@pytest.fixture(params=["inline", pytest.param("local", marks=pytest.mark.process)])
def executor(request: pytest.FixtureRequest) -> Executor:
    """Each executor in turn."""
    if request.param == "inline":
        return InlineExecutor(2)
    found: LocalExecutor = request.getfixturevalue("local")
    return found


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
