"""Serve lines over TCP, for ever: what the servers beside the notebooks have in common."""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import Callable, Iterator
from itertools import islice

TICK_S = 0.02
MOST = 10_000
"""Lines written at a time; so a client that was away for long costs no memory."""

Make = Callable[[float], Iterator[bytes]]
"""Takes the rate, in lines a second; gives the lines for a client, without end."""


async def feed(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lines: Iterator[bytes], rate: float
) -> None:
    """Send a client ``rate`` lines a second until it goes away; a slow one is waited for."""
    clock = asyncio.get_running_loop().time
    start, sent = clock(), 0
    try:
        while True:
            due = min(MOST, int((clock() - start) * rate) + 1 - sent)
            writer.writelines(islice(lines, due))
            sent += due
            await writer.drain()
            next_due = start + sent / rate - clock()
            await asyncio.sleep(0 if due == MOST else max(TICK_S, next_due))
    except (ConnectionError, asyncio.CancelledError):
        pass  # not raised: Python 3.11 would print a traceback for each client when it stops
    finally:
        writer.close()


async def serve(
    make: Callable[[float], Iterator[bytes]], host: str, port: int, rate: float
) -> None:
    """Serve until SIGINT or SIGTERM; every client gets lines of its own making."""

    async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await feed(reader, writer, make(rate), rate)

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = await asyncio.start_server(welcome, host, port)
    print("serving on {}:{}".format(*server.sockets[0].getsockname()), flush=True)
    await stop.wait()
    server.close()


def positive(text: str) -> float:
    """Return a number above 0, for argparse."""
    if not float(text) > 0:
        raise argparse.ArgumentTypeError(f"must be above 0, not {text}")
    return float(text)


def run(description: str, make: Make) -> None:
    """Read the command line and serve.

    Args:
        description: what is served, for ``--help``.
        make: the lines.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--host", default="127.0.0.1", help="address to serve on [%(default)s]")
    parser.add_argument("--port", type=int, default=0, help="port to serve on [any free one]")
    parser.add_argument("--rate", type=positive, default=100.0, help="lines a second [%(default)g]")
    options = parser.parse_args()
    asyncio.run(serve(make, options.host, options.port, options.rate))
