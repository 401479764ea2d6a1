"""Lines over real sockets."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from livebatch.errors import DefinitionError, SourceError
from livebatch.sources import PushSource, source
from livebatch.sources import socket_text_stream as module
from tests.sources.collector import Collector, collect, running

STOP_S = 0.2 + 0.8  # what is promised, and slack for a busy machine


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        yield server


def client_of(server: socket.socket, **options: Any) -> PushSource:
    made = source("socket_text_stream", options_for(server, **options))
    assert isinstance(made, PushSource)
    return made


def options_for(server: socket.socket, **options: Any) -> dict[str, Any]:
    return {"hostname": "127.0.0.1", "port": server.getsockname()[1], **options}


def address(server: socket.socket) -> str:
    return "{}:{}".format(*server.getsockname())


@contextmanager
def serving(server: socket.socket, data: bytes) -> Iterator[None]:
    """Send some bytes to the first client and close the connection."""

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            connection.sendall(data)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def test_lines_arrive_while_the_connection_is_open(server: socket.socket) -> None:
    with running(client_of(server)) as collector:
        connection, _ = server.accept()
        with connection:
            for piece, records in [
                (b"one\ntw", ["one"]),
                (b"o\r\nthree \xe2\x82", ["one", "two"]),
                (b"\xac\n\n", ["one", "two", "three €", ""]),
            ]:
                connection.sendall(piece)
                collector.wait_for(lambda c, records=records: c.records == records)
            collector.stop()
            collector.wait_for(lambda c: c.ended)
    assert [state for state, _ in collector.reports] == ["connecting", "receiving"]
    assert collector.error is None
    assert all(isinstance(emitted, list) and emitted for emitted in collector.emitted)


def test_more_than_one_buffer_in_order(server: socket.socket) -> None:
    lines = [f"ligne numéro {i} €" for i in range(100_000)]
    with serving(server, "\n".join(lines).encode()):
        collector = collect(client_of(server))
    assert collector.records == lines
    assert 1 < len(collector.emitted) < len(lines) / 10


@pytest.mark.parametrize(
    ("data", "records"), [(b"a\nb", ["a", "b"]), (b"a\n", ["a"]), (b"", []), (b"\xe2", ["\ufffd"])]
)
def test_what_is_left_when_the_server_closes_is_a_line(
    server: socket.socket, data: bytes, records: list[str]
) -> None:
    with serving(server, data):
        collector = collect(client_of(server))
    assert collector.records == records
    assert isinstance(collector.error, SourceError)
    assert "closed the connection" in str(collector.error)


def test_another_encoding(server: socket.socket) -> None:
    with serving(server, "één\ntwee\n".encode("utf-16")):
        assert collect(client_of(server, encoding="utf-16")).records == ["één", "twee"]


def test_a_reset_connection_is_an_error(server: socket.socket) -> None:
    with running(client_of(server)) as collector:
        connection, _ = server.accept()
        with connection:
            collector.wait_for(
                lambda c: c.reports[-1:] == [("receiving", f"from {address(server)}")]
            )
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        collector.wait_for(lambda c: c.ended)
    assert isinstance(collector.error, SourceError)
    assert f"lost the connection to {address(server)}" in str(collector.error)


def test_a_refused_connection_says_what_to_try() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    collector = collect(source("socket_text_stream", {"hostname": "localhost", "port": port}))
    assert isinstance(collector.error, SourceError)
    assert str(collector.error) == (
        f"cannot connect to localhost:{port} (connection refused): "
        f"is something serving there? try `nc -lk {port}`"
    )
    assert collector.reports == [("connecting", f"to localhost:{port}")]


@pytest.mark.parametrize("hostname", ["no-such-host.invalid", "a" * 300, "two words"])
def test_an_unknown_host_is_an_error(hostname: str) -> None:
    error = collect(source("socket_text_stream", {"hostname": hostname, "port": 1})).error
    assert isinstance(error, SourceError)
    assert f"cannot find the host {hostname}" in str(error)


def test_the_next_address_of_a_host_is_tried(
    server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        refused = other.getsockname()
    stream = (socket.AF_INET, socket.SOCK_STREAM, 0, "")
    found = [(*stream, refused), (*stream, server.getsockname())]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with serving(server, b"found\n"):
        assert collect(client_of(server)).records == ["found"]


def test_a_line_that_never_ends_is_an_error(
    server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_LINE", 1000)
    with serving(server, b"x" * 1001):
        error = collect(client_of(server)).error
    assert isinstance(error, SourceError)
    assert "without a newline" in str(error)


class Impatient(Collector):
    """Tells the source to stop when it has asked a few times, and notes when it asked."""

    def __init__(self, asks: int = 5) -> None:
        super().__init__()
        self._asks, self._asked = asks, [time.monotonic()]

    def stopping(self, seconds: float = 0.0) -> bool:
        self._asked.append(time.monotonic())
        return len(self._asked) > self._asks

    def longest(self) -> float:
        """How long the source did not ask, or went on, in seconds."""
        return max(end - start for start, end in pairwise([*self._asked, time.monotonic()]))


@pytest.fixture
def busy_server() -> Iterator[socket.socket]:
    """A server whose queue of connections is full, so that connecting to it takes for ever."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        clients = [socket.socket() for _ in range(4)]
        for client in clients:
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield server
        for client in clients:
            client.close()


def test_it_stops_soon_while_connecting(busy_server: socket.socket) -> None:
    collector = Impatient()
    assert collector.collect(client_of(busy_server)).error is None
    assert [state for state, _ in collector.reports] == ["connecting"]
    assert collector.longest() < STOP_S


def test_it_stops_soon_while_nothing_comes(server: socket.socket) -> None:
    collector = Impatient()
    assert collector.collect(client_of(server)).error is None
    assert (collector.emitted, collector.reports[-1][0]) == ([], "receiving")
    assert collector.longest() < STOP_S


def test_connecting_is_given_up_after_a_while(
    busy_server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CONNECT_S", 0.2)
    error = collect(client_of(busy_server)).error
    assert isinstance(error, SourceError)
    assert "timed out" in str(error)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"hostname": ""}, "hostname"),
        ({"hostname": " "}, "hostname"),
        ({"hostname": None}, "hostname"),
        ({"port": 0}, "port"),
        ({"port": 65536}, "port"),
        ({"port": "9999"}, "port"),
        ({"port": True}, "port"),
        ({"encoding": "no-such"}, "encoding"),
    ],
)
def test_wrong_options_are_refused_where_they_are_written(
    options: dict[str, Any], what: str
) -> None:
    with pytest.raises(DefinitionError, match=what):
        source("socket_text_stream", {"hostname": "localhost", "port": 9999, **options})


def test_options_come_back() -> None:
    options = {"hostname": "localhost", "port": 9999, "encoding": "latin-1"}
    assert msgspec.to_builtins(source("socket_text_stream", options)) == options
