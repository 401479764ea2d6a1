"""The bad records of a stream, as a stream."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import pyarrow as pa

from livebatch.failure import Failure, render
from livebatch.interval import Millis
from livebatch.stream import DStream, Input

Stream = DStream[Any]

SCHEMA = pa.schema(
    {
        "record": pa.string(),
        "error": pa.string(),
        "message": pa.string(),
        "traceback": pa.string(),
        "time": pa.timestamp("ms", tz="UTC"),
    }
)


class Errors(Input[dict[str, Any]]):
    """The records that were left out of a stream's batches, fed by the engine itself: when a batch
    has settled, those that it lacks are received like what a source emits."""

    def __init__(self, parents: Sequence[Stream], slide: Millis, *_: Any) -> None:
        super().__init__(parents, slide, "errors", {})
        self.schema = SCHEMA
        parents[0].persisted = True  # it is computed for its own sake, too


def as_errors(failures: Sequence[Failure], time: Millis) -> pa.Table:
    """Return bad records as the rows of a stream of errors.

    Args:
        failures: what was raised for each.
        time: of the batch that lacks them.
    """
    columns = [
        [failure.record for failure in failures],
        [failure.kind for failure in failures],
        [failure.message for failure in failures],
        [render(failure) for failure in failures],
        [time] * len(failures),
    ]
    return pa.table(columns, schema=SCHEMA)


def errors(self: Stream) -> Stream:
    """The records that functions raised on, in this stream or on the way to it, as a stream.

    A record is a dict of ``record`` (its ``repr``, up to 200 characters), ``error`` (the name of
    the exception), ``message``, ``traceback`` and ``time`` (of the batch that lacks the record),
    and comes with the batch after that one: up to 100 of them for each batch, however many were
    left out. A batch that fails gives none.

    Example:
        >>> from livebatch.testing import ManualContext, collected
        >>> with ManualContext("1s") as ssc:
        ...     ratios = ssc.queue_stream([[*range(200)]]).map(lambda n: 100 // n)
        ...     bad = collected(ratios.errors.map(lambda e: (e["record"], e["error"])))
        ...     ssc.start()
        ...     ssc.advance("2s")
        ...     bad
        [[], [('0', 'ZeroDivisionError')]]
    """
    return Errors([self], self.slide)


_once = cached_property(errors)
_once.__set_name__(DStream, "errors")
setattr(DStream, "errors", _once)  # noqa: B010
