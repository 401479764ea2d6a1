"""What every store of blocks promises, and what files add to it."""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebatch.block import INLINE_LIMIT, BlockRef, Encoded, encode, read_rows
from livebatch.engine.spill import write_all
from livebatch.engine.store import SPILL, MemoryStore, SharedMemoryStore
from livebatch.errors import BlockLost, DefinitionError, StoreFull
from tests.engine.blocks import MIB, block, content

Store: TypeAlias = SharedMemoryStore | MemoryStore


@pytest.fixture(params=["shared memory", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return SharedMemoryStore(tmp_path, 64 * MIB) if "shared" in request.param else MemoryStore()


@pytest.fixture
def shared(tmp_path: Path) -> SharedMemoryStore:
    return SharedMemoryStore(tmp_path, 64 * MIB)


@pytest.mark.parametrize("size", [0, 1, INLINE_LIMIT, INLINE_LIMIT + 1, 3 * MIB])
def test_gives_back_what_was_put(store: Store, size: int) -> None:
    ref = store.put(block(size), "a")
    assert store.get(ref) == content(block(size))
    assert (ref.id, ref.rows, ref.nbytes, ref.format) == ("a", 1, size, "pickle")


def test_gives_back_rows(store: Store) -> None:
    rows = [(f"word-{i}", i) for i in range(20_000)]
    ref = store.put(encode(rows), "rows")
    assert ref.inline is None
    assert read_rows(ref, store) == rows


def test_takes_chunks_of_every_kind(store: Store) -> None:
    numbers = np.arange(100_000)
    chunks = [b"head", b"", numbers.data, pa.py_buffer(b"tail" * 10), memoryview(b"")]
    ref = store.put(Encoded("pickle", 5, chunks), "mixed")
    assert store.get(ref) == b"head" + numbers.tobytes() + b"tail" * 10


def test_takes_more_chunks_than_one_system_call(store: Store) -> None:
    chunks = [bytes([i % 256]) * 100 for i in range(3_000)]
    assert store.get(store.put(Encoded("pickle", 0, chunks), "many")) == b"".join(chunks)


@pytest.mark.parametrize("size", [1_000, 1 * MIB])
def test_keeps_the_index_of_a_map_output(store: Store, size: int) -> None:
    encoded = block(size, index=(0, 10, size))
    ref = store.put(encoded, "map").at(1)
    assert store.get(ref)[ref.span()] == content(encoded)[10:]


def test_small_blocks_travel_inline(store: Store) -> None:
    ref = store.put(block(INLINE_LIMIT), "small")
    assert ref.inline == content(block(INLINE_LIMIT))
    assert (store.ids(), store.used()) == (set(), 0)


def test_accounts_for_large_blocks(store: Store) -> None:
    store.put(block(MIB), "a")
    store.put(block(2 * MIB), "b.1")
    assert (store.ids(), store.used()) == ({"a", "b.1"}, 3 * MIB)
    store.delete("a")
    assert (store.ids(), store.used()) == ({"b.1"}, 2 * MIB)


def test_a_deleted_block_is_lost(store: Store) -> None:
    ref = store.put(block(MIB), "a")
    store.delete("a")
    store.delete("a")
    with pytest.raises(BlockLost, match="a is no longer"):
        store.get(ref)


def test_the_same_block_again_is_harmless(store: Store) -> None:
    first, second = store.put(block(MIB), "a"), store.put(block(MIB), "a")
    assert first == second
    assert store.get(first) == content(block(MIB))
    assert store.used() == MIB


def test_a_view_survives_what_happens_to_its_block(store: Store) -> None:
    ref = store.put(block(MIB, seed=1), "a")
    view = store.get(ref)
    store.put(block(2 * MIB, seed=2), "a")
    store.delete("a")
    store.close()
    assert view == content(block(MIB, seed=1))


def test_another_block_of_the_same_id_is_not_mistaken_for_it(store: Store) -> None:
    old = store.put(block(MIB), "a")
    new = store.put(block(2 * MIB), "a")
    with pytest.raises(BlockLost):
        store.get(old)
    assert store.get(new) == content(block(2 * MIB))


@pytest.mark.parametrize("size", [10, MIB])
def test_blocks_are_read_only(store: Store, size: int) -> None:
    view = store.get(store.put(block(size), "a"))
    with pytest.raises(TypeError):
        view[0] = 0


def test_closing_twice_is_harmless(store: Store) -> None:
    store.put(block(MIB), "a")
    store.close()
    store.close()


# What only files can do


def mappings(path: Path) -> list[str]:
    return [line for line in Path("/proc/self/maps").read_text().splitlines() if str(path) in line]


needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="looks at mappings in /proc")


@needs_proc
def test_reading_maps_the_file_and_copies_nothing(
    shared: SharedMemoryStore, tmp_path: Path
) -> None:
    view = shared.get(shared.put(block(MIB), "a"))
    [mapping] = mappings(tmp_path / "a")
    start, end = (int(number, 16) for number in mapping.split()[0].split("-"))
    assert start <= np.frombuffer(view, np.uint8).ctypes.data < end


@needs_proc
def test_a_mapping_lives_as_long_as_a_view_and_holds_no_descriptor(
    shared: SharedMemoryStore, tmp_path: Path
) -> None:
    ref = shared.put(block(MIB), "a")
    before = len(os.listdir("/proc/self/fd"))
    view = shared.get(ref)[10:20]
    assert len(os.listdir("/proc/self/fd")) == before
    assert mappings(tmp_path / "a")
    del view
    assert not mappings(tmp_path / "a")


@pytest.mark.parametrize("id", ["", "../a", "a/b", ".hidden", "a~b", "a\n", "ä"])
@pytest.mark.parametrize("use", ["put", "get", "delete"])
def test_refuses_ids_that_name_no_file_of_its_own(
    shared: SharedMemoryStore, id: str, use: str
) -> None:
    arguments: dict[str, tuple[Any, ...]] = {
        "put": (block(10), id),
        "get": (BlockRef(id, 1, MIB, "pickle"),),
        "delete": (id,),
    }
    with pytest.raises(DefinitionError, match="id of a block"):
        getattr(shared, use)(*arguments[use])


@pytest.mark.parametrize("size", [0, 10, 3 * MIB])
def test_a_block_can_be_put_where_it_takes_no_memory(tmp_path: Path, size: int) -> None:
    store = SharedMemoryStore(tmp_path, budget=1 * MIB)
    with pytest.raises(StoreFull):
        store.put_on_disk(block(size), "nowhere")
    (tmp_path / SPILL).mkdir()
    ref = store.put_on_disk(block(size), "a")
    assert store.get(ref) == content(block(size))
    assert (ref.inline, store.used(), store.ids()) == (None, 0, set())
    store.delete("a")
    with pytest.raises(BlockLost):
        store.get(ref)


def test_other_users_cannot_read_blocks(shared: SharedMemoryStore, tmp_path: Path) -> None:
    shared.put(block(MIB), "a")
    assert (tmp_path / "a").stat().st_mode & 0o077 == 0


def test_closing_removes_the_directory(shared: SharedMemoryStore, tmp_path: Path) -> None:
    ref = shared.put(block(MIB), "a")
    (tmp_path / ".owner").write_text("someone")
    shared.close()
    assert not tmp_path.exists()
    with pytest.raises(BlockLost):
        shared.get(ref)
    with pytest.raises(FileNotFoundError):
        shared.put(block(MIB), "b")


def test_a_writer_cannot_finish_in_a_closed_store(
    shared: SharedMemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "writev", closing_first(shared, os.writev))
    with pytest.raises(FileNotFoundError):
        shared.put(block(MIB), "a")
    assert [path for path in tmp_path.parent.iterdir() if path.name.startswith(tmp_path.name)] == []


def closing_first(shared: SharedMemoryStore, writev: Callable[..., int]) -> Callable[..., int]:
    def close_then_write(file: int, chunks: list[memoryview]) -> int:
        shared.close()
        return writev(file, chunks)

    return close_then_write


def test_a_block_cannot_slip_into_a_store_that_is_being_emptied(
    shared: SharedMemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.put(block(MIB), "a")
    remove, refused = shutil.rmtree, []

    def put_then_remove(directory: Path) -> None:
        with pytest.raises(FileNotFoundError) as error:
            shared.put(block(MIB), "late")
        refused.append(error.value)
        remove(directory)

    monkeypatch.setattr(shutil, "rmtree", put_then_remove)
    shared.close()
    assert len(refused) == 1


@given(
    sizes=st.lists(st.integers(0, 50), max_size=40),
    takes=st.lists(st.integers(1, 60), min_size=1, max_size=10),
)
def test_short_writes_lose_nothing(sizes: list[int], takes: list[int]) -> None:
    chunks = [random.Random(i).randbytes(size) for i, size in enumerate(sizes)]
    limits = iter(takes * (sum(sizes) + 1))

    def short_writev(file: int, buffers: list[memoryview]) -> int:
        return os.write(file, b"".join(buffers)[: next(limits)])

    with tempfile.TemporaryFile() as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "writev", short_writev)
        write_all(file.fileno(), chunks)
        file.seek(0)
        assert file.read() == b"".join(chunks)
