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
from livebatch.rdd import RDD
from livebatch.wire import BeginRun, Refused

Reply = Callable[[Message], None]


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
        self._batch: Batch | None = None
        self._reply: Reply | None = None
        config = Config(program.batch, live.config.strict, urgency=AD_HOC)
        jobs = live.jobs
        self._engine = Engine(
            config, self._clock, live.executor, jobs.driver, self, self._heard, jobs=jobs
        )
        self._engine.define(program.nodes, [Output(program.id, program.stream)])
        self._engine.start()

    def next(self, rdds: Sequence[RDD[Any]], reply: Reply) -> None:
        """Run one more batch, made of these RDDs, one for each input."""
        for stream, rdd in zip(self._program.inputs, rdds, strict=True):
            self._engine.allocator.offered(stream, [rdd])
        self._batch, self._reply = None, reply
        self._clock.advance(self._program.batch)
        self._engine.advance()

    def end(self) -> None:
        """Give up what is under way, and forget everything."""
        self._reply = None
        self._engine.clear()

    def code_in_use(self) -> set[str]:
        """Return the digests of the code that it needs."""
        return self._engine.keeping.code_in_use()

    def append(self, entry: Entry) -> None:
        """Take note of how a batch gets on; see `livebatch.engine.log.BatchLog`."""
        if isinstance(entry, Settled):
            self._answer(Batches((self._batch,) if self._batch else ()))

    def _heard(self, event: Event) -> None:
        if isinstance(event, BatchSettled) and event.batch.output == self._program.id:
            self._batch = event.batch
        elif isinstance(event, BatchFailed):
            failure = event.failure
            said = f"{failure.kind}: {failure.message}"
            self._answer(Refused("JobFailed", said, failure, event.printed))

    def _answer(self, message: Message) -> None:
        reply, self._reply = self._reply, None
        if reply is not None:
            reply(message)
