"""Runs streams under a manual clock, and says what came of them at which second."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from livebatch.engine.executors.base import Executor
from livebatch.events import Message
from livebatch.framing import Channel, unpack
from livebatch.interval import from_datetime
from livebatch.rdd import RDD
from livebatch.stream import DStream
from livebatch.testing import START, ManualContext
from tests.model.oracle import History

Batches = dict[int, list[Any]]
"""Rows by the second, counted from the start, of the batch they are in."""


@contextmanager
def context(executor: Executor | None = None, on_error: str = "skip") -> Iterator[ManualContext]:
    """A context of one-second batches, to which all requests go as bytes, as to a process."""
    ssc = ManualContext("1s", executor=executor, on_error=on_error)
    channel, request = Channel(), ssc.stepped.request

    def send(message: Message, waiting: Any = None) -> Message:
        received: Any = unpack(channel.pack(message))
        return request(received)

    ssc.stepped.request = send  # type: ignore[method-assign]
    with ssc:
        yield ssc


def watch(stream: DStream[Any]) -> Batches:
    """Return the settled batches of a stream, those to come included."""
    seen: Batches = {}

    def note(time: datetime, rdd: RDD[Any]) -> None:
        seen[second(time)] = rdd.collect()

    stream.foreach_rdd(note, on="kernel")
    return seen


def second(time: datetime) -> int:
    return (from_datetime(time) - START) // 1000


def play(
    build: Callable[[Any], Any], batches: Sequence[Sequence[Any]], executor: Executor | None = None
) -> Batches:
    """Return what ``build(input stream)`` gives; a failed batch is raised."""
    with context(executor) as ssc:
        seen = watch(build(ssc.queue_stream(batches)))
        ssc.start()
        ssc.advance(len(batches))
        ssc.await_termination(timeout=0)
    return seen


def history(batches: Sequence[Sequence[Any]]) -> History:
    """The same input for the oracle."""
    return History(1, {at: list(rows) for at, rows in enumerate(batches, 1)})


def bags(batches: Batches) -> dict[int, Counter[Any]]:
    """Batches without the order of their rows, which nobody promises."""
    return {at: Counter(map(frozen, rows)) for at, rows in batches.items()}


def frozen(value: Any) -> Any:
    """A hashable value that is equal where the given one is."""
    if isinstance(value, list):
        return ("list", *map(frozen, value))
    if isinstance(value, tuple):
        return tuple(map(frozen, value))
    if isinstance(value, dict):
        return ("dict", *((key, frozen(item)) for key, item in value.items()))
    return value


def assert_agrees(
    build: Callable[[Any], Any], batches: Sequence[Sequence[Any]], executor: Executor | None = None
) -> None:
    """Check that a stream gives what the oracle gives for the same expression."""
    assert bags(play(build, batches, executor)) == bags(build(history(batches)).batches)
