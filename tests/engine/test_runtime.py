"""Finding engines by their connection files."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from livebatch.engine.process import ProcessIdentity
from livebatch.engine.runtime import (
    clean_stale,
    find_engine,
    list_engines,
)
from livebatch.errors import EngineError, NameTaken, NotRunning
from tests.engine.dead_or_alive import ME, Engine, bind, connection, dead


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


def test_an_engine_is_found_by_what_it_published(root: Path) -> None:
    mine = connection(root=root)
    path = mine.write(root)
    assert path == root / "demo.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list_engines(root) == [mine]
    assert find_engine("demo", root) == find_engine(None, root) == mine
    assert sorted(file.name for file in root.iterdir()) == [".lock", "demo.json"]


def test_the_key_is_not_shown() -> None:
    shown = f"{connection()} {connection()!r} {[connection()]}"
    assert "secret" not in shown
    assert "demo" in shown


def test_engines_are_listed_newest_first(root: Path) -> None:
    for name, started in [("old", 1), ("newest", 3), ("newer", 2)]:
        connection(name, started=started).write(root)
    assert [engine.name for engine in list_engines(root)] == ["newest", "newer", "old"]


def test_no_engine(root: Path) -> None:
    with pytest.raises(NotRunning, match="no engine is running"):
        find_engine(None, root)


def test_several_engines(root: Path) -> None:
    connection("a").write(root)
    connection("b", started=2).write(root)
    with pytest.raises(NotRunning, match=r"'c' is running \(running: b, a\)"):
        find_engine("c", root)
    with pytest.raises(EngineError, match="name one of them: b, a"):
        find_engine(None, root)
    assert find_engine("a", root).name == "a"


@pytest.mark.process
def test_dead_engines_are_not_found(root: Path, start: Callable[[], Engine]) -> None:
    engine = start()
    connection(owner=engine.identity).write(root)
    assert find_engine("demo", root).owner == engine.identity
    engine.kill()
    assert list_engines(root) == []
    with pytest.raises(NotRunning):
        find_engine("demo", root)


def test_unreadable_connection_files_are_passed_over(root: Path) -> None:
    (root / "future.json").write_text('{"name": "future", "version": "9"}')
    (root / "broken.json").write_text("{")
    connection().write(root)
    assert [engine.name for engine in list_engines(root)] == ["demo"]
    clean_stale(root, [])
    assert (root / "future.json").exists()


def test_fields_of_a_later_version_are_passed_over(root: Path) -> None:
    path = connection().write(root)
    path.write_text(path.read_text().replace("{", '{"colour": "blue",', 1))
    assert list_engines(root) == [connection()]


@pytest.mark.process
def test_a_running_engines_name_is_taken(root: Path, start: Callable[[], Engine]) -> None:
    engine = start()
    connection(owner=engine.identity).write(root)
    with pytest.raises(NameTaken, match="'demo' is already running"):
        connection().write(root)
    engine.kill()
    connection().write(root)
    assert find_engine("demo", root).owner == ME


def test_an_engine_may_publish_itself_again(root: Path) -> None:
    connection().write(root)
    connection(started=5).write(root)
    assert find_engine("demo", root).started == 5


@pytest.mark.process
def test_of_many_that_want_a_name_one_gets_it(root: Path, start: Callable[[], Engine]) -> None:
    owners = [start().identity for _ in range(3)]
    won, refused, barrier = [], [], threading.Barrier(len(owners))

    def publish(owner: ProcessIdentity) -> None:
        barrier.wait()
        try:
            connection(owner=owner).write(root)
            won.append(owner)
        except NameTaken:
            refused.append(owner)

    threads = [threading.Thread(target=publish, args=[owner]) for owner in owners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert len(refused) == 2
    assert find_engine("demo", root).owner == won[0]


def test_withdrawing_removes_what_is_ones_own(root: Path) -> None:
    mine, other = connection(root=root), connection("demo-2", root=root)
    mine.write(root)
    other.write(root)
    with bind(mine.router), bind(other.router):
        mine.remove(root)
        mine.remove(root)
    assert {path.name for path in root.iterdir()} == {".lock", "demo-2.json", "demo-2.router"}


def test_withdrawing_spares_a_successor(root: Path) -> None:
    connection(owner=dead()).write(root)
    connection().write(root)
    connection(owner=dead()).remove(root)
    assert find_engine("demo", root).owner == ME
