"""Accumulators: variables that functions in the workers only add to."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import reduce
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import cloudpickle

from livebatch.errors import DefinitionError, NotRunning

T = TypeVar("T")

Piece: TypeAlias = int | float | bytes
"""A value on its way: a number as it is, anything else pickled, for the engine opens nothing."""

PLAIN = 1 << 63


class AccumulatorParam(Generic[T]):
    """How values of a type are added up. The sum must not depend on the order.

    Example:
        >>> from livebatch.testing import ManualContext
        >>> class Largest(AccumulatorParam):
        ...     def zero(self, value):
        ...         return 0
        ...     def add_in_place(self, value1, value2):
        ...         return max(value1, value2)
        >>> with ManualContext() as ssc:
        ...     largest = ssc.accumulator(0, Largest())
        ...     ssc.parallelize([3, 8, 5]).foreach(largest.add)
        ...     largest.value
        8
    """

    def zero(self, value: T) -> T:
        """Return what adds nothing to a value like this one.

        Example:
            ``return [0] * len(value)``
        """
        raise NotImplementedError(f"{type(self).__name__} needs a method zero(value)")

    def add_in_place(self, value1: T, value2: T) -> T:
        """Return the sum of two values; the first may be changed for that.

        Example:
            ``value1.update(value2); return value1``
        """
        raise NotImplementedError(f"{type(self).__name__} needs a method add_in_place(a, b)")


class Adding(AccumulatorParam[Any]):
    """Numbers, added up."""

    def zero(self, value: Any) -> Any:
        return type(value)(0)

    def add_in_place(self, value1: Any, value2: Any) -> Any:
        return value1 + value2


class Home(Protocol):
    """Where the sums are: the engine, as seen from outside of tasks."""

    def add_to(self, accumulator: str, piece: Piece) -> None:
        """Add to an accumulator."""

    def set_to(self, accumulator: str, piece: Piece) -> None:
        """Have an accumulator begin anew, with a value."""

    def pieces_of(self, accumulator: str) -> Sequence[Piece]:
        """Return what is to be added up for an accumulator's value."""


_home: ContextVar[Home | None] = ContextVar("home", default=None)
_added: ContextVar[dict[str, Any] | None] = ContextVar("added", default=None)


class Accumulator(Generic[T]):
    """A sum that tasks add to, and that is read outside of them; made by
    `StreamingContext.accumulator`.

    What a task adds counts once, when its stage is done: not what it added before its worker died
    or its function raised, nor what it adds again when a batch is computed again for want of a
    block. Of a batch that fails, the stages that were done count.

    Example:
        >>> from livebatch.testing import ManualContext
        >>> with ManualContext() as ssc:
        ...     empty = ssc.accumulator(0)
        ...     def words(line):
        ...         empty.add(not line)
        ...         return line.split()
        ...     found = ssc.parallelize(["a b", "", "c"]).flat_map(words).collect()
        ...     found, empty.value
        (['a', 'b', 'c'], 1)
    """

    def __init__(
        self, aid: str, value: T, accum_param: AccumulatorParam[T], home: Home | None = None
    ) -> None:
        self.aid, self.accum_param = aid, accum_param
        self._zero, self._home = value, home

    @property
    def value(self) -> T:
        """The sum so far; it can be set, too. Not within tasks.

        Example:
            ``print(bad_lines.value)``

        Raises:
            NotRunning: a task asks.
        """
        pieces = self._at_home().pieces_of(self.aid)
        total: T = reduce(self.accum_param.add_in_place, map(unpacked, pieces))
        return total

    @value.setter
    def value(self, value: T) -> None:
        self._at_home().set_to(self.aid, packed(value))

    def add(self, term: T) -> None:
        """Add to the sum, from anywhere. ``accumulator += term`` does the same.

        Example:
            ``lines.foreach(lambda line: letters.add(len(line)))``
        """
        added = _added.get()
        if added is None:
            self._at_home().add_to(self.aid, packed(term))
            return
        zero = self.accum_param.zero
        so_far = added[self.aid] if self.aid in added else zero(self._zero)
        added[self.aid] = self.accum_param.add_in_place(so_far, term)

    def __iadd__(self, term: T) -> Accumulator[T]:
        self.add(term)
        return self

    def _at_home(self) -> Home:
        home = None if _added.get() is not None else _home.get() or self._home
        if home is None:
            raise NotRunning(
                "an accumulator is read and set outside of tasks only: functions on records can "
                "but add to it"
            )
        return home

    def __reduce__(self) -> tuple[Any, ...]:
        return Accumulator, (self.aid, self.accum_param.zero(self._zero), self.accum_param)

    def __repr__(self) -> str:
        return f"<Accumulator {self.aid}>"


def param_for(value: Any) -> AccumulatorParam[Any]:
    """Return how values like this one are added up, if that is plain.

    Raises:
        DefinitionError: it is not.
    """
    if isinstance(value, (int, float, complex)):
        return Adding()
    raise DefinitionError(
        f"how to add up values like {value!r} is not known: give an AccumulatorParam"
    )


def packed(value: Any) -> Piece:
    """Return a value as it travels."""
    if type(value) is float or (type(value) is int and abs(value) < PLAIN):
        return value
    pickled: bytes = cloudpickle.dumps(value, protocol=5)
    return pickled


def unpacked(piece: Piece) -> Any:
    """Return the value that has travelled; not in the engine."""
    return pickle.loads(piece) if isinstance(piece, bytes) else piece


def merged(param: AccumulatorParam[Any], pieces: Sequence[Piece], time: int) -> Piece:
    """Return one piece that stands for several; called in the driver."""
    return packed(reduce(param.add_in_place, map(unpacked, pieces)))


@contextmanager
def adding() -> Iterator[dict[str, Any]]:
    """Within this, what is added is of one task; give it, by accumulator."""
    added: dict[str, Any] = {}
    token = _added.set(added)
    try:
        yield added
    finally:
        _added.reset(token)


@contextmanager
def at_home(home: Home) -> Iterator[None]:
    """Within this, accumulators that came from another process know where their sums are."""
    token = _home.set(home)
    try:
        yield
    finally:
        _home.reset(token)
