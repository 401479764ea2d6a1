"""What the model is tested on: tasks in this thread, and tasks in worker processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from livebatch.engine.executors.base import Executor
from livebatch.engine.executors.inline import InlineExecutor

pytest.register_assert_rewrite("tests.model.harness")


@dataclass(frozen=True)
class Cluster:
    """An executor, made for a number of slots, and how many examples it is worth."""

    executor: Callable[[int], Executor]
    examples: int


@pytest.fixture(params=["inline", pytest.param("local", marks=pytest.mark.process)])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """Each executor in turn."""
    if request.param == "inline":
        return Cluster(InlineExecutor, 20)
    shared = request.getfixturevalue("local")
    return Cluster(lambda slots: shared, 3)
