"""Where an engine's files lie, and that nobody else can put or read them there."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from livebatch.engine import runtime
from livebatch.engine.limits import mounts
from livebatch.engine.runtime import (
    checked_name,
    runtime_dir,
    shared_memory_dir,
    socket_address,
)
from livebatch.errors import DefinitionError, EngineError
from tests.engine.dead_or_alive import bind, connection


@pytest.fixture
def root() -> Iterator[Path]:
    """A runtime directory on a path short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="lb-") as directory:
        yield Path(directory)


def test_the_runtime_directory_is_the_users_alone(root: Path) -> None:
    session = {"XDG_RUNTIME_DIR": str(root)}
    directory = runtime_dir(session)
    assert directory == root / "livebatch"
    assert directory.stat().st_mode & 0o777 == 0o700
    directory.chmod(0o755)
    assert runtime_dir(session).stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("session", ["", "relative", "/nowhere/at/all", "/" + "long" * 20])
def test_without_a_session_it_is_among_temporary_files(root: Path, session: str) -> None:
    directory = runtime_dir({"XDG_RUNTIME_DIR": session}, temporary=root)
    assert directory == root / f"livebatch-{os.getuid()}"
    assert directory.is_dir()


def test_another_users_session_is_not_used(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = root / "session"
    session.mkdir()
    mine = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: mine + 1)
    candidates = list(runtime._runtime_dirs({"XDG_RUNTIME_DIR": str(session)}, root))
    assert session / "livebatch" not in candidates
    assert candidates[0] == root / f"livebatch-{mine + 1}"


def test_a_path_too_long_for_sockets_is_not_used(root: Path, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 80)
    deep.mkdir()
    directory = runtime_dir({"XDG_RUNTIME_DIR": str(deep)}, temporary=root)
    assert directory == root / f"livebatch-{os.getuid()}"
    assert socket_address("n" * 24, "r" * 10, directory)


def test_the_last_resort_is_short(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 80)
    first, last = runtime._runtime_dirs({}, deep)
    assert not runtime._has_room_for_sockets(first)
    assert runtime._has_room_for_sockets(last)
    assert last == Path("/tmp") / f"livebatch-{os.getuid()}"


def test_a_directory_planted_by_another_user_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = os.getuid() + 1
    (root / f"livebatch-{victim}").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: victim)
    with pytest.raises(EngineError, match="not a directory of this user's"):
        runtime_dir({}, temporary=root)


def test_a_planted_link_is_refused(root: Path) -> None:
    (root / "elsewhere").mkdir()
    (root / f"livebatch-{os.getuid()}").symlink_to(root / "elsewhere")
    with pytest.raises(EngineError):
        runtime_dir({}, temporary=root)


def test_a_socket_can_be_bound_at_its_address(root: Path) -> None:
    with bind(socket_address("n" * 24, "r" * 10, root)):
        assert (root / f"{'n' * 24}.{'r' * 10}").is_socket()


def test_an_address_that_is_too_long_is_refused() -> None:
    with pytest.raises(DefinitionError, match="too long"):
        socket_address("demo", "router", Path("/" + "d" * 100))


@pytest.mark.parametrize("name", ["", "a/b", "a.b", "..", "n" * 25, "a\n"])
@pytest.mark.parametrize(
    "use",
    [
        checked_name,
        lambda name: socket_address(name, "router", Path("/nowhere")),
        lambda name: shared_memory_dir(name, Path("/nowhere"), Path("/nowhere")),
        lambda name: connection(name).write(Path(tempfile.gettempdir())),
    ],
    ids=["checked_name", "socket_address", "shared_memory_dir", "write"],
)
def test_names_that_cannot_be_files_are_refused(name: str, use: Callable[[str], object]) -> None:
    with pytest.raises(DefinitionError, match="name of an engine"):
        use(name)


def test_shared_memory_is_new_and_private(tmp_path: Path) -> None:
    first, second = (shared_memory_dir("demo", Path("/nowhere"), tmp_path) for _ in range(2))
    assert first != second
    assert first.parent == tmp_path
    assert first.name.startswith(f"livebatch-{os.getuid()}-demo-")
    assert first.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("size", "used"), [("2g", True), ("1000m", False), ("0", True)], ids=["roomy", "small", "any"]
)
def test_shared_memory_is_a_roomy_tmpfs(
    size: str, used: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory, temporary = tmp_path / "memory", tmp_path / "temporary"
    memory.mkdir()
    temporary.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(memory)]
    mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    if not mounted:
        mount = mounts()[0]._replace(point=str(memory), kind="tmpfs")
        monkeypatch.setattr(runtime, "mounts", lambda: [mount])
        monkeypatch.setattr(runtime, "free_space", lambda where: (2 << 30) if used else 1000 << 20)
    try:
        directory = shared_memory_dir("demo", memory, temporary)
        assert directory.parent == (memory if used else temporary)
    finally:
        if mounted:
            subprocess.run(["umount", str(memory)], check=True)


def test_an_ordinary_directory_is_no_shared_memory(tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    assert shared_memory_dir("demo", tmp_path, temporary).parent == temporary
