"""Blocks as one table: mapped where they lie, opened anew where there is no room."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from livebatch.block import BlockStore, encode, encode_table
from livebatch.engine.store import SPILL, MemoryStore, SharedMemoryStore
from livebatch.errors import BlockLost, QueryError
from livebatch.events import Batch
from livebatch.sql import adhoc
from livebatch.sql.adhoc import Streams
from livebatch.sql.database import Database
from livebatch.sql.recent import Recent
from livebatch.testing import START, ManualContext
from livebatch.wire import Message, Settled
from tests.query.conftest import Ask

ROOM = 1 << 30
LARGE = 50_000
"""So many integers are no small block."""

_ids = count()


def batch(time: int, store: BlockStore, *parts: pa.Table | list[Any]) -> Batch:
    blocks = []
    for part in parts:
        encoded = encode_table(part) if isinstance(part, pa.Table) else encode(part)
        blocks.append(store.put(encoded, f"block-{next(_ids)}"))
    return Batch("out", "t", time, f"s@{time}", tuple(blocks), sum(ref.rows for ref in blocks))


def ask(sql: str, recent: Recent) -> list[dict[str, Any]]:
    with Database({"t": recent}.__getitem__) as database:
        return database.run(sql).to_pylist()  # type: ignore[no-any-return]


def opened(tables: Iterable[pa.Table], room: int = ROOM) -> Recent:
    store = MemoryStore()
    return Recent([batch(i + 1, store, table) for i, table in enumerate(tables)], store, room)


@pytest.fixture
def shared(tmp_path: Path) -> SharedMemoryStore:
    return SharedMemoryStore(tmp_path, ROOM)


def test_mapped_blocks_are_not_copied(shared: SharedMemoryStore) -> None:
    table = pa.table({"n": np.arange(1_000_000), "x": np.zeros(1_000_000)})
    batches = [batch(time, shared, table) for time in (1, 2, 3)]
    before = pa.total_allocated_bytes()
    recent = Recent(batches, shared, ROOM)
    taken = pa.total_allocated_bytes() - before
    assert recent.nbytes > 45_000_000
    assert taken < 100_000
    assert ask("SELECT count(*) AS n, sum(n) AS s FROM t", recent) == [
        {"n": 3_000_000, "s": 3 * 999_999 * 500_000}
    ]


def test_a_mapped_block_may_be_deleted(shared: SharedMemoryStore) -> None:
    made = batch(1, shared, pa.table({"n": np.arange(LARGE)}))
    recent = Recent([made], shared, ROOM)
    shared.delete(made.blocks[0].id)
    assert ask("SELECT max(n) AS n FROM t", recent) == [{"n": LARGE - 1}]


def test_blocks_on_disk_need_not_fit_into_memory(tmp_path: Path) -> None:
    (tmp_path / SPILL).mkdir()
    store = SharedMemoryStore(tmp_path, ROOM)
    batches = [batch(time, store, pa.table({"n": np.arange(LARGE)})) for time in range(1, 11)]
    assert all(store.spill(made.blocks[0]) > 8 * LARGE for made in batches)
    before = pa.total_allocated_bytes()
    recent = Recent(batches, store, 8 * LARGE + 10_000)
    assert pa.total_allocated_bytes() - before < 2 * 8 * LARGE
    assert ask("SELECT sum(n) AS s, count(DISTINCT batch_time) AS b FROM t", recent) == [
        {"s": 10 * LARGE * (LARGE - 1) // 2, "b": 10}
    ]


@pytest.mark.parametrize("room", [0, 3 * 8 * LARGE, ROOM])
def test_room_changes_no_result(room: int) -> None:
    tables = [pa.table({"n": np.arange(LARGE) + i}) for i in range(5)]
    recent = opened(tables, room)
    for source in "t", "t JOIN t again USING (batch_time, n)":
        sql = f"SELECT epoch_ms(batch_time) AS t, sum(n) AS s FROM {source} GROUP BY 1 ORDER BY 1"
        assert ask(sql, recent) == [
            {"t": i + 1, "s": int(np.arange(LARGE).sum()) + i * LARGE} for i in range(5)
        ]


def test_what_has_no_room_does_not_stay_open(shared: SharedMemoryStore) -> None:
    opened_files = Path("/proc/self/maps")
    if not opened_files.exists():
        pytest.skip("there is no way to see what is mapped")
    batches = [batch(i, shared, pa.table({"n": np.arange(LARGE)})) for i in (1, 2, 3)]
    recent = Recent(batches, shared, 8 * LARGE + 10_000)
    mapped = [b.blocks[0].id in opened_files.read_text() for b in batches]
    assert mapped == [False, False, True]
    assert ask("SELECT count(*) AS n FROM t", recent) == [{"n": 3 * LARGE}]


def test_a_block_with_several_chunks_has_one_time() -> None:
    chunks = [pa.table({"n": [i] * (i + 1)}) for i in range(50)]
    recent = opened([pa.concat_tables(chunks), pa.table({"n": [7]}), pa.concat_tables(chunks[:3])])
    found = ask(
        "SELECT epoch_ms(batch_time) AS t, count(*) AS n FROM t GROUP BY 1 ORDER BY 1", recent
    )
    assert [(row["t"], row["n"]) for row in found] == [(1, 50 * 51 // 2), (2, 1), (3, 6)]
    filtered = ask("SELECT epoch_ms(batch_time) AS t FROM t WHERE n = 2", recent)
    assert [row["t"] for row in filtered] == [1, 1, 1, 3, 3, 3]


def test_an_empty_table_has_columns() -> None:
    recent = opened([pa.table({"n": pa.array([], pa.int32())})])
    assert ask("SELECT sum(n) AS s FROM t", recent) == [{"s": None}]
    assert ask("SELECT column_name FROM (DESCRIBE t)", recent)[1] == {"column_name": "n"}


@pytest.mark.parametrize(
    ("columns", "kind", "seen"),
    [
        ([pa.array([1]), pa.array([2**64 - 1], pa.uint64())], "DECIMAL(38,0)", [1, 2**64 - 1]),
        ([pa.array(["a"]), pa.array(["b", "b"]).dictionary_encode()], "VARCHAR", ["a", "b", "b"]),
        ([pa.array(["a"]).dictionary_encode(), pa.array(["b"]).dictionary_encode()],
         "VARCHAR", ["a", "b"]),
        ([pa.array([1], pa.int8()), pa.array([2], pa.int32())], "INTEGER", [1, 2]),
        ([pa.array([1], pa.int8()), pa.array([], pa.string())], "VARCHAR", ["1"]),
    ],
)  # fmt: skip
def test_tables_of_different_types(columns: list[pa.Array], kind: str, seen: list[Any]) -> None:
    recent = opened(pa.table({"c": column}) for column in columns)
    assert [row["c"] for row in ask("SELECT c FROM t", recent)] == seen
    assert ask("DESCRIBE t", recent)[1]["column_type"] == kind


def test_a_column_that_comes_twice() -> None:
    table = pa.table([pa.array([1]), pa.array([2])], names=["n", "n"])
    assert ask("SELECT n, n_1 FROM t", opened([table])) == [{"n": 1, "n_1": 2}]


def test_a_block_that_is_gone(shared: SharedMemoryStore) -> None:
    made = batch(1, shared, pa.table({"n": np.arange(LARGE)}))
    recent = Recent([made], shared, 0)
    shared.delete(made.blocks[0].id)
    with pytest.raises(QueryError):
        ask("SELECT sum(n) FROM t", recent)
    assert recent.lost is not None
    assert recent.lost.block_id == made.blocks[0].id
    with pytest.raises(BlockLost):
        Recent([made], shared, 0)


# -- forgotten while they are asked for ----------------------------------------------------------


def large(ssc: ManualContext) -> None:
    """Register ``numbers``, which keeps two batches of blocks that are not small."""
    ssc.register("numbers", ssc.queue_stream([range(i, i + LARGE) for i in range(6)]), "2s")
    ssc.start()
    ssc.advance("3s")


def test_forgotten_before_it_is_opened(
    ssc: ManualContext, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    large(ssc)
    request, asked = ssc.connection.request, []

    def forgetting(message: Message) -> Message:
        reply = request(message)
        if isinstance(message, Settled):
            asked.append(message)
            if len(asked) == 1:
                ssc.advance("1s")
        return reply

    monkeypatch.setattr(ssc.connection, "request", forgetting)
    result = ask("SELECT min(value) AS low, max(value) AS high FROM numbers")
    assert list(result) == [{"low": 2, "high": 3 + LARGE - 1}]
    assert result.origins[0].first == START + 3000
    assert len(asked) == 2


def test_forgotten_before_it_is_opened_again(
    ssc: ManualContext, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    large(ssc)
    find: Callable[..., Recent] = Streams.find
    found: list[str] = []

    def forgetting(streams: Streams, name: str) -> Recent:
        recent = find(streams, name)
        found.append(name)
        if len(found) == 1:
            ssc.advance("1s")
        return recent

    monkeypatch.setattr(Streams, "find", forgetting)
    monkeypatch.setattr(adhoc, "memory_share", lambda: 0)
    result = ask("SELECT min(value) AS low, max(value) AS high FROM numbers")
    assert list(result) == [{"low": 2, "high": 3 + LARGE - 1}]
    assert found == ["numbers", "numbers"]


def test_lost_for_good(ssc: ManualContext, ask: Ask) -> None:
    large(ssc)
    store = ssc.stepped.executor.store
    for id in store.ids():
        store.delete(id)
    with pytest.raises(BlockLost):
        ask("FROM numbers")
