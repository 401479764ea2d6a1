"""Serve made-up messages for ever, one JSON object a line: who sent it, and a text.

Most senders write now and then; a few write much more, and always the same. Now and then a line is
broken off in the middle, as happens on real networks::

    python notebooks/message_server.py --port 9999 --rate 100
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from random import Random

PEOPLE = [f"{name}{number}" for name in ("ada", "ben", "cleo", "dan") for number in range(50)]
SPAMMERS = {"prize4u": 12, "cheap-pills": 9, "crypto-guru": 7, "lucky-win": 4}
"""Of a hundred messages, how many each of them sends."""
SUBJECTS = ["lunch?", "the report", "see you at six", "happy birthday!", "photos from Sunday"]
OFFERS = ["YOU HAVE WON", "90 % off, today only", "get rich by Friday", "click here"]
BROKEN_EVERY = 500


def messages(rate: float, seed: int = 1) -> Iterator[bytes]:
    """Yield messages without end, the same ones for a seed."""
    random = Random(seed)
    senders = [*SPAMMERS, None]
    weights = [*SPAMMERS.values(), 100 - sum(SPAMMERS.values())]
    for number in count(1):
        (spammer,) = random.choices(senders, weights)
        sender = spammer or random.choice(PEOPLE)
        text = random.choice(OFFERS if spammer else SUBJECTS)
        line = json.dumps({"sender": sender, "text": text})
        if number % BROKEN_EVERY == 0:
            line = line[: len(line) // 2]
        yield f"{line}\n".encode()


if __name__ == "__main__":
    from line_server import run  # beside this file

    run("Serve made-up messages over TCP, for ever.", messages)
