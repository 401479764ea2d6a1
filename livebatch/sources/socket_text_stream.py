"""Lines of text from a TCP server."""

from __future__ import annotations

import errno
import os
import selectors
import socket
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from livebatch.clock import deadline
from livebatch.errors import DefinitionError, SourceError
from livebatch.sources.base import Receiver
from livebatch.sources.lines import LineDecoder, check_encoding

POLL_S = 0.1
CONNECT_S = 10.0
CHUNK = 256 * 1024
LONGEST_LINE = 64 * 1024 * 1024


class Source(msgspec.Struct, frozen=True):
    r"""Return a stream of the lines that a TCP server sends, each a ``str``.

    Lines are separated by ``\n``; a ``\r`` before it is dropped, and bytes that are not text of
    the encoding become U+FFFD. What follows the last ``\n`` when the server closes the
    connection is a line too. The connection is made again, after a while, whenever it cannot be
    made or is lost; what the server sends meanwhile is the server's to keep.

    Args:
        hostname: the server's name or IP address.
        port: the server's TCP port, 1 to 65535.
        encoding: of the text, a name that Python knows.

    Raises:
        DefinitionError: the host name is empty, the port out of range, or there is no such
            encoding.

    Example:
        Type into ``nc -lk 9999`` in a terminal, and count words::

            lines = ssc.socket_text_stream("localhost", 9999)
            lines.flat_map(str.split).count_by_value().pprint()
    """

    hostname: str
    port: int
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        _check_hostname(self.hostname)
        if type(self.port) is not int or not 1 <= self.port <= 65535:
            raise DefinitionError(f"port must be a number from 1 to 65535, not {self.port!r}")
        check_encoding(self.encoding)

    @property
    def address(self) -> str:
        return f"{self.hostname}:{self.port}"

    def run(self, receiver: Receiver) -> None:
        """Connect, and emit lines as they come.

        Raises:
            SourceError: the server cannot be reached, or has ended the connection.
        """
        receiver.report("connecting", f"to {self.address}")
        connection = self._connect(receiver.stopping)
        if connection is None:
            return
        with connection:
            receiver.report("receiving", f"from {self.address}")
            self._receive(connection, receiver)

    def _connect(self, stopping: Callable[[], bool]) -> socket.socket | None:
        """Connect to the first of the server's addresses that answers; None when stopping."""
        try:
            found = socket.getaddrinfo(self.hostname, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise SourceError(
                f"cannot find the host {self.hostname} ({_reason(error)}): "
                "is its name spelt right, and is there a network?"
            ) from error
        problem: OSError | None = None
        for family, kind, protocol, _, address in found:
            try:
                return _dial(socket.socket(family, kind, protocol), address, stopping)
            except OSError as error:
                problem = error
            if stopping():
                return None
        raise SourceError(
            f"cannot connect to {self.address} ({_reason(problem)}): "
            f"is something serving there? try `nc -lk {self.port}`"
        ) from problem

    def _receive(self, connection: socket.socket, receiver: Receiver) -> None:
        lines = LineDecoder(self.encoding)
        for data in self._chunks(connection, receiver.stopping):
            records = lines.feed(data) if data else lines.finish()
            if records:
                receiver.emit(records)
            if not data:
                raise SourceError(f"{self.address} closed the connection: has the server stopped?")
            if lines.held > LONGEST_LINE:
                raise SourceError(
                    f"{self.address} sent {lines.held:,} characters without a newline: "
                    "does it send lines of text?"
                )

    def _chunks(self, connection: socket.socket, stopping: Callable[[], bool]) -> Iterator[bytes]:
        """Yield what arrives, ``b""`` at its end; no more when stopping."""
        connection.settimeout(POLL_S)
        data = b"more"
        while data and not stopping():
            try:
                data = connection.recv(CHUNK)
            except TimeoutError:
                continue
            except OSError as error:
                raise SourceError(
                    f"lost the connection to {self.address} ({_reason(error)})"
                ) from error
            yield data


def _check_hostname(hostname: object) -> None:
    if not isinstance(hostname, str) or not hostname.strip():
        raise DefinitionError(
            f'hostname must be the name of a machine, such as "localhost", not {hostname!r}'
        )


def _dial(connection: socket.socket, address: Any, stopping: Callable[[], bool]) -> socket.socket:
    """Connect; unlike ``socket.connect``, give up soon after one should stop."""
    try:
        connection.setblocking(False)
        problem = connection.connect_ex(address)
        if problem == errno.EINPROGRESS:
            problem = _outcome(connection, stopping)
        if problem:
            raise OSError(problem, os.strerror(problem))
    except BaseException:
        connection.close()
        raise
    return connection


def _outcome(connection: socket.socket, stopping: Callable[[], bool]) -> int:
    """Wait until a connection is made or refused; return 0 or the number of the error."""
    limit = deadline(CONNECT_S)
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_WRITE)
        while not selector.select(POLL_S):
            if limit.passed() or stopping():
                return errno.ETIMEDOUT
    return connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def _reason(error: Exception | None) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
