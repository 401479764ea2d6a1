"""Serve text for ever, to have something to stream: ``nc`` with a book in it.

The text is Python's own language reference, as the standard library carries it for ``help()``
(`pydoc_data.topics`). Every client gets all of its lines from the first on, at a steady rate, and
after the last the first again::

    python notebooks/corpus_server.py --port 9999 --rate 100
"""

from __future__ import annotations

from itertools import cycle
from pydoc_data.topics import topics


def corpus() -> list[bytes]:
    """Return the lines of the text that are not blank, each with its end."""
    lines = (line for name in sorted(topics) for line in topics[name].splitlines())
    return [f"{line}\n".encode() for line in lines if line.strip()]


if __name__ == "__main__":
    from line_server import run  # beside this file

    lines = corpus()
    run("Serve lines of text over TCP, for ever.", lambda rate: cycle(lines))
