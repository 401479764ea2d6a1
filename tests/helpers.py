"""What tests of processes need: waiting for conditions, a TCP server, scripts, left-overs."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import TypeVar

import psutil

from livebatch.engine.runtime import runtime_dir

T = TypeVar("T")

PATIENCE_S = 20.0
POLL_S = 0.01
REPO = Path(__file__).parent.parent


def eventually(predicate: Callable[[], T], timeout: float = PATIENCE_S) -> T:
    """Wait until a predicate is true and return what it gives.

    Raises:
        AssertionError: it is not, within so many seconds.
    """
    limit, tick = time.monotonic() + timeout, threading.Event()
    while not (result := predicate()):
        assert time.monotonic() < limit, f"not within {timeout:g} s, but still {result!r}"
        tick.wait(POLL_S)
    return result


class LineServer:
    """A TCP server that sends the same lines to everyone who is connected."""

    def __init__(self, port: int = 0) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self.connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections.append(connection)

    def send(self, *lines: str) -> None:
        """Send lines to the newest connection."""
        self.connections[-1].sendall("".join(f"{line}\n" for line in lines).encode())

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for opened in (self._listener, *self.connections):
            opened.close()


@contextmanager
def line_server(port: int = 0) -> Iterator[LineServer]:
    """Give a server of lines, at any free port unless told."""
    server = LineServer(port)
    try:
        yield server
    finally:
        server.close()


def free_port() -> int:
    """Return a port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Script:
    """``python script.py`` in a process group of its own, which says what it does line by line."""

    def __init__(self, folder: Path, source: str, *args: str) -> None:
        path = folder / "script.py"
        path.write_text(dedent(source))
        self.process = subprocess.Popen(
            [sys.executable, "-u", str(path), *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONPATH": str(REPO)},
            start_new_session=True,
        )

    def line(self) -> str:
        """Wait for the next line and return it."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def interrupt(self) -> None:
        """Do what a terminal does on Ctrl-C."""
        os.killpg(self.process.pid, signal.SIGINT)

    def finish(self) -> str:
        """Wait for its end, which must be a success; return the rest of what it said."""
        said, _ = self.process.communicate(timeout=PATIENCE_S)
        assert self.process.returncode == 0, said
        return said


@contextmanager
def script(folder: Path, source: str, *args: str) -> Iterator[Script]:
    """Run a script; it is killed if it is still there at the end."""
    running = Script(folder, source, *args)
    with running.process:
        try:
            yield running
        finally:
            running.process.kill()


def processes(root: int, module: str) -> list[int]:
    """Return the pids of a process's descendants that run a module."""
    found = []
    for process in psutil.Process(root).children(recursive=True):
        try:
            if module in process.cmdline():
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found


def leftovers(engine: str) -> list[str]:
    """Return the files that there are of an engine, by its name."""
    shared = Path("/dev/shm").glob(f"livebatch-{os.getuid()}-{engine}-*")
    return [str(path) for path in (*runtime_dir().glob(f"{engine}.*"), *shared)]
