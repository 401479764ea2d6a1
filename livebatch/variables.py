"""What functions share: broadcast variables and accumulators."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, TypeVar

from livebatch.accumulator import Accumulator, AccumulatorParam, packed, param_for
from livebatch.broadcast import Broadcast, check_loader
from livebatch.client import ClientRunner, Connection
from livebatch.closures import Code, Function, ship, ship_quietly
from livebatch.interval import Duration, Millis, to_millis
from livebatch.shared import (
    AskBroadcast,
    BroadcastValue,
    DropBroadcast,
    SetAccumulator,
    SetBroadcast,
)

T = TypeVar("T")


class Published:
    """The value of one broadcast variable: here as it was set here, else as the engine knows it."""

    def __init__(self, connection: Connection, value: Code, asks: bool) -> None:
        self._connection, self._asks = connection, asks
        self._value: Code | None = value

    def publish(self, broadcast: str, value: Code) -> None:
        self._connection.request(SetBroadcast(broadcast, value))
        self._value = value

    def newest(self, broadcast: str) -> Code | None:
        if self._asks and self._value is not None:
            reply = self._connection.request(AskBroadcast(broadcast))
            assert isinstance(reply, BroadcastValue)
            self._value = reply.value
        return self._value

    def withdraw(self, broadcast: str, destroy: bool) -> None:
        self._connection.request(DropBroadcast(broadcast, destroy))
        if destroy:
            self._value = None


class Variables:
    """The part of a `StreamingContext` that makes variables which functions share."""

    connection: Connection
    runner: ClientRunner

    def broadcast(
        self, value: T | Callable[[], T], *, refresh_every: Duration | None = None
    ) -> Broadcast[T]:
        """Return a variable that functions can read wherever they run, as ``.value``.

        Every process gets it once, however many functions use it. It can be given a new value, by
        `Broadcast.refresh` or by itself; every batch sees one value, see `Broadcast`.

        Args:
            value: anything that can be pickled; with ``refresh_every`` a function that makes it.
            refresh_every: how often the function is called again, in the driver process, for the
                batches that begin after it has returned. If it raises, the value stays and
                `await_termination` raises.

        Example:
            >>> from livebatch.testing import ManualContext
            >>> with ManualContext() as ssc:
            ...     stop_words = ssc.broadcast({"a", "the"})
            ...     words = ssc.parallelize("the cat ate a mouse".split())
            ...     words.filter(lambda word: word not in stop_words.value).collect()
            ['cat', 'ate', 'mouse']

        Raises:
            ClosureError: the value cannot be pickled.
            DefinitionError: ``refresh_every`` is no duration, or there is no function.
        """
        id, loader, every = f"broadcast-{secrets.token_hex(4)}", None, 0
        if refresh_every is not None:
            every = to_millis(refresh_every, "refresh_every")
            made = check_loader(value)
            loader, value = ship(made), made()
        return Broadcast(id, *self._published(id, value, loader, every))

    def _published(
        self, id: str, value: Any, loader: Function | None, every: Millis
    ) -> tuple[Code, Published]:
        code = ship_quietly(value, id)
        self.connection.request(SetBroadcast(id, code, loader, every))
        return code, Published(self.connection, code, asks=loader is not None)

    def accumulator(
        self, value: T, accum_param: AccumulatorParam[T] | None = None
    ) -> Accumulator[T]:
        """Return a sum that functions on records add to, and that can be read here and in
        functions on RDDs.

        What a task adds counts once, however often it is tried; see `Accumulator`.

        Args:
            value: what it begins with.
            accum_param: how values are added up; not needed for numbers.

        Example:
            >>> from livebatch.testing import ManualContext
            >>> with ManualContext() as ssc:
            ...     total = ssc.accumulator(10)
            ...     ssc.parallelize([1, 2, 3]).foreach(lambda n: total.add(n))
            ...     total.value
            16

        Raises:
            DefinitionError: how to add up such values is not known.
            ClosureError: ``accum_param`` cannot be pickled.
        """
        param = accum_param or param_for(value)
        id = f"accumulator-{secrets.token_hex(4)}"
        made, plain = ship_quietly(param, "accum_param"), accum_param is None
        self.connection.request(SetAccumulator(id, packed(value), made, plain))
        return Accumulator(id, value, param, self.runner)
