"""Numbered records, so that it is known at the end what there must be."""

from __future__ import annotations

import os
import random
import socket
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path

PAUSE_S = 0.05
PADDING = 700
"""Characters that make lines long, so that now and then a block is too large for a message."""


class LineSender:
    """A TCP server that sends each line until it is acknowledged.

    A line is ``NUMBER ATTEMPT PADDING``; the attempt is the number of the connection, so that no
    two lines that are ever sent are the same. What a connection that ends has not acknowledged, the
    next one sends again.

    Attributes:
        sent: how many numbers there are.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.sent = 0
        self._waiting: deque[int] = deque()
        self._enough = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def enough(self) -> None:
        """Think of no more lines."""
        self._enough.set()

    @property
    def acknowledged(self) -> bool:
        """Whether all that was sent has been acknowledged."""
        return self._enough.is_set() and not self._waiting

    def close(self) -> None:
        self._closed.set()
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        self._listener.settimeout(PAUSE_S)
        attempt = 0
        while not self._closed.is_set():
            try:
                connection, _ = self._listener.accept()
            except (TimeoutError, OSError):
                continue
            attempt += 1
            with connection, suppress(OSError):
                self._serve(connection, attempt)

    def _serve(self, connection: socket.socket, attempt: int) -> None:
        connection.settimeout(5.0)
        again, acknowledgements = list(self._waiting), b""
        while not self._closed.is_set():
            numbers, again = again or self._fresh(), []
            text = "".join(f"{n} {attempt} {'x' * PADDING}\n" for n in numbers)
            connection.sendall(text.encode())
            if numbers:
                acknowledgements = self._hear(connection, acknowledgements, numbers[-1])
            self._closed.wait(PAUSE_S)

    def _fresh(self) -> list[int]:
        if self._enough.is_set():
            return []
        first, self.sent = self.sent, self.sent + self._random.choice([0, 1, 5, 20, 100])
        self._waiting.extend(range(first, self.sent))
        return list(range(first, self.sent))

    def _hear(self, connection: socket.socket, heard: bytes, last: int) -> bytes:
        """Wait until all lines up to one are acknowledged."""
        while self._waiting and self._waiting[0] <= last:
            try:
                data = connection.recv(4096)
            except TimeoutError:
                if self._closed.is_set():
                    raise
                continue
            if not data:
                raise ConnectionResetError
            *numbers, heard = (heard + data).split(b"\n")
            for number in map(int, numbers):
                while self._waiting and self._waiting[0] <= number:
                    self._waiting.popleft()
        return heard


class FileSender:
    """Moves text files with a number in each line into a folder.

    Attributes:
        sent: how many numbers there are.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._random = folder, random.Random(seed)
        self.sent = 0
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def enough(self) -> None:
        self._enough.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._enough.wait(self._random.uniform(0.05, 0.3)):
            first, self.sent = self.sent, self.sent + self._random.choice([1, 10, 50])
            draft = self._folder / f".{first}"
            draft.write_text("".join(f"{n}\n" for n in range(first, self.sent)))
            os.replace(draft, self._folder / f"{first}.txt")
