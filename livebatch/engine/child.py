"""Processes that the engine starts, and what such a process does first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

import psutil

from livebatch.clock import deadline

GRACE = 2.0
"""Seconds that a process has to end by itself before it is killed."""


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
        """End it at once."""
        self._process.kill()

    def close(self, patience: float = GRACE) -> None:
        """End it: its standard input is closed, which it understands, and then it is killed."""
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
        limit = deadline(patience)
        try:
            self._process.wait(limit.left())
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self.end)

    def stopped(self) -> bool:
        """Return whether a signal has stopped it, so that it does nothing until another."""
        with suppress(psutil.NoSuchProcess):
            return bool(psutil.Process(self.pid).status() == psutil.STATUS_STOPPED)
        return False

    def ended(self) -> bool:
        """Return whether it has ended."""
        return self._process.poll() is not None


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
