"""What clients and the driver may ask of the engine."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from livebatch.closures import digests
from livebatch.engine.core import AD_HOC, Engine
from livebatch.engine.jobs import Job
from livebatch.errors import LivebatchError
from livebatch.events import Batches, EngineStatus, Message
from livebatch.failure import Failure
from livebatch.rdd import RDD, Lineage, ancestors, from_lineage, operations, to_lineage
from livebatch.rdd.operation import Stored, Unioned
from livebatch.wire import (
    Answers,
    AskProgress,
    AskState,
    CancelJob,
    Define,
    Discard,
    Explain,
    Offer,
    Ok,
    Pause,
    Refused,
    Release,
    Remove,
    Resize,
    RunJob,
    Settled,
    Start,
    StateFound,
    Status,
    Stop,
)

Reply = Callable[[Message], None]


class Service:
    """Answers requests, each once, at once or when a job is done.

    Args:
        stop: called with whether to finish what was received first.
    """

    def __init__(self, engine: Engine, stop: Callable[[bool], None]) -> None:
        self._engine, self._stop = engine, stop
        self._persisted: dict[str, RDD[Any]] = {}

    def handle(self, request: Message, reply: Reply) -> None:
        """Carry out a request and reply to it."""
        try:
            answer = self._answer(request, reply)
        except LivebatchError as error:
            answer = Refused(type(error).__name__, str(error))
        if answer is not None:
            reply(answer)

    def _answer(self, request: Message, reply: Reply) -> Message | None:
        engine = self._engine
        match request:
            case Define():
                engine.define(request.nodes, request.outputs)
            case Remove():
                engine.remove(request.name)
            case Discard():
                engine.discard(request.output)
            case Start():
                engine.start()
            case Stop():
                self._stop(request.graceful)
            case Offer():
                rdds = [self._rdd(lineage) for lineage in request.rdds]
                engine.allocator.offered(request.stream, rdds)
            case Pause():
                engine.pause(request.name, request.paused)
            case Explain():
                return engine.explain(request.name)
            case Resize():
                engine.resize(request.workers)
            case Release():
                self._release(request.rdd)
            case CancelJob():
                engine.jobs.cancel(request.id)
            case AskProgress():
                return Ok(engine.jobs.progress(request.job))
            case Settled():
                progress = engine.progress_of(request.output)
                found = progress.between(request.after, request.until, request.limit)
                return Batches(tuple(found))
            case AskState():
                return self._state(request)
            case Status():
                return self._status()
            case RunJob():
                self._run(request, reply)
                return None
            case _:
                return Refused("EngineError", f"{type(request).__name__} is not a request")
        return Ok()

    def _run(self, request: RunJob, reply: Reply) -> None:
        def done(result: Any) -> None:
            answers = tuple(outcome.answer for outcome in result.outcomes)
            reply(Answers(answers, result.printed))

        self._engine.jobs.run(
            Job(
                request.id,
                self._rdd(request.lineage),
                request.action,
                done,
                partial(_refuse, reply),
                request.splits,
                urgency=(AD_HOC,),
                strict=True,
            )
        )

    def _state(self, request: AskState) -> StateFound:
        found = self._engine.states.layers(request.name, request.until, request.limit)
        together: RDD[Any] = RDD(Unioned(), (*found.first, *found.later))
        return StateFound(found.times, len(found.first), to_lineage(together))

    def _rdd(self, lineage: Lineage) -> RDD[Any]:
        """Return the RDD of records, with what is here already instead of its records."""
        known = {
            item.id: rdd
            for item in lineage
            if (rdd := self._persisted.get(item.id) or self._engine.known_rdd(item.id))
        }
        result = from_lineage(lineage, self._engine.runner, known)
        for rdd in ancestors(result):
            if rdd.persisted and self._engine.known_rdd(rdd.id) is None:
                self._persisted[rdd.id] = rdd
        return result

    def code_in_use(self) -> set[str]:
        """Return the digests of the code that RDDs which clients have persisted need."""
        return set(digests(operations(self._persisted.values())))

    def _release(self, id: str) -> None:
        rdd = self._persisted.pop(id, None)
        if rdd is not None and isinstance(rdd.operation, Stored):
            self._engine.jobs.delete([b for split in rdd.operation.blocks for b in split])

    def _status(self) -> EngineStatus:
        engine = self._engine
        return EngineStatus(
            batch=engine.config.batch,
            running=engine.tick is not None,
            now=engine.clock.now(),
            workers=engine.executor.pids(),
            streams=engine.streams(),
            stored=engine.executor.store.used(),
            pending=engine.jobs.pending,
            pid=os.getpid(),
            name=engine.config.name,
            worked=engine.executor.worked(),
        )


def _refuse(reply: Reply, failure: Failure, printed: str) -> None:
    reply(Refused("JobFailed", f"{failure.kind}: {failure.message}", failure, printed))
