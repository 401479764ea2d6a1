"""map_with_state: a state by key that costs what is touched, not what is held."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from livebatch.arguments import check_count
from livebatch.block import Encoded
from livebatch.closures import Function, builtin, ship
from livebatch.errors import NotRunning
from livebatch.interval import Duration, Millis, to_datetime, to_millis
from livebatch.operators.layered import LayeredState
from livebatch.operators.state import Initial, as_rdd, ship_initial
from livebatch.rdd import RDD
from livebatch.rdd import functions as run
from livebatch.rdd.layers import (
    Held,
    Layer,
    emitted_rows,
    look_up,
    state_rows,
    touched_last_in,
    write_layer,
)
from livebatch.rdd.operation import Layered, Zipped
from livebatch.rdd.partitioner import explaining_keys
from livebatch.scratch import dumps
from livebatch.stream import (
    DStream,
    lift,
    operator,
)

Stream = DStream[Any]

_MISSING: Any = object()


class State:
    """What `map_with_state` keeps of one key, as its function sees it.

    A value that the function changes in place has to be given to `update` too.
    """

    __slots__ = ("_changed", "_held", "_time", "_timing_out", "_value")

    def __init__(self, held: Held | None, time: Millis, timing_out: bool = False) -> None:
        self._held, self._time, self._timing_out = held, time, timing_out
        self._value: Any = _MISSING
        self._changed = False

    def __repr__(self) -> str:
        return f"State({self.get()!r})" if self.exists() else "State()"

    @property
    def batch_time(self) -> datetime:
        """The time of the batch."""
        return to_datetime(self._time)

    def exists(self) -> bool:
        """Return whether the key has a state."""
        return self._changed or (self._held is not None and self._held.value is not None)

    def get(self, default: Any = _MISSING) -> Any:
        """Return the state of the key.

        Args:
            default: what to return where there is none.

        Raises:
            LookupError: there is none, and no default was given.
        """
        if self._value is _MISSING and self._held is not None and self._held.value is not None:
            self._value = pickle.loads(self._held.value)
        if self._value is not _MISSING:
            return self._value
        if default is _MISSING:
            raise LookupError("the key has no state: ask state.exists(), or use get(default)")
        return default

    def update(self, new_state: Any) -> None:
        """Set the state of the key.

        Raises:
            ValueError: the state is timing out, so it is dropped whatever it is.
        """
        self._check("updated")
        self._value, self._changed = new_state, True

    def remove(self) -> None:
        """Drop the state of the key, if there is one.

        Raises:
            ValueError: the state is timing out, so it is dropped anyway.
        """
        self._check("removed")
        self._drop()

    def is_timing_out(self) -> bool:
        """Return whether this is the last call for a key that has been idle for too long."""
        return self._timing_out

    def _check(self, what: str) -> None:
        if self._timing_out:
            raise ValueError(f"a state cannot be {what} while it times out; it is dropped anyway")

    def _drop(self) -> None:
        self._value, self._changed = _MISSING, False
        self._held = None if self._held is None else Held(None, self._time)

    def _left(self, touched: bool) -> None:
        """Take note that the function has returned without a change, and ``touched`` the key."""
        self._value = _MISSING  # what was done to it in place does not count
        if touched and self._held is not None and self._held.value is not None:
            self._held = Held(self._held.value, self._time)

    def _result(self) -> Held | None:
        """Return what is to be kept of the key."""
        return Held(dumps(self._value), self._time) if self._changed else self._held


class MappedWithState(LayeredState):
    """The layers of `map_with_state`; what its function returns is emitted with them."""

    def __init__(
        self,
        parents: Sequence[Stream],
        slide: Millis,
        num_partitions: int | None,
        function: Function,
        idle: Millis | None,
        initial: Initial | None,
    ) -> None:
        super().__init__(parents, slide, num_partitions, function, idle, initial)
        self.function, self.idle, self.initial = function, idle, initial

    def step(self, time: Millis, before: Millis | None) -> Function:
        return builtin(advance, self.function, self.idle, time, before)

    def first_layer(self, values: RDD[Any], time: Millis) -> RDD[Any] | None:
        if self.initial is None:
            return None
        given = as_rdd(self.initial, values).partition_by(self.num_partitions)
        return RDD(Layered(builtin(first_layer, time - self.slide)), [given])


def advance(
    function: Callable[[Any, Any, State], Any],
    idle: Millis | None,
    time: Millis,
    before: Millis | None,
    values: run.Pairs,
    *layers: Layer,
) -> Encoded:
    """Write the layer of a batch: call ``function(key, value, state)`` for each value, then once
    for each key that has been idle for so long.

    Args:
        function: what it returns is emitted, unless it is None.
        idle: milliseconds.
        time: of the batch.
        before: the batch that wrote the newest of the layers.
        values: of the batch.
        layers: the state so far, the newest first.
    """
    batch, emitted = list(values), []
    with explaining_keys():
        keys = dict.fromkeys(key for key, _ in batch)
        found = look_up(keys, layers)
    states = {key: State(found.get(key), time) for key in keys}
    for key, value in batch:
        state = states[key]
        emitted.append(function(key, value, state))
        if not state._changed:
            state._left(touched=idle is not None)
    for key, held in _idle(idle, time, before, layers):
        if key not in states:
            states[key] = state = State(held, time, timing_out=True)
            found[key] = held
            emitted.append(function(key, None, state))
            state._drop()
    return _layer(states, found, (row for row in emitted if row is not None), layers)


def _idle(
    idle: Millis | None, time: Millis, before: Millis | None, layers: Sequence[Layer]
) -> Iterable[tuple[Any, Held]]:
    """Return the keys that have become idle since the batch before."""
    if idle is None or before is None:
        return ()
    return touched_last_in(before - idle + 1, time - idle + 1, layers).items()


def _layer(
    states: dict[Any, State], found: dict[Any, Held], emitted: Iterable[Any],
    layers: Sequence[Layer],
) -> Encoded:  # fmt: skip
    """Return what a batch has made of the states that it touched as a layer."""
    held = {
        key: new
        for key, state in states.items()
        if (new := state._result()) is not None and new != found.get(key)
    }
    more = sum(state.exists() for state in states.values())
    less = sum(before.value is not None for before in found.values())
    keys = layers[0].keys if layers else 0
    return write_layer(held, emitted, keys + more - less)


def first_layer(time: Millis, pairs: run.Pairs) -> Encoded:
    """Write the layer of a state that is there before the first batch."""
    with explaining_keys():
        given = {key: Held(dumps(value), time) for key, value in pairs}
    return write_layer(given, (), len(given))


class Snapshots(DStream[Any]):
    """All (key, state) after each batch."""

    def compute(self, time: Millis) -> RDD[Any] | None:
        if self.parents[0].rdd_at(time) is None:
            return None
        return whole_state(self.parents[0].state_at(time))


def whole_state(layers: Sequence[RDD[Any]]) -> RDD[Any]:
    """Return all (key, state) of layers, the newest first."""
    return RDD(Zipped(builtin(state_rows)), layers)


def emitted(state: Stream) -> Stream:
    """Return the stream of what the batches of a layered state emit."""
    return lift(state, "map_partitions", builtin(emitted_rows))


@operator
def map_with_state(
    self: Stream,
    f: Callable[[Any, Any, State], Any],
    *,
    timeout: Duration | None = None,
    initial: RDD[Any] | Iterable[tuple[Any, Any]] | None = None,
    num_partitions: int | None = None,
) -> Stream:
    """Return a stream of what ``f(key, value, state)`` returns for each (key, value) record.

    Unlike `update_state_by_key` it costs what a batch touches, however many keys are known.

    Args:
        f: takes a key, a value of it and the key's `State`, which it may ``update`` or
            ``remove``; what it returns is a record of the new stream, None is none.
        timeout: keys that had no value for longer than this are dropped, after a last call
            ``f(key, None, state)`` in which ``state.is_timing_out()``; None: they stay.
        initial: an RDD or list of (key, state) from before the first batch.
        num_partitions: how many partitions the state has.

    Raises:
        DefinitionError: the timeout is none.

    Example:
        >>> from livebatch.testing import run
        >>> def running_count(key, value, state):
        ...     state.update(state.get(0) + 1)
        ...     return key, state.get()
        >>> run(lambda clicks: clicks.map_with_state(running_count),
        ...     [[("a", 1), ("a", 2)], [("b", 3)], [("a", 4)]])
        [[('a', 1), ('a', 2)], [('b', 1)], [('a', 3)]]
    """
    idle = None if timeout is None else to_millis(timeout, "the timeout") + 1
    parts = check_count(num_partitions)
    function, given = ship(f), ship_initial(initial)
    return emitted(MappedWithState([self], self.slide, parts, function, idle, given))


@operator
def state_snapshots(self: Stream) -> Stream:
    """Return a stream of all (key, state) after each batch, of a stream made by `map_with_state`.

    Raises:
        NotRunning: the stream is not made by it, or was defined elsewhere.
    """
    found = next((p for p in self.parents if isinstance(p, LayeredState)), None)
    if found is None:
        raise NotRunning(f"{self!r} is not made by map_with_state here; ask its .state instead")
    return Snapshots([found], self.slide)
