"""Receivers in real processes: too much input, input on disk, dying receivers, graceful stops."""

from __future__ import annotations

import errno
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

import livebatch as lb
from livebatch.block import encode
from livebatch.engine import receiving
from livebatch.engine.child import Child
from livebatch.engine.durable import DurableBlocks, block_id, state_dir
from livebatch.errors import DefinitionError
from livebatch.events import Event, SourceChanged
from livebatch.testing import ManualContext
from tests.helpers import eventually, line_server, processes

pytestmark = pytest.mark.process

PADDING = "x" * 90
BUFFER = 200_000


class Gate:
    """Lets a stream's function go on only when it is open."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, line: str) -> int:
        while not self._path.exists():
            threading.Event().wait(0.01)
        return int(line.split()[0])

    def open(self) -> None:
        self._path.touch()


class Numbered:
    """A TCP server that sends numbered lines to its newest connection as fast as they are taken."""

    def __init__(self, count: int) -> None:
        self.sent = 0
        self._count = count
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._connection = self._listener
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            self._connection, _ = self._listener.accept()
            while self.sent < self._count:
                upto = min(self._count, self.sent + 500)
                lines = "".join(f"{n} {PADDING}\n" for n in range(self.sent, upto))
                self._connection.sendall(lines.encode())
                self.sent = upto

    def close(self) -> None:
        for opened in (self._listener, self._connection):
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for opened in (self._listener, self._connection):
            opened.close()


@contextmanager
def numbered(count: int) -> Iterator[Numbered]:
    server = Numbered(count)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    gate = Gate(tmp_path / "gate")
    yield gate
    gate.open()  # workers may wait at it


@pytest.fixture(scope="module")
def running() -> Iterator[lb.StreamingContext]:
    """A context that runs all the time."""
    with embedded() as ssc:
        ssc.start()
        yield ssc


@pytest.fixture
def ssc(running: lb.StreamingContext) -> Iterator[lb.StreamingContext]:
    """The context that runs all the time; the streams of a test go with it."""
    yield running
    for name in list(running.streams):
        running.remove(name)


@contextmanager
def embedded(batch: str = "100ms") -> Iterator[lb.StreamingContext]:
    with lb.StreamingContext(batch, engine="embedded", workers=1) as ssc:
        yield ssc


def states(ssc: lb.StreamingContext) -> list[str]:
    """A list to which the state of every source is added whenever it changes."""
    said: list[str] = []

    def hear(event: Event) -> None:
        if isinstance(event, SourceChanged):
            said.append(event.state.state)

    ssc.connection.listen(hear)
    return said


def collected(stream: lb.DStream[Any]) -> list[Any]:
    rows: list[Any] = []
    stream.foreach_rdd(lambda rdd: rows.extend(rdd.collect()), on="kernel")
    return rows


def status(ssc: lb.StreamingContext) -> Any:
    (found,) = ssc.status().streams
    return found.input


def gated(ssc: lb.StreamingContext, server: Any, gate: Gate, **options: Any) -> list[int]:
    """The numbers that come through a gate, from a stream called ``numbers``."""
    lines = ssc.socket_text_stream("127.0.0.1", server.port, **options)
    return collected(ssc.register("numbers", lines.map(gate)))


# -- too much input --------------------------------------------------------------------------


def test_block_holds_the_server_up_and_loses_nothing(ssc: lb.StreamingContext, gate: Gate) -> None:
    count = 150_000
    with numbered(count) as server:
        said = states(ssc)
        rows = gated(ssc, server, gate, buffer=BUFFER)
        eventually(lambda: "waiting" in said)
        sent = eventually(lambda: server.sent if still(lambda: server.sent) else 0)
        assert sent < count
        found = status(ssc)
        assert BUFFER <= found.waiting < 10 * BUFFER
        assert (found.on_overflow, found.buffer, found.dropped) == ("block", BUFFER, 0)
        gate.open()
        eventually(lambda: len(rows) >= count, 60)
        eventually(lambda: said[-1] == "receiving" and status(ssc).waiting == 0)
    assert rows == list(range(count))


def still(value: Any, times: int = 30) -> bool:
    """Whether a value does not change for a while."""
    before = value()
    threading.Event().wait(times * 0.01)
    return bool(value() == before)


def test_drop_oldest_counts_what_it_drops(ssc: lb.StreamingContext, gate: Gate) -> None:
    count = 50_000
    with numbered(count) as server:
        said = states(ssc)
        rows = gated(ssc, server, gate, buffer=BUFFER, on_overflow="drop_oldest")
        eventually(lambda: server.sent == count)
        eventually(lambda: status(ssc).dropped and still(lambda: status(ssc).dropped))
        assert "dropping" in said
        gate.open()
        eventually(lambda: rows[-1:] == [count - 1], 60)
        assert len(rows) + status(ssc).dropped == count
    assert all(a < b for a, b in pairwise(rows))


def test_spill_puts_what_comes_on_disk(ssc: lb.StreamingContext, gate: Gate) -> None:
    count = 50_000
    with numbered(count) as server:
        said = states(ssc)
        rows = gated(ssc, server, gate, buffer=BUFFER, on_overflow="spill")
        eventually(lambda: server.sent == count)
        eventually(lambda: status(ssc).waiting > 50 * count)
        assert "spilling" in said
        assert ssc.status().stored < status(ssc).waiting / 2
        gate.open()
        eventually(lambda: len(rows) >= count, 60)
        assert status(ssc).dropped == 0
    assert rows == list(range(count))


def test_the_context_says_what_to_do_unless_the_source_does() -> None:
    with ManualContext() as ssc:
        ssc.on_overflow = "spill"
        for made, policy in (
            (ssc.system_metrics(), "spill"),
            (ssc.system_metrics(on_overflow="drop_oldest"), "drop_oldest"),
            (ssc.input_stream("system_metrics", buffer=1000), "spill"),
        ):
            assert made.options["receiving"]["on_overflow"] == policy
        for wrong in ({"on_overflow": "panic"}, {"buffer": 0}, {"durable": "yes"}):
            with pytest.raises(DefinitionError, match=next(iter(wrong))):
                ssc.system_metrics(**wrong)
        with pytest.raises(TypeError, match="durable"):
            ssc.rate_stream(durable=True)
    with pytest.raises(DefinitionError, match="on_overflow"):
        lb.StreamingContext(on_overflow="panic")


# -- on disk ---------------------------------------------------------------------------------


def test_what_is_durable_is_on_disk_and_goes_when_it_is_forgotten(
    ssc: lb.StreamingContext, gate: Gate
) -> None:
    connection: Any = ssc.connection
    folder = state_dir(connection.found.name)
    with line_server() as server:
        rows = gated(ssc, server, gate, durable=True)
        eventually(lambda: server.connections)
        server.send("1", "2")
        eventually(lambda: list(folder.glob("*.block")))
        gate.open()
        eventually(lambda: rows == [1, 2])
        eventually(lambda: not list(folder.glob("*.block")))


def test_what_was_received_is_found_after_everything_is_killed(gate: Gate) -> None:
    ssc = lb.StreamingContext("100ms", workers=1)
    with line_server() as server:
        lines = ssc.socket_text_stream("127.0.0.1", server.port, durable=True)
        ssc.register("numbers", lines.map(gate))
        ssc.start()
        eventually(lambda: server.connections)
        connection: Any = ssc.connection
        folder = state_dir(connection.found.name)
        durable = DurableBlocks(folder)
        for n in range(3):
            server.send(str(n))
            eventually(lambda n=n: len(durable.unclaimed(lines.id, ()).blocks) == n + 1)
        engine = psutil.Process(connection.found.owner.pid)
        children = engine.children()
        engine.kill()
        psutil.wait_procs([engine, *children], 10)
        found = durable.unclaimed(lines.id, ())
        read = [b"".join(map(bytes, durable.read(ref).chunks)) for ref in found.blocks]
    assert [ref.rows for ref in found.blocks] == [1, 1, 1]
    assert found.damaged == []
    assert [str(n).encode() in data for n, data in enumerate(read)] == [True] * 3
    durable.remove()


def test_a_receiver_waits_for_room_on_the_disk_before_it_starts(
    ssc: lb.StreamingContext, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(durable: DurableBlocks, stream: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    gate.open()
    with line_server() as server:
        with monkeypatch.context() as nearly:
            nearly.setattr(DurableBlocks, "begin", full)
            rows = gated(ssc, server, gate, durable=True)
            eventually(lambda: "no space left on device" in status(ssc).state)
            assert not processes(os.getpid(), "livebatch.engine.receiver")
        eventually(lambda: server.connections)
        server.send("1")
        eventually(lambda: rows == [1])


# -- receivers that die ----------------------------------------------------------------------


def test_a_receiver_that_dies_at_every_start_is_not_started_in_a_hurry(
    ssc: lb.StreamingContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "BACK_OFF", (0.05, 0.1, 60.0))
    started: list[str] = []

    def dying(module: str, *args: str) -> Child:
        started.append(args[-1])
        return Child("livebatch.engine.no_such_module", *args)

    monkeypatch.setattr(receiving, "Child", dying)
    ssc.register("load", ssc.system_metrics())
    said = "connecting its process died; starting again in 60 s, 3 × in a row"
    eventually(lambda: status(ssc).state == said)
    assert len(started) == 3


def test_a_receiver_that_has_worked_is_started_again_at_once(
    ssc: lb.StreamingContext, gate: Gate
) -> None:
    gate.open()
    with line_server() as server:
        rows = gated(ssc, server, gate, durable=True)
        for n in range(3):
            eventually(lambda n=n: len(server.connections) == n + 1)
            server.send(str(n))
            eventually(lambda n=n: len(rows) == n + 1)
            (pid,) = processes(os.getpid(), "livebatch.engine.receiver")
            os.kill(pid, signal.SIGKILL)
        assert rows == [0, 1, 2]


def test_what_a_dead_receiver_could_not_report_is_taken_in(
    ssc: lb.StreamingContext, gate: Gate
) -> None:
    gate.open()
    connection: Any = ssc.connection
    durable = DurableBlocks(state_dir(connection.found.name))
    with line_server() as server:
        lines = ssc.socket_text_stream("127.0.0.1", server.port, durable=True)
        rows = collected(ssc.register("numbers", lines.map(gate)))
        eventually(lambda: server.connections)
        server.send("1")
        eventually(lambda: rows == [1])
        durable.put(encode(["2"]), block_id(lines.id, 1, 2))  # its last deed
        (pid,) = processes(os.getpid(), "livebatch.engine.receiver")
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: len(server.connections) == 2)
        server.send("3")
        eventually(lambda: rows == [1, 2, 3])


# -- graceful stops --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"buffer": BUFFER},
        {"buffer": BUFFER, "on_overflow": "spill", "durable": True},
    ],
    ids=["blocked", "spilled"],
)
def test_a_graceful_stop_in_the_middle_loses_nothing_that_was_read(
    options: dict[str, Any], tmp_path: Path, gate: Gate
) -> None:
    out = tmp_path / "rows"

    def write(rdd: lb.RDD[int]) -> None:
        with out.open("a") as file:
            file.writelines(f"{n}\n" for n in rdd.collect())

    gate.open()
    with numbered(200_000) as server, embedded("100ms") as ssc:
        ssc.socket_text_stream("127.0.0.1", server.port, **options).map(gate).foreach_rdd(write)
        ssc.start()
        eventually(lambda: out.exists() and out.stat().st_size > 100_000)
        before = len(out.read_text().split())
        ssc.stop(stop_gracefully=True)
        after = [int(line) for line in out.read_text().split()]
    assert len(after) > before
    assert after == list(range(len(after)))


def unread(port: int) -> int:
    """How many bytes of connections to a port neither side has passed on, as Linux tells."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    queues = [row[4].split(":") for row in rows if f":{port:04X}" in row[1] + row[2]]
    return sum(int(queue, 16) for pair in queues for queue in pair)


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux tells what is unread")
@pytest.mark.parametrize("durable", [False, True])
def test_a_graceful_stop_loses_nothing_that_was_just_read(tmp_path: Path, durable: bool) -> None:
    out, count = tmp_path / "rows", 20_000

    def write(rdd: lb.RDD[str]) -> None:
        with out.open("a") as file:
            file.writelines(f"{line}\n" for line in rdd.collect())

    with line_server() as server, embedded("1s") as ssc:
        ssc.socket_text_stream("127.0.0.1", server.port, durable=durable).foreach_rdd(write)
        ssc.start()
        eventually(lambda: server.connections)
        server.send(*map(str, range(count)))
        eventually(lambda: unread(server.port) == 0)
        ssc.stop(stop_gracefully=True)
    assert out.read_text().split() == [str(n) for n in range(count)]
