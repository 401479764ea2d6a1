"""Serve text for ever, to have something to stream: ``nc`` with a book in it.

The text is Python's own language reference, as the standard library carries it for ``help()``
(`pydoc_data.topics`). Every client gets all of its lines from the first on, at a steady rate, and
after the last the first again::

    python notebooks/corpus_server.py --port 9999 --rate 100
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from functools import partial
from itertools import cycle, islice
from pydoc_data.topics import topics

TICK_S = 0.02
MOST = 10_000
"""Lines written at a time; so a client that was away for long costs no memory."""


def corpus() -> list[bytes]:
    """Return the lines of the text that are not blank, each with its end."""
    lines = (line for name in sorted(topics) for line in topics[name].splitlines())
    return [f"{line}\n".encode() for line in lines if line.strip()]


async def feed(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lines: list[bytes], rate: float
) -> None:
    """Send a client ``rate`` lines a second until it goes away; a slow one is waited for."""
    clock = asyncio.get_running_loop().time
    endless, start, sent = cycle(lines), clock(), 0
    try:
        while True:
            due = min(MOST, int((clock() - start) * rate) + 1 - sent)
            writer.writelines(islice(endless, due))
            sent += due
            await writer.drain()
            next_due = start + sent / rate - clock()
            await asyncio.sleep(0 if due == MOST else max(TICK_S, next_due))
    except (ConnectionError, asyncio.CancelledError):
        pass  # not raised: Python 3.11 would print a traceback for each client when it stops
    finally:
        writer.close()


async def serve(host: str, port: int, rate: float) -> None:
    """Serve until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = await asyncio.start_server(partial(feed, lines=corpus(), rate=rate), host, port)
    print("serving on {}:{}".format(*server.sockets[0].getsockname()), flush=True)
    await stop.wait()
    server.close()


def positive(text: str) -> float:
    """Return a number above 0, for argparse."""
    if not float(text) > 0:
        raise argparse.ArgumentTypeError(f"must be above 0, not {text}")
    return float(text)


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description="Serve lines of text over TCP, for ever.")
    parser.add_argument("--host", default="127.0.0.1", help="address to serve on [%(default)s]")
    parser.add_argument("--port", type=int, default=0, help="port to serve on [any free one]")
    parser.add_argument("--rate", type=positive, default=100.0, help="lines a second [%(default)g]")
    options = parser.parse_args()
    asyncio.run(serve(options.host, options.port, options.rate))


if __name__ == "__main__":
    main()
