"""Lines of text from a TCP server that is told which of them have been received for good."""

from __future__ import annotations

import socket

import msgspec

from livebatch.errors import SourceError
from livebatch.sources.base import Receiver

POLL_S = 0.05
CHUNK = 1 << 16


class Source(msgspec.Struct, frozen=True):
    """Return a stream of the lines that a server sends, each of which begins with its number.

    The number of the last line is sent back once the engine, and if the stream is ``durable`` the
    disk, has all lines up to it. What was not acknowledged when a connection is lost, the server
    sends again.
    """

    port: int

    def run(self, receiver: Receiver) -> None:
        """Connect; emit lines and acknowledge them.

        Raises:
            SourceError: the server has ended the connection.
        """
        with socket.create_connection(("127.0.0.1", self.port), 5.0) as server:
            server.settimeout(POLL_S)
            receiver.report("receiving", f"from port {self.port}")
            rest = b""
            while not receiver.stopping():
                try:
                    data = server.recv(CHUNK)
                except TimeoutError:
                    continue
                if not data:
                    raise SourceError("the server has ended the connection")
                *lines, rest = (rest + data).split(b"\n")
                if lines:
                    receiver.emit([line.decode() for line in lines])
                    receiver.flush()
                    server.sendall(lines[-1].split(b" ")[0] + b"\n")
