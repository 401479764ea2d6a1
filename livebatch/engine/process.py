"""Which process something belongs to, so that it can be told later whether that one is dead."""

from __future__ import annotations

import os
import platform
import socket
from functools import cache
from pathlib import Path

import msgspec
import psutil

# The kernel's figure for when it was booted wavers by a second when the clock is corrected.
_START_TOLERANCE_S = 2.0
_IPC = "ipc://"


class ProcessIdentity(msgspec.Struct, frozen=True):
    """One process, told from a later one of the same number.

    Attributes:
        pid: its number.
        started: when it started, in seconds after the machine did: unlike the time of day, that
            does not move when the clock is set.
        node: the name of its machine.
        space: the boot of that machine and the namespace in which its number means anything.
    """

    pid: int
    started: float
    node: str
    space: str

    @classmethod
    def current(cls) -> ProcessIdentity:
        """Return this process's.

        >>> ProcessIdentity.current().is_alive()
        True
        """
        return _own(os.getpid())

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """Return that of the process that has a number now; None if there is none."""
        try:
            return _identity(pid)
        except psutil.NoSuchProcess:
            return None

    def is_alive(self) -> bool | None:
        """Return whether it runs; None if its number means nothing here.

        A process of another machine is taken to be alive.
        """
        if self.node != platform.node():
            return True
        if self.space != _space():
            return None
        try:
            process = psutil.Process(self.pid)
            same = abs(_started(process) - self.started) < _START_TOLERANCE_S
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


def listens(address: str) -> bool:
    """Return whether anyone listens at a ZeroMQ address; taken to be so if it is not local.

    >>> listens("ipc:///nowhere/at.all")
    False
    """
    if not address.startswith(_IPC):
        return True
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(address.removeprefix(_IPC))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except BlockingIOError:
            # The queue is full: its owner is slow, but there.
            return True
    return True


@cache
def _own(pid: int) -> ProcessIdentity:
    return _identity(pid)


def _identity(pid: int) -> ProcessIdentity:
    return ProcessIdentity(pid, _started(psutil.Process(pid)), platform.node(), _space())


def _started(process: psutil.Process) -> float:
    return process.create_time() - psutil.boot_time()


def _space() -> str:
    # A restarted container keeps its name and its files, but not what its numbers meant.
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return ""
