"""What is done to an engine: each fault is a function, and says how one sees that it hurt."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from tests.chaos.disk import SmallDisk
from tests.chaos.engine import Patient, signal_to
from tests.chaos.program import Program
from tests.helpers import eventually

HOGS, SLOW_S = 4, 3.0

Hurt = Callable[[], bool]
"""Says whether a fault has forced a restart or had work done again."""


class Chaos(NamedTuple):
    """What faults have at hand."""

    patient: Patient
    disk: SmallDisk
    program: Program
    random: random.Random


def kill(kind: str) -> Callable[[Chaos], Hurt]:
    """Kill one of the processes of a kind."""

    def fault(chaos: Chaos) -> Hurt:
        there = chaos.patient.pids(kind)
        if not there:
            return lambda: False
        pid = chaos.random.choice(there)
        signal_to(pid, signal.SIGKILL)
        return replaced(chaos, kind, pid)

    fault.__name__ = f"kill_{kind}"
    return fault


def replaced(chaos: Chaos, kind: str, pid: int) -> Hurt:
    """Another process has taken the place of one."""

    def hurt() -> bool:
        now = chaos.patient.pids(kind)
        return bool(now) and pid not in now

    return hurt


def stop_worker(chaos: Chaos) -> Hurt:
    """Stop a worker as Ctrl-Z would; it is replaced."""
    pid = chaos.random.choice(chaos.patient.pids("worker"))
    signal_to(pid, signal.SIGSTOP)
    return replaced(chaos, "worker", pid)


def slow_worker(chaos: Chaos) -> Hurt:
    """Leave a worker hardly any processor time for a while; what it does is done by another, too,
    and it is replaced if it cannot be made to give that up."""
    pid = chaos.random.choice(chaos.patient.pids("worker"))
    with suppress(ProcessLookupError):
        os.setpriority(os.PRIO_PROCESS, pid, 19)
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(HOGS)]
    threading.Event().wait(SLOW_S)
    for hog in hogs:
        hog.kill()
        hog.wait()
    return replaced(chaos, "worker", pid)


def kill_workers(chaos: Chaos) -> Hurt:
    """Kill all workers at once."""
    pids = chaos.patient.pids("worker")
    for pid in pids:
        signal_to(pid, signal.SIGKILL)
    return lambda: not set(pids) & set(chaos.patient.pids("worker"))


def kill_engine(chaos: Chaos) -> Hurt:
    """Kill the engine alone; its supervisor starts it again."""
    return recovered(chaos, chaos.patient.kill_engine())


def recovered(chaos: Chaos, before: int) -> Hurt:
    """Another engine process has gone on from the checkpoint."""

    def hurt() -> bool:
        status = chaos.patient.status()
        checkpoints = status.checkpoints
        return status.pid != before and checkpoints is not None and checkpoints.recovery is not None

    return hurt


def kill_all(chaos: Chaos) -> Hurt:
    """Kill the engine and its supervisor; someone starts it anew with the same folder."""
    before = chaos.patient.status().pid
    chaos.patient.kill_with_supervisor()
    chaos.patient.start()
    return recovered(chaos, before)


def redefine_and_kill(chaos: Chaos) -> Hurt:
    """Define a stream anew, and kill the engine before or after a batch of it."""
    chaos.program.define_again(chaos.patient.ssc)
    threading.Event().wait(chaos.random.choice([0.0, 0.05, 0.3]))
    return kill_engine(chaos)


def kill_everywhere(chaos: Chaos) -> Hurt:
    """Kill a process of each kind at the same time."""
    for kind in "worker", "receiver", "driver":
        for pid in chaos.patient.pids(kind)[:1]:
            signal_to(pid, signal.SIGKILL)
    return kill_engine(chaos)


def fill_disk(chaos: Chaos) -> Hurt:
    """Kill the engine when it can write nothing, and keep it so while it is started again."""
    with chaos.disk.full() if chaos.disk.is_there else nullcontext():
        threading.Event().wait(chaos.random.uniform(0, 2))
        hurt = kill_engine(chaos)
        threading.Event().wait(chaos.random.uniform(0, 3))
    return hurt


@contextmanager
def engine_down(chaos: Chaos) -> Iterator[int]:
    """Kill the engine and keep its supervisor from starting another within this."""
    supervisor, before = chaos.patient.supervisor(), chaos.patient.status().pid
    signal_to(supervisor, signal.SIGSTOP)
    signal_to(before, signal.SIGKILL)
    with suppress(psutil.NoSuchProcess):
        engine = psutil.Process(before)
        eventually(lambda: engine.status() == psutil.STATUS_ZOMBIE)
    try:
        yield before
    finally:
        signal_to(supervisor, signal.SIGCONT)


def damage_newest(folder: str, most: int) -> Callable[[Chaos], Hurt]:
    """Tear or corrupt the newest files of a folder of the checkpoint while the engine is down."""

    def fault(chaos: Chaos) -> Hurt:
        with engine_down(chaos) as before:
            newest = sorted((chaos.patient.checkpoints / folder).iterdir())[::-1]
            for path in newest[: chaos.random.randint(1, most)]:
                _damage(path, chaos.random)
        return recovered(chaos, before)

    fault.__name__ = f"damage_{folder}"
    return fault


def _damage(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    if chance.random() < 0.5 or not data:
        path.write_bytes(data[: chance.randrange(max(1, len(data)))])
        return
    for _ in range(chance.randint(1, 8)):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


FAULTS: dict[Callable[[Chaos], Hurt], int] = {
    kill("worker"): 8,
    stop_worker: 3,
    slow_worker: 1,
    kill_workers: 2,
    kill("driver"): 5,
    kill("receiver"): 5,
}
"""Faults that leave the engine alive, and how often they come."""

ENGINE_FAULTS: dict[Callable[[Chaos], Hurt], int] = {
    kill_engine: 2,
    redefine_and_kill: 2,
    kill_everywhere: 1,
    fill_disk: 1,
    damage_newest("log", 3): 2,
    damage_newest("snapshots", 1): 2,
}
"""Faults that kill the engine. Its supervisor gives up after some in a row."""
