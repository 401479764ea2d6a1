"""Streamz, whose functions take lists: all lines of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from streamz import Stream

from benchmarks.peers.answers import finished
from benchmarks.peers.functions import Views, Words, by_window, event, is_view, is_wanted


def emitted(files: list[Path], source: Stream) -> None:
    for file in files:
        source.emit(file.read_text().splitlines())


def grep(files: list[Path]) -> Any:
    source, found = Stream(), list[int]()
    source.map(lambda lines: sum(map(is_wanted, lines))).sink(found.append)
    emitted(files, source)
    return sum(found)


def word_count(files: list[Path]) -> Any:
    def slid(words: Words, lines: list[str]) -> tuple[Words, Any]:
        return words, words.slide(lines)

    source, found = Stream(), list[Any]()
    source.accumulate(slid, start=Words(), returns_state=True).sink(found.append)
    emitted(files, source)
    return found[-1]


def campaigns(files: list[Path]) -> Any:
    source, views = Stream(), Views()
    pairs = source.map(lambda lines: map(by_window, filter(is_view, map(event, lines))))
    pairs.sink(views.add)
    emitted(files, source)
    return lambda: finished(views.counts, views.last)
