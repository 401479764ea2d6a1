"""Which batches are kept once they are computed, and how long their lineage may become."""

from __future__ import annotations

from typing import Any

from livebatch.interval import Duration, check_multiple, to_millis
from livebatch.storage import StorageLevel
from livebatch.stream import DStream, operator

Stream = DStream[Any]


@operator
def persist(self: Stream, storage_level: StorageLevel) -> Stream:
    """Have each batch kept as blocks once it is computed, so that several streams and outputs
    that are made of it do not compute it again. Return this stream.

    Streams with names, states, and what windows are made of are kept anyway.

    Args:
        storage_level: any but ``NONE``, which leaves the stream as it is; see `StorageLevel`.

    Example:
        >>> from livebatch import StorageLevel
        >>> from livebatch.testing import run
        >>> run(lambda s: s.map(abs).persist(StorageLevel.MEMORY_ONLY).count(), [[1, -2], [3]])
        [[2], [1]]
    """
    if storage_level.keeps and self.name is None and not self.persisted:
        self.persisted = True
        _amend(self)
    return self


@operator
def cache(self: Stream) -> Stream:
    """Have each batch kept as blocks once it is computed: `persist` with the default level.

    Example:
        ``words = lines.flat_map(str.split).cache()``
    """
    kept: Stream = self.persist(StorageLevel.MEMORY_ONLY)
    return kept


@operator
def checkpoint(self: Stream, interval: Duration) -> Stream:
    """Have every so often a batch forget how it was computed, and only its blocks be kept, so
    that lineage stays short. Return this stream.

    States and windows with an inverse function do so by themselves, every slide × ceil(10 s /
    slide). The batches of twice the interval are remembered.

    Args:
        interval: how often; a multiple of this stream's slide.

    Example:
        ``totals.checkpoint("30s")``

    Raises:
        DefinitionError: the interval is not a multiple of the slide, or another client has
            defined the stream.
    """
    every = check_multiple(to_millis(interval, "the interval"), self.slide, "the interval")
    self.persisted, self.checkpoint_every = True, every
    _amend(self)
    return self


def _amend(stream: Stream) -> None:
    if stream.context is not None:
        stream.context.amend(stream)
