"""The engine whose processes are killed: which these are, and how far it is."""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path

import psutil

import livebatch as lb
from livebatch.engine.runtime import runtime_dir
from livebatch.engine.settings import Settings
from livebatch.events import EngineStatus
from livebatch.launch import start_process
from tests.chaos.program import BATCH
from tests.helpers import processes

LINGER_S = 30.0
SNAPSHOTS_MS = 1000

MODULES = {
    "driver": "livebatch.driver",
    "receiver": "livebatch.engine.receiver",
}


class Patient:
    """An engine process under its supervisor.

    Args:
        name: of the engine.
        folder: of its checkpoints.
        budget: bytes that its blocks may take in shared memory; 0: as much as it likes.
    """

    def __init__(self, name: str, folder: Path, budget: int) -> None:
        self._settings = Settings(
            name, BATCH, workers=2, linger=LINGER_S, budget=budget, checkpoint=str(folder),
            every=SNAPSHOTS_MS,
        )  # fmt: skip
        self.start()

    def start(self) -> None:
        """Start it, or, after its supervisor has been killed too, start it again."""
        self._owned = start_process(self._settings, supervised=True)
        self.ssc = lb.StreamingContext.attach(self._settings.name)

    @property
    def checkpoints(self) -> Path:
        return Path(self._settings.checkpoint)

    def status(self) -> EngineStatus:
        """Return how it is; waits while it is started again."""
        return self.ssc.status()

    def pids(self, kind: str) -> list[int]:
        """Return the processes of a kind: ``engine``, ``worker``, ``driver``, ``receiver``."""
        status = self.status()
        if kind == "engine":
            return [status.pid]
        if kind == "worker":
            return list(status.workers)
        return processes(status.pid, MODULES[kind])

    def kill_engine(self) -> int:
        """Kill the engine alone; return which process it was."""
        pid = self.status().pid
        signal_to(pid, signal.SIGKILL)
        return pid

    def supervisor(self) -> int:
        """Return the process that starts the engine again."""
        return int(self._owned._process.pid)

    def kill_with_supervisor(self) -> None:
        """Kill the engine and the process that would start it again."""
        engine = psutil.Process(self.status().pid)
        signal_to(self.supervisor(), signal.SIGKILL)
        signal_to(engine.pid, signal.SIGKILL)
        self._owned._process.wait()
        with suppress(psutil.NoSuchProcess):
            engine.wait(10)
        self.ssc.detach()

    def stop(self) -> None:
        """Stop it gracefully."""
        self.ssc.stop(stop_gracefully=True)
        self._owned._process.wait(60)

    def keep_what_was_said(self) -> None:
        """Copy what the engine has printed beside its checkpoints."""
        said = runtime_dir() / f"{self._settings.name}.log"
        if said.exists():
            shutil.copy(said, self.checkpoints.parent)

    def destroy(self) -> None:
        """Kill whatever of it still runs."""
        process = self._owned._process
        if process.poll() is None:
            for child in psutil.Process(process.pid).children(recursive=True):
                signal_to(child.pid, signal.SIGKILL)
            process.kill()
            process.wait()


def signal_to(pid: int, what: signal.Signals) -> None:
    """Send a signal to a process, if there is one."""
    with suppress(ProcessLookupError):
        os.kill(pid, what)
