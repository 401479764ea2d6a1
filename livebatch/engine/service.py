"""What clients and the driver may ask of the engine."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from livebatch.closures import digests
from livebatch.engine import changes
from livebatch.engine.core import Engine
from livebatch.engine.jobs import Job
from livebatch.engine.report import streams_of, task_runs
from livebatch.engine.run import Run
from livebatch.errors import LivebatchError, NotRunning
from livebatch.events import Batches, EngineStatus, Message, TaskRuns
from livebatch.failure import Failure
from livebatch.filesystems import reason
from livebatch.rdd import (
    RDD,
    Lineage,
    ancestors,
    blocks_of,
    from_lineage,
    operations,
    to_lineage,
)
from livebatch.rdd.operation import Stored, Unioned
from livebatch.shared import AskAccumulator, AskBroadcast, BroadcastValue
from livebatch.wire import (
    Answers,
    AskProgress,
    AskState,
    AskTasks,
    BeginRun,
    CancelJob,
    EndRun,
    Explain,
    KeepCheckpoints,
    KeepRDD,
    Kept,
    Ok,
    Refused,
    Release,
    Resize,
    RunJob,
    RunNext,
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
        stop: called with the request to.
        checkpoint: has checkpoints kept in a folder.
    """

    def __init__(
        self, engine: Engine, stop: Callable[[Stop], None], checkpoint: Callable[[str], None]
    ) -> None:
        self._engine, self._stop, self._checkpoint = engine, stop, checkpoint
        self._persisted = engine.jobs.persisted
        self._runs: dict[str, Run] = {}

    def handle(self, request: Message, reply: Reply) -> None:
        """Carry out a request and reply to it."""
        try:
            answer = self._answer(request, reply)
        except LivebatchError as error:
            answer = Refused(type(error).__name__, str(error))
        except OSError as error:
            said = f"nothing was done, for it could not be logged: {reason(error)}"
            answer = Refused("EngineError", said)
        if answer is not None:
            reply(answer)

    def _answer(self, request: Message, reply: Reply) -> Message | None:
        engine = self._engine
        if isinstance(request, changes.CHANGES):
            changes.make(engine, request, self._rdd)
            return Ok()
        match request:
            case Start():
                engine.start()
            case Stop():
                self._stop(request)
            case KeepCheckpoints():
                self._checkpoint(request.folder)
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
            case KeepRDD():
                self._keep(request, reply)
                return None
            case Settled():
                progress = engine.progress_of(request.output)
                found = progress.between(request.after, request.until, request.limit)
                return Batches(tuple(found))
            case AskState():
                return self._state(request)
            case Status():
                return self._status()
            case AskTasks():
                count, ran = engine.executor.timesheet.since(request.after)
                return TaskRuns(count, task_runs(ran, engine.graph, engine.clock.now()))
            case RunJob():
                self._run(request, reply)
                return None
            case BeginRun():
                self._runs[request.id] = Run(engine, request)
            case RunNext():
                self._run_next(request, reply)
                return None
            case EndRun():
                if run := self._runs.pop(request.run, None):
                    run.end()
            case AskBroadcast():
                return BroadcastValue(engine.broadcasts.newest.get(request.id))
            case AskAccumulator():
                return Ok(engine.jobs.accumulators.pieces(request.id))
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
                urgency=self._engine.urgency_at(request.time),
                strict=True,
                time=request.time,
            )
        )

    def _keep(self, request: KeepRDD, reply: Reply) -> None:
        rdd = self._rdd(request.lineage)

        def done(_: Any) -> None:
            reply(Kept(tuple(blocks_of(rdd))))

        failed, urgency = partial(_refuse, reply), self._engine.urgency_at(request.time)
        self._engine.jobs.run(
            Job(f"{rdd.id}.kept", rdd, None, done, failed, urgency=urgency, strict=True)
        )

    def _run_next(self, request: RunNext, reply: Reply) -> None:
        run = self._runs.get(request.run)
        if run is None:
            raise NotRunning(f"there is no run {request.run}")
        run.next([self._rdd(lineage) for lineage in request.rdds], reply)

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
        """Return the digests of the code that runs and RDDs which clients have persisted need."""
        found = set(digests(operations(self._persisted.values())))
        return found.union(*(run.code_in_use() for run in self._runs.values()))

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
            workers=(workers := engine.executor.pids()),
            streams=streams_of(engine),
            stored=engine.executor.store.used(),
            pending=engine.jobs.pending,
            pid=os.getpid(),
            name=engine.config.name,
            worked=tuple(map(engine.executor.timesheet.worked, workers)),
            trouble="; ".join(filter(None, (engine.trouble, engine.executor.trouble))),
            checkpoints=engine.checkpoints() if engine.checkpoints else None,
        )


def _refuse(reply: Reply, failure: Failure, printed: str) -> None:
    reply(Refused("JobFailed", f"{failure.kind}: {failure.message}", failure, printed))
