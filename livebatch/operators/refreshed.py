"""Datasets that are loaded anew now and then, for use with streams."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any

from livebatch.closures import Function, builtin, capture
from livebatch.errors import ClosureError, DefinitionError
from livebatch.failure import describe, render
from livebatch.interval import Duration, Millis, check_multiple, format_millis, to_millis
from livebatch.operators.transform import for_driver
from livebatch.rdd import RDD, ancestors
from livebatch.rdd.calling import recall, this_call
from livebatch.rdd.operation import Deferred, Stored, Unioned
from livebatch.stream import DStream

Stream = DStream[Any]


class Versions(DStream[Any]):
    """For each batch time the version of a dataset that is in force: it is loaded in the driver
    process for the first batch, and for the first of every period after that."""

    def __init__(
        self, parents: Sequence[Stream], slide: Millis, load: Function, every: Millis
    ) -> None:
        super().__init__(parents, slide, load, every)
        self.load, self.every = load, every
        self.versions: dict[Millis, RDD[Any]] = {}

    def _begin(self, time: Millis) -> Millis:
        """Return when the period began in which a time is."""
        first = self.start + self.slide
        return first + (time - first) // self.every * self.every

    def compute(self, time: Millis) -> RDD[Any]:
        begin = self._begin(time)
        if begin not in self.versions:
            loading: RDD[Any] = RDD(Deferred(self.load, begin), self._before(begin), self.runner)
            loading.id = f"{self.id}@{begin}.version"
            self.versions[begin] = loading
        return RDD(Unioned(), [self.versions[begin]])

    def _before(self, begin: Millis) -> tuple[RDD[Any], ...]:
        """Return the version before, if there is one: that which it has stayed with if it could
        not be loaded itself."""
        newest = max((t for t in self.versions if t < begin), default=None)
        if newest is None:
            return ()
        version = self.versions[newest]
        return version.parents if version.parents else (version,)

    def memory(self) -> dict[str, Any]:
        return {**super().memory(), "versions": dict(self.versions)}

    def recall(self, memory: dict[str, Any]) -> None:
        super().recall(memory)
        self.versions = memory["versions"]

    def needed_after(self, time: Millis) -> list[RDD[Any]]:
        return [*super().needed_after(time), *self.versions.values()]

    def held(self) -> list[RDD[Any]]:
        return [*super().held(), *self.versions.values()]

    def forget_before(self, time: Millis) -> list[RDD[Any]]:
        oldest = self._begin(max(time - self.remember, self.start) + self.slide)
        newest = max(self.versions, default=oldest)
        kept = [rdd for t, rdd in self.versions.items() if t >= min(oldest, newest)]
        needed = {node.id for node in ancestors(*kept)}
        gone = {t: rdd for t, rdd in self.versions.items() if rdd.id not in needed}
        self.versions = {t: rdd for t, rdd in self.versions.items() if t not in gone}
        return [*super().forget_before(time), *gone.values()]


class Refreshed:
    """A dataset that is loaded anew now and then. In a function given to `transform` it is an RDD:
    the version that is in force for the batch.

    Args:
        load: takes nothing, gives an RDD.
        every: how often it is called.
        batch: the batch interval.
    """

    def __init__(self, load: Callable[[], RDD[Any]], every: Duration, batch: Millis) -> None:
        self._every = check_multiple(to_millis(every, "every"), batch, "every")
        function, versions = for_driver(load, builtin(load_version))
        if versions:
            raise DefinitionError("a refreshed dataset cannot be loaded from another one")
        self._load = function
        self._streams: dict[Millis, Versions] = {}

    def versions(self, slide: Millis) -> Versions:
        """Return the stream of versions for streams of a slide."""
        if slide not in self._streams:
            self._streams[slide] = Versions((), slide, self._load, self._every)
        return self._streams[slide]

    def __repr__(self) -> str:
        return f"<Refreshed every {format_millis(self._every)}>"

    def __reduce__(self) -> Any:
        number = capture(self)
        if number is None:
            raise ClosureError(
                "a refreshed dataset is used inside a function that runs in the workers, where "
                "there are no RDDs: join with it in transform"
            )
        return recall, (number,)


def load_version(function: Callable[[], RDD[Any]], time: Millis, *before: RDD[Any]) -> RDD[Any]:
    """Load a version and keep its rows; if that fails, stay with the version before."""
    call = this_call()
    try:
        loaded = function()
        if not isinstance(loaded, RDD):
            raise DefinitionError(
                f"what loads a refreshed dataset must return an RDD, not {type(loaded).__name__}"
            )
        id = f"{call.id}.{secrets.token_hex(3)}"  # a name of its own if it has been tried before
        blocks = call.runner.keep(RDD(Unioned(), [loaded], id=id))
    except Exception as error:
        if not before:
            raise
        said = f"a refresh failed, the version before goes on:\n{render(describe(error))}\n"
        call.said.append(said)
        return before[0]
    return RDD(Stored(tuple((block,) for block in blocks)))
