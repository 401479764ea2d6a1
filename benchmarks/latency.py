"""How long a record is on its way: from a TCP server's send to a subscribed client."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic_ns, sleep
from typing import Any

import livebatch as lb
from benchmarks.measure import Measure, percentile
from livebatch.block import read_table
from livebatch.engine.store import SharedMemoryStore
from livebatch.events import BatchSettled, Event

RATE = 1000
INTERVAL_MS = 100
WARM_UP, RECORDS = 1_000, 5_000
SLACK_MS = 50


def run() -> list[Measure]:
    """Measure the socket alone, then the whole way."""
    with server() as port:
        alone = list(heard_bare(port))[WARM_UP:]
    with server() as port:
        whole = heard_through(port)[WARM_UP:]
    half = INTERVAL_MS / 2
    return [
        Measure(f"{RATE:,} records/s, {INTERVAL_MS} ms batches (p50)", percentile(whole, 0.5), "ms",
                None, half, "half an interval, which waiting for the batch costs"),
        Measure("the same (p99)", percentile(whole, 0.99), "ms", INTERVAL_MS + SLACK_MS,
                INTERVAL_MS, "an interval, which the first of a batch waits"),
        Measure("the same (largest)", max(whole), "ms"),
        Measure("read from the socket at once (p50)", percentile(alone, 0.5), "ms"),
        Measure("the same (p99)", percentile(alone, 0.99), "ms"),
    ]  # fmt: skip


@contextmanager
def server() -> Iterator[int]:
    """Give the port of a server, in a process of its own, that sends the time RATE times a
    second."""
    command = [sys.executable, "-m", "benchmarks.latency"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def heard_bare(port: int) -> Iterator[float]:
    """Yield the age of each record, in ms, as a plain socket gives it."""
    with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile() as file:
        for _, line in zip(range(WARM_UP + RECORDS), file, strict=False):
            yield (monotonic_ns() - int(line)) / 1e6


def heard_through(port: int) -> list[float]:
    """Return the age of each record, in ms, when a client of an engine has read it."""
    ages: list[float] = []
    enough = threading.Event()
    with lb.StreamingContext(f"{INTERVAL_MS}ms", workers=2) as ssc:
        connection: Any = ssc.connection
        store = SharedMemoryStore(Path(connection.found.shared_memory), 0)

        def listen(event: Event) -> None:
            if isinstance(event, BatchSettled):
                tables = [read_table(block, store) for block in event.batch.blocks]
                sent = [int(line) for table in tables for line in table["value"].to_pylist()]
                now = monotonic_ns()
                ages.extend((now - at) / 1e6 for at in sent)
                if len(ages) >= WARM_UP + RECORDS:
                    enough.set()

        ssc.connection.listen(listen)
        ssc.register("lines", ssc.socket_text_stream("127.0.0.1", port))
        ssc.start()
        assert enough.wait(60), f"only {len(ages)} records in a minute"
    return ages


def serve() -> None:
    """Send the time, RATE times a second, to whoever connects."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        begun, sent = monotonic_ns(), 0
        with connection, suppress(ConnectionError):
            while True:
                due = (monotonic_ns() - begun) * RATE // 10**9
                connection.sendall(f"{monotonic_ns()}\n".encode() * (due - sent))
                sent = due
                sleep(1 / RATE)


if __name__ == "__main__":
    serve()
