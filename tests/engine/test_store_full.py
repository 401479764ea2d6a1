"""What a store does when there is no room, on file systems that are really full."""

from __future__ import annotations

import errno
import os
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from livebatch.engine import store as store_module
from livebatch.engine.store import MemoryStore, SharedMemoryStore
from livebatch.errors import StoreFull
from tests.engine.blocks import MIB, assert_nothing_partial, block, content

TMPFS_SIZE = 4 * MIB


@pytest.fixture
def small_tmpfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory with room for 4 MiB: a real tmpfs, or an imitation of one where none may be."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_SIZE}", "tmpfs", str(tmp_path)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        warnings.warn("no permission to mount a tmpfs: its being full is imitated", stacklevel=1)
        imitate_small_disk(tmp_path, monkeypatch)
        yield tmp_path
        return
    yield tmp_path
    # Lazily: a test may still hold a mapping.
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def imitate_small_disk(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def free(where: object = None) -> int:
        return TMPFS_SIZE - sum(file.stat().st_size for file in directory.iterdir())

    def reserve(file: int, offset: int, size: int) -> None:
        if size > free():
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store_module, "free_space", free)
    monkeypatch.setattr(os, "posix_fallocate", reserve)


def test_a_full_file_system_refuses_the_block(small_tmpfs: Path) -> None:
    store = SharedMemoryStore(small_tmpfs, 64 * MIB)
    kept = store.put(block(3 * MIB), "kept")
    with pytest.raises(StoreFull, match=r"big needs 2\.0 MiB, but only 1\.0 MiB are free") as full:
        store.put(block(2 * MIB), "big")
    assert str(small_tmpfs) in str(full.value)
    assert isinstance(full.value.__cause__, OSError)
    assert full.value.__cause__.errno == errno.ENOSPC
    assert_nothing_partial(store, small_tmpfs, 3 * MIB)
    assert store.get(kept) == content(block(3 * MIB))


def test_there_is_room_again_when_a_block_is_deleted(small_tmpfs: Path) -> None:
    store = SharedMemoryStore(small_tmpfs, 64 * MIB)
    store.put(block(3 * MIB), "first")
    with pytest.raises(StoreFull):
        store.put(block(3 * MIB), "second")
    store.delete("first")
    ref = store.put(block(3 * MIB, seed=2), "second")
    assert store.get(ref) == content(block(3 * MIB, seed=2))


@pytest.mark.parametrize("failure", ["absent", "unsupported"])
def test_a_full_file_system_is_noticed_without_reservation(
    small_tmpfs: Path, monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    def unsupported(file: int, offset: int, size: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    if failure == "absent":
        monkeypatch.delattr(os, "posix_fallocate")
    else:
        monkeypatch.setattr(os, "posix_fallocate", unsupported)
    store = SharedMemoryStore(small_tmpfs, 64 * MIB)
    store.put(block(3 * MIB), "kept")
    monkeypatch.delattr(os, "writev")
    with pytest.raises(StoreFull, match="big needs 2"):
        store.put(block(2 * MIB), "big")
    assert_nothing_partial(store, small_tmpfs, 3 * MIB)


def test_the_budget_refuses_the_block(tmp_path: Path) -> None:
    store = SharedMemoryStore(tmp_path, 3 * MIB)
    store.put(block(2 * MIB), "kept")
    with pytest.raises(StoreFull, match=r"big needs 2\.0 MiB, but only 1\.0 MiB are left of the m"):
        store.put(block(2 * MIB), "big")
    assert_nothing_partial(store, tmp_path, 2 * MIB)


def test_the_budget_is_shared_with_other_writers(tmp_path: Path) -> None:
    mine, theirs = SharedMemoryStore(tmp_path, 8 * MIB), SharedMemoryStore(tmp_path, 8 * MIB)
    mine.put(block(MIB), "mine")
    theirs.put(block(6 * MIB), "theirs")
    with pytest.raises(StoreFull):
        mine.put(block(2 * MIB), "more")


def test_many_writes_do_not_pass_the_budget(tmp_path: Path) -> None:
    store = SharedMemoryStore(tmp_path, 8 * MIB)
    fitting = 8 * MIB // 100_000
    for i in range(fitting):
        store.put(block(100_000), f"b{i}")
    with pytest.raises(StoreFull):
        store.put(block(100_000), "last")
    assert 8 * MIB - 100_000 < store.used() <= 8 * MIB


def test_a_store_in_memory_has_a_budget_too() -> None:
    store = MemoryStore(budget=3 * MIB)
    store.put(block(2 * MIB), "kept")
    with pytest.raises(StoreFull, match="only 1"):
        store.put(block(2 * MIB), "big")
    assert store.ids() == {"kept"}
