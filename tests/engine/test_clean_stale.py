"""Clearing up after engines that were really killed, and only after those."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path, PosixPath

import msgspec
import pytest

from livebatch.engine import runtime
from livebatch.engine.runtime import (
    claim,
    clean_stale,
    find_engine,
    is_alive,
    list_engines,
    shared_memory_dir,
)
from livebatch.errors import EngineError
from tests.engine.dead_or_alive import ME, Engine, bind, connection, dead

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


def test_everything_of_a_killed_engine_is_removed(
    root: Path, tmp_path: Path, start: Callable[[], Engine]
) -> None:
    engine = start()
    (engine.blocks / "block").write_bytes(bytes(1000))
    gone = connection(owner=engine.identity, root=root, blocks=engine.blocks)
    gone.write(root)
    with bind(gone.router), bind(gone.publisher):
        assert clean_stale(root, [tmp_path]) == []
        engine.kill()
        removed = clean_stale(root, [tmp_path])
    assert {path.name for path in removed} == {
        engine.blocks.name,
        "demo.router",
        "demo.pub",
        "demo.json",
    }
    assert [path.name for path in root.iterdir()] == [".lock"]
    assert list(tmp_path.iterdir()) == []


class Fleeting(PosixPath):
    """A folder in which something is seen that is gone when one looks at it."""

    def glob(self, pattern: str) -> Iterator[Path]:  # type: ignore[override]
        yield self / pattern.replace("*", "gone")


def test_what_another_engine_removes_at_the_same_time(root: Path, tmp_path: Path) -> None:
    assert clean_stale(root, [Fleeting(tmp_path)]) == []


def test_what_the_living_own_is_spared(root: Path, tmp_path: Path) -> None:
    blocks = shared_memory_dir("demo", Path("/nowhere"), tmp_path)
    mine = connection(root=root, blocks=blocks)
    mine.write(root)
    with bind(mine.router):
        assert clean_stale(root, [tmp_path]) == []
        assert blocks.exists()
        assert find_engine("demo", root) == mine


def test_blocks_of_an_engine_that_never_published_are_removed(
    root: Path, tmp_path: Path, start: Callable[[], Engine]
) -> None:
    engine = start()
    engine.kill()
    assert clean_stale(root, [tmp_path]) == [engine.blocks]


def test_half_removed_blocks_are_removed(
    root: Path, tmp_path: Path, start: Callable[[], Engine]
) -> None:
    engine = start()
    engine.kill()
    interrupted = engine.blocks.rename(f"{engine.blocks}~")
    assert clean_stale(root, [tmp_path]) == [interrupted]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["livebatch-{uid}-mine", "something-else"])
def test_what_names_no_owner_is_spared(root: Path, tmp_path: Path, name: str) -> None:
    directory = tmp_path / name.format(uid=os.getuid())
    directory.mkdir()
    connection(owner=dead(), blocks=directory).write(root)
    clean_stale(root, [tmp_path])
    assert list(directory.iterdir()) == []


def test_another_users_directory_is_spared(
    root: Path, tmp_path: Path, start: Callable[[], Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = start()
    engine.kill()
    other = os.getuid() + 1
    planted = engine.blocks.rename(tmp_path / f"livebatch-{other}-demo-x")
    monkeypatch.setattr(os, "getuid", lambda: other)
    assert clean_stale(root, [tmp_path]) == []
    assert planted.exists()


def test_claimed_blocks_outlive_their_first_owner(
    root: Path, tmp_path: Path, start: Callable[[], Engine]
) -> None:
    engine = start()
    connection(owner=engine.identity, blocks=engine.blocks).write(root)
    with pytest.raises(EngineError, match=str(engine.process.pid)):
        claim(engine.blocks)
    engine.kill()
    claim(engine.blocks)
    assert clean_stale(root, [tmp_path]) == [root / "demo.json"]
    assert engine.blocks.exists()


def test_blocks_claimed_at_the_last_moment_are_spared(
    root: Path, tmp_path: Path, start: Callable[[], Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = start()
    engine.kill()
    lock = runtime._locked

    def claim_then_lock(directory: Path) -> AbstractContextManager[None]:
        if directory == engine.blocks:
            monkeypatch.undo()
            claim(directory)
        return lock(directory)

    monkeypatch.setattr(runtime, "_locked", claim_then_lock)
    assert clean_stale(root, [tmp_path]) == []
    assert engine.blocks.exists()


def test_removed_blocks_cannot_be_claimed(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        claim(tmp_path / "gone")


def test_after_a_container_restarts_its_engine_is_known_to_be_dead(
    root: Path, tmp_path: Path
) -> None:
    blocks = shared_memory_dir("demo", Path("/nowhere"), tmp_path)
    before = msgspec.structs.replace(ME, space="before the restart")
    (blocks / ".owner").write_bytes(msgspec.json.encode(before))
    ghost = connection(owner=before, root=root, blocks=blocks)
    ghost.write(root)
    with bind(ghost.router):
        assert is_alive(ghost)
        assert clean_stale(root, [tmp_path]) == []
    assert not is_alive(ghost)
    clean_stale(root, [tmp_path])
    assert not blocks.exists()
    assert list_engines(root) == []


def test_engines_of_other_machines_are_left_alone(root: Path, tmp_path: Path) -> None:
    remote = msgspec.structs.replace(dead(), node="elsewhere")
    connection(owner=remote).write(root)
    assert clean_stale(root, [tmp_path]) == []
    assert list_engines(root) == [connection(owner=remote)]
