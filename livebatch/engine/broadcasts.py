"""The values that broadcast variables have, and those that are refreshed on a timer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from livebatch.broadcast import loaded
from livebatch.closures import Code, Function, builtin, digests, revive
from livebatch.engine.executors.base import Executor
from livebatch.engine.jobs import Jobs
from livebatch.engine.log import Changed, Entry
from livebatch.events import BatchFailed, Event
from livebatch.graph import Graph
from livebatch.interval import Millis
from livebatch.shared import SetBroadcast


@dataclass
class Loader:
    function: Function
    every: Millis
    due: Millis


class Broadcasts:
    """Binds values to the functions of streams; see `livebatch.broadcast.Broadcast` for when.

    Args:
        publish: told of a variable that could not be refreshed.
        note: logs a value that was made anew.
    """

    def __init__(
        self,
        graph: Graph,
        jobs: Jobs,
        executor: Executor,
        publish: Callable[[Event], None],
        note: Callable[[Entry], object],
    ) -> None:
        self._graph, self._jobs, self._executor, self._publish = graph, jobs, executor, publish
        self._note = note
        self.loaders: dict[str, Loader] = {}
        self.newest: dict[str, Code] = {}

    def set(self, request: SetBroadcast, now: Millis) -> None:
        """Have a variable have a value from the next batch on."""
        if request.loader is not None:
            due = now + request.every
            self.loaders[request.id] = Loader(request.loader, request.every, due)
        self._bind(request.id, request.value)

    def _bind(self, id: str, value: Code) -> None:
        self.newest[id] = value
        self._graph.rebind(self.newest)

    def bind(self) -> None:
        """Have new streams and outputs see the values that variables have now."""
        if self.newest:
            self._graph.rebind(self.newest)

    def drop(self, id: str, destroy: bool) -> None:
        """Free the workers' copies of a variable's value; ``destroy``: have it have no value from
        the next batch on."""
        self._executor.drop_code(set(digests(self.newest.get(id))))
        if destroy:
            self.newest.pop(id, None)
            self.loaders.pop(id, None)
            self._graph.rebind(self.newest)

    def begin(self, time: Millis, again: bool = False) -> None:
        """Refresh the variables whose time has come; the values are for later batches.

        Args:
            again: the batch has begun before, and the log has what they were refreshed with.
        """
        for id, loader in self.loaders.items():
            if time >= loader.due:
                loader.due = time + loader.every
                if not again:
                    self._load(id, loader, time)

    def _load(self, id: str, loader: Loader, time: Millis) -> None:
        def done(value: Any) -> None:
            if self.loaders.get(id) is loader:
                self._note(Changed(SetBroadcast(id, revive(value))))
                self._bind(id, revive(value))

        self._jobs.call(
            f"{id}@{time}",
            builtin(loaded, loader.function, id),
            time,
            [],
            done,
            lambda failure: self._publish(BatchFailed(id, None, time, failure)),
            wants_value=True,
        )

    def code(self) -> list[Any]:
        """Return the code of values and of what makes them."""
        return [*self.newest.values(), *(loader.function for loader in self.loaders.values())]
