"""A run of a streaming program over batches that are there already, on an engine's workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from livebatch.clock import ManualClock
from livebatch.engine.config import Config
from livebatch.engine.core import AD_HOC, Engine
from livebatch.engine.log import Entry, Settled
from livebatch.events import Batch, Batches, BatchFailed, BatchSettled, Event, Message
from livebatch.graph import Output
from livebatch.operators.errors import Errors
from livebatch.rdd import RDD
from livebatch.wire import BeginRun, Refused

Reply = Callable[[Message], None]

OVERLAP = 2
"""So many batches are under way at once, so that no worker waits for the last task of one; unless
what one leaves out is input of the next."""


class Run:
    """An engine under a clock of its own, which shares the jobs of one that runs live.

    It is also its own log: what is logged last of a batch says that all of it has settled.

    Args:
        live: whose workers and driver it uses, at less urgency than its batches have.
        program: what is run.

    Raises:
        DefinitionError: the streams do not fit each other.
    """

    def __init__(self, live: Engine, program: BeginRun) -> None:
        self._program = program
        self._clock = ManualClock(program.zero)
        self._under_way = 0
        self._settled: list[Batch] = []
        self._refused: Refused | None = None
        self._wait: tuple[int, Reply] | None = None
        alone = any(node.kind == Errors.__name__ for node in program.nodes)
        self._overlap = 1 if alone else OVERLAP
        config = Config(program.batch, live.config.strict, urgency=AD_HOC, overlap=self._overlap)
        jobs = live.jobs
        self._engine = Engine(
            config, self._clock, live.executor, jobs.driver, self, self._heard, jobs=jobs
        )
        self._engine.define(program.nodes, [Output(program.id, program.stream)])
        self._engine.start()

    def next(self, rdds: Sequence[RDD[Any]], reply: Reply) -> None:
        """Run one more batch, made of these RDDs, one for each input; see `RunNext`."""
        for stream, rdd in zip(self._program.inputs, rdds, strict=True):
            self._engine.allocator.offered(stream, [rdd])
        self._under_way += 1
        self._clock.advance(self._program.batch)
        self._engine.advance()
        self._answer_at(self._overlap - 1, reply)

    def rest(self, reply: Reply) -> None:
        """Finish what is under way; see `RunRest`."""
        self._answer_at(0, reply)

    def end(self) -> None:
        """Give up what is under way, and forget everything."""
        self._wait = None
        self._engine.clear()

    def code_in_use(self) -> set[str]:
        """Return the digests of the code that it needs."""
        return self._engine.keeping.code_in_use()

    def append(self, entry: Entry) -> None:
        """Take note of how a batch gets on; see `livebatch.engine.log.BatchLog`."""
        if isinstance(entry, Settled):
            self._under_way -= 1
            self._answer()

    def _heard(self, event: Event) -> None:
        if isinstance(event, BatchSettled) and event.batch.output == self._program.id:
            self._settled.append(event.batch)
        elif isinstance(event, BatchFailed):
            failure = event.failure
            said = f"{failure.kind}: {failure.message}"
            self._refused = Refused("JobFailed", said, failure, event.printed)
            self._answer()

    def _answer_at(self, most: int, reply: Reply) -> None:
        """Answer as soon as so few batches, at most, are under way."""
        self._wait = most, reply
        self._answer()

    def _answer(self) -> None:
        if self._wait is None:
            return
        most, reply = self._wait
        if self._refused is None and self._under_way > most:
            return
        settled, self._settled, self._wait = tuple(self._settled), [], None
        reply(self._refused or Batches(settled))
