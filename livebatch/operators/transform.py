"""transform: a stream made by the user's own function on RDDs."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from livebatch.closures import Builtin, Function, builtin, ship_to_driver
from livebatch.errors import DefinitionError
from livebatch.interval import Millis, to_datetime
from livebatch.rdd import RDD, Lineage, ancestors, from_lineage, to_lineage
from livebatch.rdd.calling import this_call
from livebatch.rdd.operation import Deferred
from livebatch.stream import DStream, operator, same_slide

Stream = DStream[Any]


class Transformed(DStream[Any]):
    """What a function on RDDs, run in the driver process, makes of each batch."""

    reaches_back = True

    def __init__(self, parents: Sequence[Stream], slide: Millis, function: Function) -> None:
        super().__init__(parents, slide, function)
        self.function = function

    def compute(self, time: Millis) -> RDD[Any] | None:
        rdds = [rdd for parent in self.parents if (rdd := parent.rdd_at(time)) is not None]
        if len(rdds) < len(self.parents):
            return None
        return RDD(Deferred(self.function, time), rdds)


def with_time(function: Callable[..., Any], time: Millis, *rdds: RDD[Any]) -> Any:
    """Call a function that wants the batch time, as a local, aware datetime."""
    return function(to_datetime(time), *rdds)


def without_time(function: Callable[..., Any], time: Millis, *rdds: RDD[Any]) -> Any:
    return function(*rdds)


def on_list(function: Callable[..., Any], slide: Millis) -> tuple[Function, list[Stream]]:
    """Ship a function that takes a list of RDDs, and before it the time if it has room; see
    `for_driver`.

    Raises:
        DefinitionError: it takes neither.
        ClosureError: it cannot be sent.
    """
    timed = takes_time(function, 1, "transform")
    adapter = builtin(list_with_time if timed else list_without_time)
    return _with_versions(for_driver(function, adapter), slide)


def for_driver(function: Callable[..., Any], adapter: Builtin) -> tuple[Function, list[Any]]:
    """Ship a function that runs in the driver process, where RDDs that it has captured are at
    hand; return it, and the refreshed datasets that it has captured, whose versions it takes after
    all other RDDs.

    Args:
        function: the user's.
        adapter: takes it, the time, and RDDs.

    Raises:
        ClosureError: it cannot be sent.
    """
    shipped, captured = ship_to_driver(function)
    if not captured:
        return Builtin(adapter.target, (shipped,)), []
    refreshed = [thing for thing in captured if not isinstance(thing, RDD)]
    for thing in captured:
        if isinstance(thing, RDD) and thing.persisted:
            thing.is_empty()  # computed now, and known to the engine from now on
    lineages = [to_lineage(thing) if isinstance(thing, RDD) else None for thing in captured]
    return builtin(recalling, shipped, adapter, lineages), refreshed


def recalling(
    pickled: bytes, adapter: Callable[..., Any], lineages: Sequence[Any], time: Millis, *rdds: Any
) -> Any:
    """Call a function with what it has captured at hand."""
    call = this_call()
    versions = rdds[len(rdds) - sum(lineage is None for lineage in lineages) :]
    given = iter(versions)
    call.captured = [next(given) if item is None else _known(item) for item in lineages]
    return adapter(pickle.loads(pickled), time, *rdds[: len(rdds) - len(versions)])


def _known(lineage: Any) -> RDD[Any]:
    rdd = from_lineage(msgspec.convert(lineage, Lineage), this_call().runner)
    for node in ancestors(rdd):
        node.persisted = False  # where it still is, the engine knows
    return rdd


def _with_versions(
    shipped: tuple[Function, list[Any]], slide: Millis
) -> tuple[Function, list[Stream]]:
    function, refreshed = shipped
    return function, [dataset.versions(slide) for dataset in refreshed]


def list_with_time(function: Callable[..., Any], time: Millis, *rdds: RDD[Any]) -> Any:
    return function(to_datetime(time), list(rdds))


def list_without_time(function: Callable[..., Any], time: Millis, *rdds: RDD[Any]) -> Any:
    return function(list(rdds))


def takes_time(function: Callable[..., Any], rdds: int, what: str) -> bool:
    """Return whether a function takes (time, rdds…) rather than (rdds…).

    Raises:
        DefinitionError: it takes neither.
    """
    try:
        signature = inspect.signature(function)
    except ValueError:  # some C functions have none
        return False
    for arguments in (rdds, rdds + 1):
        try:
            signature.bind(*[None] * arguments)
        except TypeError:
            continue
        return arguments > rdds
    names = "rdd" if rdds == 1 else ", ".join(f"rdd{i + 1}" for i in range(rdds))
    raise DefinitionError(f"{what} needs a function of ({names}) or of (time, {names})")


def on_rdds(function: Callable[..., Any], rdds: int, what: str) -> tuple[Function, list[Any]]:
    """Ship a function that takes so many RDDs, and before them the time if it has room; see
    `for_driver`.

    Raises:
        DefinitionError: it takes neither number of arguments.
        ClosureError: it cannot be sent.
    """
    adapter = with_time if takes_time(function, rdds, what) else without_time
    return for_driver(function, builtin(adapter))


@operator
def transform(self: Stream, func: Callable[..., RDD[Any]]) -> Stream:
    """Return a stream whose batches are made by a function on RDDs.

    Args:
        func: takes (rdd) or (time, rdd), by its number of arguments; gives an RDD. It runs in
            the driver process, once for each batch. It may use batch RDDs, also refreshed ones.

    Example:
        ``counts.transform(lambda rdd: rdd.filter(lambda kv: kv[1] > 1))``
    """
    function, versions = _with_versions(on_rdds(func, 1, "transform"), self.slide)
    return Transformed([self, *versions], self.slide, function)


@operator
def transform_with(self: Stream, func: Callable[..., RDD[Any]], other: Stream) -> Stream:
    """Return a stream made by a function of (this rdd, the other's), or (time, both).

    Raises:
        DefinitionError: the streams have different slides.
    """
    streams = [self, other]
    slide = same_slide(streams, "transform_with")
    function, versions = _with_versions(on_rdds(func, 2, "transform_with"), slide)
    return Transformed([*streams, *versions], slide, function)
