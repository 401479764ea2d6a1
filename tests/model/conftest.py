"""What the model is tested on: tasks in this thread, and tasks in worker processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from livebatch.engine.executors.base import Executor
from livebatch.engine.executors.inline import InlineExecutor
from livebatch.engine.executors.local import LocalExecutor
from livebatch.testing import local_executor

pytest.register_assert_rewrite("tests.model.harness")


@dataclass(frozen=True)
class Cluster:
    """An executor, made for a number of slots, and how many examples it is worth."""

    executor: Callable[[int], Executor]
    examples: int


@pytest.fixture(scope="session")
def local(runtime_directory: str) -> Iterator[LocalExecutor]:
    """Two worker processes that all tests share."""
    with local_executor(workers=2) as executor:
        yield executor


@pytest.fixture(params=["inline", pytest.param("local", marks=pytest.mark.process)])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """Each executor in turn."""
    if request.param == "inline":
        return Cluster(InlineExecutor, 20)
    shared = request.getfixturevalue("local")
    return Cluster(lambda slots: shared, 3)


@pytest.fixture
def every_block_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have even the smallest block lie in the store rather than travel in its reference."""
    monkeypatch.setattr("livebatch.engine.store.INLINE_LIMIT", -1)
