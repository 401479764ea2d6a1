"""Several processes at one store, some of them killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from livebatch.block import BlockRef, Encoded
from livebatch.engine.store import SharedMemoryStore
from tests.engine.blocks import MIB, assert_nothing_partial, block, content

pytestmark = pytest.mark.process


@pytest.fixture
def shared(tmp_path: Path) -> SharedMemoryStore:
    return SharedMemoryStore(tmp_path, 64 * MIB)


PRELUDE = """
import os, random, signal, sys
from pathlib import Path
from livebatch.block import BlockRef, Encoded
from livebatch.engine.store import SharedMemoryStore

store = SharedMemoryStore(Path(sys.argv[1]), 256 << 20)
seed = int(sys.argv[2])
size = 1 << 20
"""


def start(program: str, directory: Path, seed: int = 0) -> subprocess.Popen[str]:
    code = PRELUDE + textwrap.dedent(program)
    command = [sys.executable, "-c", code, str(directory), str(seed)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def finish(*processes: subprocess.Popen[str]) -> list[str]:
    outputs = [process.communicate()[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return outputs


def test_writers_of_one_id_never_show_half_a_block(
    shared: SharedMemoryStore, tmp_path: Path
) -> None:
    program = """
    sys.stdin.read()
    for _ in range(60):
        store.put(Encoded("pickle", 1, [bytes([seed]) * size]), "contested")
        store.put(Encoded("pickle", 1, [bytes([seed]) * size]), f"own-{seed}")
    """
    writers = [start(program, tmp_path, seed) for seed in (1, 2, 3)]
    ref = shared.put(Encoded("pickle", 1, [bytes(MIB)]), "contested")
    for writer in writers:
        assert writer.stdin
        writer.stdin.close()
        writer.stdin = None
    seen = set()
    while any(writer.poll() is None for writer in writers):
        values = np.unique(np.frombuffer(shared.get(ref), np.uint8))
        assert len(values) == 1
        seen.add(int(values[0]))
    finish(*writers)
    assert seen & {1, 2, 3}
    assert shared.ids() == {"contested", "own-1", "own-2", "own-3"}
    assert_nothing_partial(shared, tmp_path, 4 * MIB)


def test_another_process_reads_what_was_written(shared: SharedMemoryStore, tmp_path: Path) -> None:
    shared.put(block(MIB, seed=7), "a")
    program = """
    view = store.get(BlockRef("a", 1, size, "pickle"))
    print(view == random.Random(seed).randbytes(size))
    """
    assert finish(start(program, tmp_path, seed=7)) == ["True"]


def test_a_block_outlives_its_writer(shared: SharedMemoryStore, tmp_path: Path) -> None:
    program = """
    store.put(Encoded("pickle", 1, [random.Random(seed).randbytes(size)]), "a")
    sys.stdout.write("done")
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)
    """
    writer = start(program, tmp_path, seed=9)
    assert writer.communicate()[0] == "done"
    assert writer.returncode == -signal.SIGKILL
    assert shared.get(BlockRef("a", 1, MIB, "pickle")) == content(block(MIB, seed=9))


def test_a_writer_killed_half_way_leaves_no_block(
    shared: SharedMemoryStore, tmp_path: Path
) -> None:
    program = """
    def die(file, chunks):
        os.write(file, bytes(1000))
        os.kill(os.getpid(), signal.SIGKILL)
    os.writev = die
    store.put(Encoded("pickle", 1, [bytes(size)]), "a")
    """
    shared.put(block(MIB), "kept")
    writer = start(program, tmp_path)
    writer.communicate()
    assert writer.returncode == -signal.SIGKILL
    assert shared.ids() == {"kept"}
    assert shared.used() == 2 * MIB
    shared.forget_writer(writer.pid)
    assert_nothing_partial(shared, tmp_path, MIB)


def test_forgetting_a_writer_spares_blocks_and_other_writers(
    shared: SharedMemoryStore, tmp_path: Path
) -> None:
    shared.put(block(MIB), "12")
    (tmp_path / "123~0").write_bytes(bytes(10))
    shared.forget_writer(12)
    assert {path.name for path in tmp_path.iterdir()} == {"12", "123~0"}
