"""Asking for states: those that the batches of a named stream have left."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from livebatch.closures import builtin, ship_value
from livebatch.interval import Millis, from_datetime, to_datetime
from livebatch.operators.mapped import whole_state
from livebatch.rdd import RDD, stable_hash
from livebatch.rdd import functions as run
from livebatch.rdd.layers import Layer, look_up
from livebatch.rdd.operation import Zipped
from livebatch.stream import DStream, StateLayers, attribute, context_of


class States:
    """The states of a stream: ``s.state["user42"]``, ``s.state.at(time)``, ….

    Every method raises `NotRunning` where the stream has no name or no state, or where no state
    from then is kept.
    """

    def __init__(self, stream: DStream[Any]) -> None:
        self._stream = stream

    def __repr__(self) -> str:
        return f"<the states of {self._stream.name or self._stream.id}>"

    def __getitem__(self, key: Any) -> Any:
        """Return the newest settled state of a key; only the partition of the key is read.

        Raises:
            KeyError: the key has no state.
        """
        for _, value in self._find(key, self._layers(limit=1)):
            return value
        raise KeyError(key)

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the newest settled state of a key, or a default if it has none."""
        try:
            return self[key]
        except KeyError:
            return default

    def latest(self) -> RDD[tuple[Any, Any]]:
        """Return all (key, state) after the newest settled batch."""
        return self._whole(self._layers(limit=1))

    def at(self, time: datetime) -> RDD[tuple[Any, Any]]:
        """Return all (key, state) after the batch that was the newest at a time (naive times are
        local)."""
        return self._whole(self._layers(from_datetime(time), 1))

    def history(self, key: Any) -> list[tuple[datetime, Any]]:
        """Return (time, state of a key) after each batch that is kept and left it one, the oldest
        first; only the partition of the key is read."""
        return [(to_datetime(time), value) for time, value in self._find(key, self._layers())]

    def _layers(self, until: Millis | None = None, limit: int | None = None) -> StateLayers:
        return context_of(self._stream).state_of(self._stream, until, limit)

    def _whole(self, found: StateLayers) -> RDD[Any]:
        rdd = whole_state(found.first)
        rdd.label = f"the state of {self._stream.name} · {to_datetime(found.times[0]):%H:%M:%S}"
        return rdd

    def _find(self, key: Any, found: StateLayers) -> list[tuple[Millis, Any]]:
        wanted = ship_value(key, "the key")
        step = builtin(values_over_time, wanted, list(found.times), len(found.first))
        rdd: RDD[Any] = RDD(Zipped(step), [*found.first, *found.later])
        split = stable_hash(key) % rdd.num_partitions
        return list(rdd.run(builtin(run.collect_rows), [split])[0])


def values_over_time(
    key: Any, times: Sequence[Millis], first: int, *layers: Any
) -> Iterator[tuple[Millis, Any]]:
    """Yield (time, state of a key) for each of some times at which it has one.

    Args:
        key: whose.
        times: of batches, in order.
        first: so many of the layers hold the state of the first time, the newest first.
        layers: each further one is that of a further time; rows where they are whole states.
    """
    values: list[Any] = []
    for time, added in zip(times, [layers[:first], *zip(layers[first:])], strict=True):
        if not isinstance(added[0], Layer):
            values = run.values_of(key, added[0])
        elif (held := look_up([key], added).get(key)) is not None:
            values = [] if held.value is None else [pickle.loads(held.value)]
        yield from ((time, value) for value in values)


@attribute
def state(self: DStream[Any]) -> States:
    """The states that the batches of a named stream have left, which is computed by
    `update_state_by_key`, `map_with_state` or `session_window`.

    Example:
        >>> from livebatch.testing import ManualContext
        >>> with ManualContext("1s") as ssc:
        ...     words = ssc.queue_stream([["a", "b"], ["a"]]).map(lambda word: (word, 1))
        ...     totals = words.update_state_by_key(lambda new, total: sum(new) + (total or 0))
        ...     totals = ssc.register("totals", totals)
        ...     ssc.start()
        ...     ssc.advance("2s")
        ...     totals.state["a"], [total for _, total in totals.state.history("a")]
        ...     sorted(totals.state.latest().collect())
        (2, [1, 2])
        [('a', 2), ('b', 1)]
    """
    return States(self)
