"""What systems that call Python for records, or for lists of them, are given to call."""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter

import msgspec

from benchmarks.peers.answers import TEN_SECONDS
from benchmarks.peers.data import ADS, WINDOW, WORD

WANTED = f" {WORD} "
CAMPAIGNS = dict(zip(*(column.to_pylist() for column in ADS.columns), strict=True))

Pair = tuple[tuple[int, int], tuple[int, int]]
rank = itemgetter(1, 0)


@dataclass
class Event:
    """The fields that are needed."""

    ad_id: str
    event_type: str
    event_time: int


def event(line: str) -> Event:
    return msgspec.json.decode(line, type=Event)


def is_wanted(line: str) -> bool:
    return WANTED in line


def is_view(event: Event) -> bool:
    return event.event_type == "view" and event.ad_id in CAMPAIGNS


def by_window(event: Event) -> Pair:
    """Return ((start, campaign), (1, time)) of an event."""
    time = event.event_time
    return (time // TEN_SECONDS * TEN_SECONDS, CAMPAIGNS[event.ad_id]), (1, time)


def both(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    return a[0] + b[0], max(a[1], b[1])


class Views:
    """How many views each campaign has in each window, and when the last was."""

    def __init__(self) -> None:
        self.counts = Counter[tuple[int, int]]()
        self.last = 0

    def add(self, pairs: Iterable[Pair]) -> None:
        for key, (count, time) in pairs:
            self.counts[key] += count
            self.last = max(self.last, time)


class Words:
    """How often each word is in the newest batches."""

    def __init__(self) -> None:
        self._batches = deque[Counter[str]]()
        self._total = Counter[str]()

    def slide(self, lines: Iterable[str]) -> list[tuple[str, int]]:
        """Take in a batch, and return the ten most frequent words."""
        self._batches.append(Counter(chain.from_iterable(map(str.split, lines))))
        self._total.update(self._batches[-1])
        if len(self._batches) > WINDOW:
            self._total.subtract(self._batches.popleft())
        return heapq.nlargest(10, self._total.items(), key=rank)
