"""Processes of an engine that died may outlive it for a moment, and find the one that is started
in its place: it takes no notice of them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import livebatch as lb
from livebatch.block import BlockRef, encode
from livebatch.calls import Raised
from livebatch.events import BatchFailed, Event, OutputBegun
from livebatch.failure import Failure
from livebatch.transport import Line
from livebatch.wire import Hello, Received
from tests.helpers import eventually, line_server

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def ssc() -> Iterator[lb.StreamingContext]:
    with lb.StreamingContext("100ms", workers=1) as ssc:
        ssc.start()
        yield ssc


@contextmanager
def stranger(ssc: lb.StreamingContext, role: str, name: str) -> Iterator[Line]:
    """Give a line of a process that the engine has not started."""
    connection: Any = ssc.connection
    line = Line(connection.found.router, Hello(role, name, os.getpid()), alive=lambda: True)
    try:
        yield line
    finally:
        line.close()


def wait_at(gate: Path, rdd: lb.RDD[int]) -> None:
    rdd.count()
    while not gate.exists():
        threading.Event().wait(0.01)


def test_another_driver_is_neither_called_nor_believed(
    ssc: lb.StreamingContext, tmp_path: Path
) -> None:
    gate, events, done = tmp_path / "gate", list[Event](), list[int]()
    ssc.connection.listen(events.append)
    numbers = ssc.register("numbers", ssc.queue_stream(default=[1]))
    numbers.foreach_rdd(lambda rdd: done.append(rdd.count()), on="kernel")
    with ssc.defining("numbers"):
        numbers.foreach_rdd(partial(wait_at, gate))
    begun = eventually(lambda: [e for e in events if isinstance(e, OutputBegun) and not e.name])[0]
    with stranger(ssc, "driver", "main") as main, stranger(ssc, "driver", "call") as caller:
        caller.send(Raised(f"{begun.output}@{begun.time}", Failure("Stale", "of another engine")))
        before = len(done)
        eventually(lambda: len(done) > before)
        gate.touch()
        before = len(done)
        eventually(lambda: len(done) > before + 3)
        assert main.receive(0) is None
    assert not [event for event in events if isinstance(event, BatchFailed)]
    ssc.remove("numbers")


def test_another_receiver_gets_no_order_and_its_blocks_do_not_count(
    ssc: lb.StreamingContext,
) -> None:
    with line_server() as server:
        lines = ssc.register("lines", ssc.socket_text_stream("127.0.0.1", server.port))
        rows: list[str] = []
        lines.foreach_rdd(lambda rdd: rows.extend(rdd.collect()), on="kernel")
        eventually(lambda: server.connections)
        server.send("a")
        eventually(lambda: rows == ["a"])
        with stranger(ssc, "receiver", lines.id) as other:
            block = encode(["b"])
            data = b"".join(map(bytes, block.chunks))
            other.send(Received(lines.id, BlockRef("b", 1, len(data), block.format, data)))
            assert other.receive(1.0) is None
        server.send("c")
        eventually(lambda: "c" in rows)
        assert rows == ["a", "c"]
        ssc.remove("lines")
