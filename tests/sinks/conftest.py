"""Where sinks run: tasks in this thread, and tasks in worker processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from livebatch.engine.executors.base import Executor
from livebatch.engine.executors.inline import InlineExecutor
from livebatch.engine.executors.local import LocalExecutor
from livebatch.testing import local_executor


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
