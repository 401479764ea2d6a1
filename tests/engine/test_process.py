"""Telling whether a process is dead; the deaths are real."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import psutil
import pytest

from livebatch.engine.process import ProcessIdentity, listens
from livebatch.engine.runtime import (
    socket_address,
)
from tests.engine.dead_or_alive import ME, Engine, bind, dead

pytestmark = pytest.mark.process


@pytest.fixture
def root() -> Iterator[Path]:
    """A runtime directory on a path short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="lb-") as directory:
        yield Path(directory)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Engine]]:
    """Starts engines' processes, and kills those that are left."""
    with ExitStack() as engines:
        yield lambda: engines.enter_context(Engine(tmp_path))


def test_a_running_process_is_alive_until_it_is_killed(start: Callable[[], Engine]) -> None:
    engine = start()
    assert engine.identity.is_alive() is True
    engine.kill()
    assert engine.identity.is_alive() is False


def test_a_process_is_known_by_its_number_while_it_runs(start: Callable[[], Engine]) -> None:
    engine = start()
    assert ProcessIdentity.of(engine.process.pid) == engine.identity
    engine.kill()
    assert ProcessIdentity.of(engine.process.pid) is None


def test_a_process_nobody_waited_for_is_dead(start: Callable[[], Engine]) -> None:
    engine = start()
    engine.process.kill()
    os.waitid(os.P_PID, engine.process.pid, os.WEXITED | os.WNOWAIT)
    assert psutil.Process(engine.process.pid).status() == psutil.STATUS_ZOMBIE
    assert engine.identity.is_alive() is False


def test_a_stopped_process_is_alive(start: Callable[[], Engine]) -> None:
    engine = start()
    engine.process.send_signal(signal.SIGSTOP)
    assert engine.identity.is_alive() is True


def test_a_number_used_again_is_another_process() -> None:
    assert dead().is_alive() is False


def test_setting_the_clock_kills_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    create_time, boot_time = psutil.Process.create_time, psutil.boot_time
    monkeypatch.setattr(psutil, "boot_time", lambda: boot_time() + 86_400)
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: create_time(self) + 86_400)
    assert ME.is_alive() is True


def test_processes_of_another_machine_are_taken_to_be_alive() -> None:
    assert msgspec.structs.replace(dead(), node="elsewhere").is_alive() is True


def test_a_number_of_another_namespace_means_nothing() -> None:
    assert msgspec.structs.replace(dead(), space="elsewhere").is_alive() is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_is_itself() -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, str(ProcessIdentity.current().pid).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert int(os.read(reader, 100)) == child
    os.close(reader)
    os.close(writer)


def test_whether_anyone_listens(root: Path) -> None:
    address = socket_address("demo", "router", root)
    assert not listens(address)
    with bind(address):
        assert listens(address)
    assert not listens(address)
    assert listens("tcp://127.0.0.1:1")


def test_a_listener_that_is_busy_listens(root: Path) -> None:
    address = socket_address("demo", "router", root)
    with bind(address) as busy:
        busy.listen(0)
        waiting = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        try:
            for client in waiting:
                client.setblocking(False)
                client.connect_ex(address.removeprefix("ipc://"))
            assert listens(address)
        finally:
            for client in waiting:
                client.close()


def test_where_the_kernel_does_not_tell_its_boot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_text", missing)
    assert msgspec.structs.replace(ME, space="").is_alive() is True


def missing(self: Path) -> str:
    raise FileNotFoundError(self)
