"""Blocks with content that can be told apart."""

from __future__ import annotations

import random
from pathlib import Path

from livebatch.block import Encoded
from livebatch.engine.store import SharedMemoryStore

MIB = 1 << 20


def block(size: int, seed: int = 0, index: tuple[int, ...] = ()) -> Encoded:
    return Encoded("pickle", 1, [random.Random(seed).randbytes(size)], index)


def content(encoded: Encoded) -> bytes:
    return b"".join(encoded.chunks)


def assert_nothing_partial(store: SharedMemoryStore, directory: Path, used: int) -> None:
    assert store.used() == used
    assert [path for path in directory.iterdir() if path.name not in store.ids()] == []
