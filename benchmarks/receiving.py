"""What receivers take in: bare, and with each block on disk before it counts."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from statistics import median
from time import perf_counter

import livebatch as lb
from benchmarks.measure import Measure

LINES = 400_000
LINE = b"x" * 99 + b"\n"
CHUNK = 1000
ROUNDS = 3


def throughput(durable: bool, lines: int = LINES) -> float:
    """Return how many lines of 100 bytes a second a receiver takes in from a socket, until all
    of them are in batches that have settled.

    Args:
        durable: whether blocks go to disk before they are reported.
        lines: how many are sent.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        begun: list[float] = []

        def serve() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                begun.append(perf_counter())
                for _ in range(lines // CHUNK):
                    connection.sendall(LINE * CHUNK)
                connection.recv(1)

        sending = threading.Thread(target=serve)
        sending.start()
        with lb.StreamingContext("100ms", workers=1) as ssc:
            stream = ssc.socket_text_stream("127.0.0.1", server.getsockname()[1], durable=durable)
            counted, all_there = [0], threading.Event()

            def add(rdd: lb.RDD[str]) -> None:
                counted[0] += sum(rdd.collect())
                if counted[0] >= lines:
                    all_there.set()

            stream.count().foreach_rdd(add, on="kernel")
            ssc.start()
            if not all_there.wait(60):
                raise RuntimeError(f"only {counted[0]} of {lines} lines came")
            taken = perf_counter() - begun[0]
        sending.join()
    return lines / taken


def run() -> list[Measure]:
    """Measure both, in turns."""
    pairs = [(throughput(False), throughput(True)) for _ in range(ROUNDS)]
    bare, durable = (median(column) for column in zip(*pairs, strict=True))
    ratio = median(b / a for a, b in pairs)
    return [
        Measure("bare: lines a second", bare, ""),
        Measure("durable: lines a second", durable, "", None, bare, "bare"),
        Measure("durable, of bare", ratio, "×"),
    ]
