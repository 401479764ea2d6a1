"""Where the user's functions on RDDs run: transforms and ``foreach_rdd``."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from livebatch.accumulator import Home, at_home
from livebatch.calls import Call, CallOutcome, Raised, Returned
from livebatch.closures import load
from livebatch.errors import DefinitionError
from livebatch.failure import describe
from livebatch.rdd import RDD, JobRunner, from_lineage, to_lineage
from livebatch.rdd.calling import calling
from livebatch.taskcontext import part_of_batch


class Driver(Protocol):
    """Calls functions on RDDs somewhere."""

    def submit(self, call: Call) -> None:
        """Make a call. Its outcome comes from `poll`, exactly once unless it is cancelled."""

    def cancel(self, call: str) -> None:
        """Stop a call, if need be with the process it runs in."""

    def poll(self) -> list[CallOutcome]:
        """Return the outcomes there are, without waiting."""

    def close(self) -> None:
        """Stop everything that was started."""


class CallRunner(JobRunner, Home, Protocol):
    """What functions on RDDs need of the engine: jobs, and accumulators."""


def carry_out(call: Call, runner: CallRunner) -> CallOutcome:
    """Make a call here and now; its RDDs' actions go to ``runner``."""
    try:
        rdds = [from_lineage(lineage, runner) for lineage in call.rdds]
        with at_home(runner), part_of_batch(call.time), calling(call.id, runner) as this:
            result = load(call.function)(call.time, *rdds)
        if call.wants_value:
            return Returned(call.id, value=result)
        if not call.wants_rdd:
            return Returned(call.id)
        if not isinstance(result, RDD):
            raise DefinitionError(
                f"the function of a transform must return an RDD, not {type(result).__name__}"
            )
        return Returned(call.id, to_lineage(result), "".join(this.said))
    except Exception as error:
        return Raised(call.id, describe(error))


class InlineDriver:
    """Makes calls in the calling thread, one a poll."""

    def __init__(self) -> None:
        self.runner: CallRunner | None = None
        self._calls: deque[Call] = deque()

    def submit(self, call: Call) -> None:
        self._calls.append(call)

    def cancel(self, call: str) -> None:
        self._calls = deque(item for item in self._calls if item.id != call)

    def poll(self) -> list[CallOutcome]:
        if not self._calls or self.runner is None:
            return []
        return [carry_out(self._calls.popleft(), self.runner)]

    def close(self) -> None:
        self._calls.clear()
