"""What push sources have given is there after an engine has died, once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from livebatch.block import BlockRef, encode
from livebatch.engine.beginning import go_on, nothing_spare
from livebatch.engine.checkpoints import Checkpoints
from livebatch.engine.durable import block_id
from livebatch.testing import ManualContext


def receive(ssc: ManualContext, stream: Any, number: int) -> BlockRef:
    """Have the engine receive a block with the row ``number``."""
    engine = ssc.stepped.engine
    ref = engine.executor.store.put(encode([number]), block_id(stream.id, 1, number))
    engine.received(stream.id, ref)
    return ref


def reborn(folder: Path, spare: Any) -> ManualContext:
    """Return a context of an engine that has gone on."""
    ssc = ManualContext("1s")
    go_on(ssc.stepped.engine, Checkpoints(str(folder), 10_000), spare=spare)
    ssc._take_up()
    return ssc


def test_small_blocks_that_are_on_disk_too_are_there(tmp_path: Path) -> None:
    ssc = ManualContext("1s", checkpoint=str(tmp_path))
    lines = ssc.register("lines", ssc.socket_text_stream("localhost", 9999, durable=True))
    ssc.start()
    receive(ssc, lines, 1)
    Checkpoints(str(tmp_path), 10_000).take(ssc.stepped.engine)
    with reborn(tmp_path, spare=lambda block: encode([1])) as again:
        again.advance("1s")
        assert again.streams["lines"].latest().collect() == [1]


def test_the_newest_block_is_known_where_a_batch_has_not_taken_all(tmp_path: Path) -> None:
    ssc = ManualContext("1s", checkpoint=str(tmp_path))
    lines = ssc.register("lines", ssc.socket_text_stream("localhost", 9999, buffer=1))
    ssc.start()
    ssc.advance("1s")
    blocks = [receive(ssc, lines, number) for number in (1, 2, 3)]
    ssc.stepped._checkpoints.take(ssc.stepped.engine)  # type: ignore[union-attr]
    ssc.advance("1s")
    with reborn(tmp_path, spare=nothing_spare) as again:
        allocator = again.stepped.engine.allocator
        assert [block.id for block in allocator.received_blocks[lines.id]] == [
            block.id for block in blocks[1:]
        ]
        assert allocator.newest[lines.id] == blocks[-1].id
