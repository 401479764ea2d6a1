"""Serve made-up tweets for ever, one JSON object a line: who wrote it, and a text with hashtags.

Some hashtags are far more frequent than others, as in real life (Zipf's law: the second is used
half as often as the first, the third a third as often). On top of that, one after another has its
moment: half a minute in which it rises above all others and is forgotten again::

    python notebooks/tweet_server.py --port 9999 --rate 100
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import accumulate, count
from math import pi, sin
from random import Random

OPENINGS = ["Good morning", "Look at this", "Long day", "Finally", "Back again", "No words"]
ENDINGS = ["and so it goes", "who else?", "more tomorrow", "love it", "see you there"]
TAGS = [
    "music",
    "news",
    "art",
    "food",
    "travel",
    "photo",
    "sunday",
    "coffee",
    "books",
    "football",
    "film",
    "nature",
    "dogs",
    "cats",
    "rain",
    "summer",
    "work",
    "school",
    "history",
    "running",
    "science",
    "cooking",
    "bikes",
    "trains",
    "garden",
    "chess",
    "jazz",
    "poetry",
    "maps",
    "sewing",
    "birds",
    "lakes",
    "bread",
    "museum",
    "theatre",
    "radio",
    "stars",
    "moon",
    "tides",
    "bees",
]
TRENDS = ["eclipse", "cupfinal", "firstsnow"]
MOMENT_S = 30
PEAK = 0.45
"""The part of all tweets that a trend has at its height."""


def tweets(rate: float, seed: int = 1) -> Iterator[bytes]:
    """Yield tweets without end, as they come at so many a second; the same ones for a seed."""
    random = Random(seed)
    weights = list(accumulate(1 / rank for rank in range(1, len(TAGS) + 1)))
    for number in count():
        moment, into = divmod(number / rate, MOMENT_S)
        tags = random.choices(TAGS, cum_weights=weights, k=random.choice([1, 1, 2]))
        if random.random() < PEAK * sin(pi * into / MOMENT_S) ** 2:
            tags[0] = TRENDS[int(moment) % len(TRENDS)]
        words = [random.choice(OPENINGS), random.choice(ENDINGS), *(f"#{tag}" for tag in tags)]
        tweet = {"user": f"user{random.randrange(1000)}", "text": " ".join(words)}
        yield f"{json.dumps(tweet)}\n".encode()


if __name__ == "__main__":
    from line_server import run  # beside this file

    run("Serve made-up tweets over TCP, for ever.", tweets)
