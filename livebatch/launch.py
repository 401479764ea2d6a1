"""Starting an engine, or finding one, and getting a line to it."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import threading
from functools import partial
from math import inf
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from livebatch import errors
from livebatch.client import Connection, RemoteConnection
from livebatch.driver import DriverLoop
from livebatch.engine.child import Child
from livebatch.engine.runtime import (
    ConnectionFile,
    checked_name,
    clean_stale,
    find_engine,
    is_alive,
    owner_of,
    runtime_dir,
)
from livebatch.engine.server import Server
from livebatch.engine.settings import Settings
from livebatch.errors import EngineLost
from livebatch.interval import Millis
from livebatch.wire import Refused, Status, Stop, checked

_started: list[subprocess.Popen[bytes]] = []
"""Engines that this process has started and may outlive it, or be stopped by others."""


class Kept(NamedTuple):
    """What of an engine is to outlive it.

    Attributes:
        checkpoint: the folder of its checkpoints; empty: none.
        every: how often one is taken, in milliseconds.
        missed: what becomes of batches whose time passed while it was down: ``run`` or ``skip``.
        supervised: whether it is started again when it dies.
    """

    checkpoint: str = ""
    every: Millis = 10_000
    missed: str = "run"
    supervised: bool = False


NOTHING_KEPT = Kept()

EngineKind: TypeAlias = Literal["process", "embedded"]


ORPHANED = 5.0
"""Seconds after which the engine of a script that was killed stops."""


def connect(
    kind: EngineKind,
    batch: Millis,
    workers: int | None,
    strict: bool,
    linger: float | None = None,
    name: str | None = None,
    kept: Kept = NOTHING_KEPT,
    backpressure: bool = True,
) -> Connection:
    """Start an engine and return a line to it.

    Args:
        linger: seconds that it goes on after its last client; infinity: for ever; None: it is
            stopped when this process ends.
        kept: what is to outlive it.
        backpressure: whether pull sources are limited while batches fall behind.

    Raises:
        EngineLost: it could not be started; the message says why.
        NameTaken: an engine of this name runs.
        EngineError: there is a checkpoint that it cannot go on from, or none can be kept.
    """
    called = checked_name(name or f"lb{os.getpid()}-{os.urandom(2).hex()}")
    seconds = ORPHANED if linger is None else None if linger == inf else linger
    settings = Settings(
        called, batch, workers or 0, strict, seconds,
        checkpoint=kept.checkpoint, every=kept.every, missed=kept.missed, backpressure=backpressure,
    )  # fmt: skip
    connection: Connection
    if kind == "embedded":
        connection = EmbeddedConnection(settings)
    else:
        connection = start_process(settings, linger is None, kept.supervised)
    connection.request(Status())  # it would not wait long for a client it has not heard of
    return connection


def attach(name: str | None = None) -> RemoteConnection:
    """Return a line to an engine that runs.

    Args:
        name: which; the only one if not told.

    Raises:
        NotRunning: there is none.
        EngineError: there are several, and none was named.
    """
    return _line_to(find_engine(name))


def _line_to(found: ConnectionFile) -> RemoteConnection:
    connection = RemoteConnection(
        found.router,
        found.publisher,
        partial(is_alive, found),
        incarnation=partial(owner_of, found.name, runtime_dir()),
    )
    connection.found = found
    return connection


def start_process(
    settings: Settings, stop_at_exit: bool = False, supervised: bool = False
) -> OwnedConnection:
    """Start an engine process and return a line to it.

    Args:
        stop_at_exit: whether to stop it when this process ends.
        supervised: whether it is started again when it dies.

    Raises:
        EngineLost: it could not be started; the message says why.
        LivebatchError: it refuses.
    """
    clean_stale()  # or the engine would, and remove the log of a dead one of its name, now its own
    ours, theirs = os.pipe()
    log = runtime_dir() / f"{settings.name}.log"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment["LIVEBATCH_READY"] = str(theirs)
    module = "livebatch.engine.supervisor" if supervised else "livebatch.engine"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, msgspec.json.encode(settings).decode()],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[theirs],
            env=environment,
            start_new_session=True,
        )
    os.close(theirs)
    with os.fdopen(ours) as ready:
        said = ready.read()
    if said != "ready":
        process.wait()
        kind, _, message = said.partition(": ")
        if hasattr(errors, kind):
            checked(Refused(kind, message))
        raise EngineLost(f"the engine could not start: {said or _tail(log)}")
    return OwnedConnection(find_engine(settings.name), process, log, stop_at_exit)


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-5:])


def _runs(process: subprocess.Popen[bytes], name: str) -> bool:
    """Return whether an engine runs, or is being started again by its supervisor."""
    owner = None if process.poll() is None else owner_of(name)
    return process.returncode is None or (owner is not None and owner.is_alive() is True)


class OwnedConnection(RemoteConnection):
    """A line to an engine process that this process has started."""

    def __init__(
        self,
        found: ConnectionFile,
        process: subprocess.Popen[bytes],
        log: Path,
        stop_at_exit: bool,
    ) -> None:
        super().__init__(
            found.router,
            found.publisher,
            partial(_runs, process, found.name),
            incarnation=partial(owner_of, found.name, runtime_dir()),
        )
        self.found, self._process, self._log = found, process, log
        _started.append(process)
        if stop_at_exit:
            atexit.register(self.stop, Stop())

    def stop(self, request: Stop) -> None:
        atexit.unregister(self.stop)
        super().stop(request)
        self._process.wait()
        _started.remove(self._process)
        self._log.unlink(missing_ok=True)


class EmbeddedConnection(RemoteConnection):
    """A line to an engine that runs in a thread of this process, and its driver in another."""

    def __init__(self, settings: Settings) -> None:
        self._running = threading.Event()
        self._driver: threading.Thread | None = None
        self._server = Server(settings, self._start_driver)
        self._thread = threading.Thread(
            target=self._server.run, args=[self._running.set], daemon=True, name="livebatch-engine"
        )
        self._thread.start()
        while not self._running.wait(0.1):
            if not self._thread.is_alive():
                raise EngineLost("the engine could not start; its traceback is above")
        found = self._server.connection
        super().__init__(found.router, found.publisher, self._thread.is_alive)
        self.found = found
        atexit.register(self.stop, Stop())

    def _start_driver(self, router: str, events: str) -> Child | None:
        loop = DriverLoop(router, events, self._thread.is_alive)
        self._driver = threading.Thread(target=loop.run, daemon=True, name="livebatch-driver")
        self._driver.start()
        return None

    def stop(self, request: Stop) -> None:
        atexit.unregister(self.stop)
        super().stop(request)
        self._thread.join()
        if self._driver is not None:
            self._driver.join()
