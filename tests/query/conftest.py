"""A context that stands still until it is told to go on, and short ways to ask it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from livebatch.sql import Result, query
from livebatch.testing import ManualContext

Ask = Callable[..., Result]


@pytest.fixture
def ssc() -> Iterator[ManualContext]:
    with ManualContext("1s") as ssc:
        yield ssc


@pytest.fixture
def ask(ssc: ManualContext) -> Ask:
    def ask(sql: str, **options: Any) -> Result:
        return query(sql, context=ssc, **options)

    return ask


@pytest.fixture
def feed(ssc: ManualContext) -> Callable[..., None]:
    """Make named streams of lists of rows, one for each batch, and let the batches settle."""

    def feed(**streams: list[list[Any]]) -> None:
        for name, batches in streams.items():
            ssc.register(name, ssc.queue_stream(batches))
        ssc.start()
        ssc.advance(max(map(len, streams.values())))

    return feed
