"""Blocks on disk: whole or not there, in order, and never two of one name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebatch.block import Encoded, decode, encode
from livebatch.engine.durable import DurableBlocks, block_id, state_dir
from livebatch.errors import BlockLost


def rows_of(block: Encoded) -> list[object]:
    data = memoryview(b"".join(map(bytes, block.chunks)))
    return [row for part in decode(data, block.format) for row in part]


def ids(durable: DurableBlocks, stream: str, known: set[str] | None = None) -> list[str]:
    return [block.id for block in durable.unclaimed(stream, known or set()).blocks]


def put(durable: DurableBlocks, stream: str, start: int, number: int, *rows: object) -> str:
    durable.put(encode(list(rows)), id := block_id(stream, start, number))
    return id


def test_what_is_put_is_read_again(tmp_path: Path) -> None:
    durable = DurableBlocks(tmp_path)
    for number, rows in enumerate((["a", "b"], [{1, 2}], [(1, "x")] * 100_000), 1):
        put(durable, "s1", 1, number, *rows)
        ref = DurableBlocks(tmp_path).unclaimed("s1", ()).blocks[-1]
        assert (ref.rows, ref.inline) == (len(rows), None)
        assert rows_of(durable.read(ref)) == rows


def test_unclaimed_blocks_come_in_the_order_in_which_they_were_written(tmp_path: Path) -> None:
    durable = DurableBlocks(tmp_path)
    written = [put(durable, "s1", start, n, n) for start in (9, 10) for n in (1, 2, 9, 10, 11)]
    put(durable, "s11", 1, 1, 0)
    put(durable, "s1-1", 1, 1, 0)
    assert ids(durable, "s1") == written
    assert ids(durable, "s1", set(written[:3])) == written[3:]
    durable.delete([*written[1:], "s1-99.1", "s1@5-0", "../s1-9.1"])
    assert ids(durable, "s1") == written[:1]
    assert ids(durable, "s11") == ["s11-1.1"]
    assert ids(durable, "none") == []


def test_no_start_is_numbered_twice(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "by it"
    starts = [DurableBlocks(folder).begin("s1") for _ in range(11)]
    assert starts == list(range(1, 12))
    assert DurableBlocks(folder).begin("s2") == 1
    assert len(list(folder.iterdir())) == 2
    DurableBlocks(folder).remove()
    assert not folder.exists()
    DurableBlocks(folder).remove()


def test_a_block_is_never_overwritten(tmp_path: Path) -> None:
    durable = DurableBlocks(tmp_path)
    put(durable, "s1", 1, 1, "first")
    with pytest.raises(FileExistsError):
        put(durable, "s1", 1, 1, "second")
    (ref,) = durable.unclaimed("s1", ()).blocks
    assert rows_of(durable.read(ref)) == ["first"]


@given(data=st.data())
def test_what_is_torn_or_spoilt_is_told_from_what_is_whole(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("blocks")
    durable = DurableBlocks(folder)
    for number in (1, 2, 3):
        put(durable, "s1", 1, number, number)
    refs = durable.unclaimed("s1", ()).blocks
    (path,) = folder.glob("s1-1.2.*")
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        path.write_bytes(whole[:at])
    else:
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
    found = durable.unclaimed("s1", ())
    assert [block.id for block in found.blocks] == ["s1-1.1", "s1-1.3"]
    assert found.damaged == [path]
    with pytest.raises(BlockLost):
        durable.read(refs[1])


def test_where_state_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    fallback = tmp_path / ".local" / "state" / "livebatch" / "demo"
    assert state_dir("demo", {}) == fallback
    assert state_dir("demo", {"XDG_STATE_HOME": "relative"}) == fallback
