"""Processes that the engine starts, and what such a process does first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from enum import Enum

import psutil

from livebatch.clock import deadline

GRACE = 2.0
"""Seconds that a process has to end by itself before it is killed."""


REAPED = 1.0
"""Seconds that one waits for a process that has been killed."""


class State(Enum):
    """What a process is at."""

    RUNS = "runs, or waits for something"
    STOPPED = "was stopped by a signal, and does nothing until another"
    ENDED = "has ended"


_STATES = {
    psutil.STATUS_STOPPED: State.STOPPED,
    psutil.STATUS_ZOMBIE: State.ENDED,
    psutil.STATUS_DEAD: State.ENDED,
}


class Child:
    """A process of the engine's, which ends when the engine does.

    It is started as ``python -m MODULE ARGS…``, never by ``multiprocessing``, so that a script
    without ``if __name__ == "__main__"`` works; with the engine's folder, path and environment.

    Attributes:
        pid: its process id.
        end: a descriptor that is hung up when the process has ended.
    """

    def __init__(self, module: str, *args: str) -> None:
        self.end, theirs = os.pipe()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path)}
        environment["LIVEBATCH_ALIVE"] = str(theirs)
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *args],
            stdin=subprocess.PIPE,
            pass_fds=[theirs],
            env=environment,
            start_new_session=True,
        )
        os.close(theirs)
        self.pid = self._process.pid

    def interrupt(self) -> None:
        """Ask it to give up what it is doing."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """End it at once, and what it has forked, which might hold or write what is its own."""
        if self._process.returncode is None:  # so that its number is no other process's yet
            with suppress(ProcessLookupError, PermissionError):  # macOS forbids it to the dead
                os.killpg(self.pid, signal.SIGKILL)

    def close(self, patience: float = GRACE) -> None:
        """End it: its standard input is closed, which it understands, and then it is killed."""
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
        limit = deadline(patience)
        try:
            self._process.wait(limit.left())
        except subprocess.TimeoutExpired:
            self.kill()
            with suppress(subprocess.TimeoutExpired):  # the system is stuck in a call of its own
                self._process.wait(REAPED)
        os.close(self.end)

    def state(self) -> State:
        """Return what the system says of it."""
        try:
            return _STATES.get(psutil.Process(self.pid).status(), State.RUNS)
        except psutil.NoSuchProcess:
            return State.ENDED

    def end_of(self) -> str:
        """Return how it ended, once it has been closed, as in "it ..."."""
        code = self._process.returncode
        if code is None:
            return "does not end, though it was killed"
        if code >= 0:
            return f"ended with exit code {code}"
        with suppress(ValueError):  # a signal of real-time programs has no name
            return f"was killed by {signal.Signals(-code).name}"
        return f"was killed by signal {-code}"


def live_and_die_with_the_engine() -> None:
    """Called first in a child: end when the engine ends, even while user code runs."""
    descriptor = os.environ.pop("LIVEBATCH_ALIVE", None)
    if descriptor is not None:
        os.set_inheritable(int(descriptor), False)

    def watch() -> None:
        while os.read(0, 1024):
            pass
        os._exit(0)

    threading.Thread(target=watch, daemon=True, name="livebatch-engine-watch").start()
