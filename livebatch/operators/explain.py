"""How a stream is computed, for people."""

from __future__ import annotations

from typing import Any

from livebatch.stream import DStream, context_of, operator


@operator
def explain(self: DStream[Any]) -> None:
    """Print how this stream is computed: itself first, below it what it is computed from, and for
    streams that run what their newest batch cost.

    Operators of one stage run together, record by record, so that they share a cost.

    Example:
        >>> from livebatch.testing import ManualContext
        >>> with ManualContext("1s") as ssc:
        ...     lines = ssc.queue_stream()
        ...     lines.flat_map(str.split).filter(lambda word: len(word) > 3).explain()
        filter(lambda word: len(word) > 3)
        └─ flat_map(str.split)
           └─ queue_stream()
    """
    context = context_of(self)
    context.write(context.explain(self))
