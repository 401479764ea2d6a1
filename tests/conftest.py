"""What holds for every test: bounded examples, a private runtime directory, no left-overs; and
what many are run on: tasks in this thread, and tasks in worker processes."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator

import psutil
import pytest
from hypothesis import settings

from livebatch.engine.executors.base import Executor
from livebatch.engine.executors.inline import InlineExecutor
from livebatch.engine.executors.local import LocalExecutor
from livebatch.testing import local_executor

# A shared machine makes any deadline flaky; in CI a red test must be red again on the next run.
settings.register_profile("quick", deadline=None, max_examples=50, derandomize="CI" in os.environ)
settings.register_profile("thorough", deadline=None, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

# A shell has what it starts in the background ignore interrupts, which tests send.
signal.signal(signal.SIGINT, signal.default_int_handler)

EXIT_TIMEOUT_S = 5.0
KEPT_BY_PYTHON = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")


@pytest.fixture(scope="session", autouse=True)
def no_process_left() -> Iterator[None]:
    """Fail the session if a process that a test started is still alive at its end."""
    before = set(children())
    yield
    _, alive = psutil.wait_procs(set(children()) - before, timeout=EXIT_TIMEOUT_S)
    assert not alive, f"processes left running: {[(p.pid, command(p)) for p in alive]}"


@pytest.fixture(scope="session", autouse=True)
def runtime_directory(no_process_left: None) -> Iterator[str]:
    """Keep the tests' engines apart from the user's, on a path short enough for unix sockets."""
    with tempfile.TemporaryDirectory(prefix="lb-") as directory, pytest.MonkeyPatch.context() as mp:
        mp.setenv("XDG_RUNTIME_DIR", directory)
        mp.setenv("XDG_STATE_HOME", directory)
        yield directory


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
def every_block_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have even the smallest block lie in the store rather than travel in its reference."""
    monkeypatch.setattr("livebatch.engine.store.INLINE_LIMIT", -1)


def children() -> list[psutil.Process]:
    """This process's descendants, without those that multiprocessing keeps until its exit."""
    found = psutil.Process().children(recursive=True)
    return [p for p in found if not any(name in command(p) for name in KEPT_BY_PYTHON)]


def command(process: psutil.Process) -> str:
    """The command line of a process, empty if it has just gone."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""
