"""Small lineages, tasks and outcomes, made without an engine."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

from livebatch.block import BlockRef
from livebatch.closures import builtin
from livebatch.engine.commands import Command, JobSubmitted, Launch
from livebatch.engine.dag import Stage, plan_answer, plan_keep
from livebatch.operators.state import given_rows
from livebatch.rdd import RDD
from livebatch.rdd import functions as run
from livebatch.rdd.operation import Read
from livebatch.scratch import dumps
from livebatch.tasks import Answer, Divide, Done, Task

COLLECT = builtin(run.collect_rows)


def source(*partitions: Sequence[Any], id: str | None = None) -> RDD[Any]:
    """An RDD with these partitions, read anew by every task."""
    return RDD(
        Read(tuple(builtin(given_rows, pickle.dumps([*rows])) for rows in partitions)), id=id
    )


def kept(rdd: RDD[Any]) -> RDD[Any]:
    """The same RDD, to be kept as blocks."""
    rdd.persisted = True
    return rdd


def answer(job: str, rdd: RDD[Any], *urgency: int, strict: bool = False) -> JobSubmitted:
    """The job that collects an RDD."""
    return JobSubmitted(job, plan_answer(job, rdd, COLLECT), urgency, strict)


def keep(job: str, rdd: RDD[Any], *urgency: int) -> JobSubmitted:
    """The job that keeps an RDD."""
    return JobSubmitted(job, plan_keep(rdd), urgency)


def done(task: Task) -> Done:
    """A good outcome: a block named after its task, as workers write it, or an answer."""
    if isinstance(task.purpose, Answer):
        return Done(task.id, answer=dumps([]))
    count = task.purpose.shuffle.count if isinstance(task.purpose, Divide) else 0
    index = tuple(range(count + 1)) if count else ()
    return Done(task.id, BlockRef(task.id, 1, 1_000_000, "pickle", None, index))


def launched(commands: Sequence[Command]) -> list[Task]:
    return [command.task for command in commands if isinstance(command, Launch)]


def only(commands: Sequence[Command], kind: type[Any]) -> list[Any]:
    return [command for command in commands if isinstance(command, kind)]


def place(task: str) -> tuple[str, int]:
    """The stage and the split of a task, by its id."""
    stage, split, _ = task.rsplit(".", 2)
    return stage, int(split)


def shape(stages: Sequence[Stage]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Stages as {id: (what becomes of the rows, parents)}."""
    return {s.id: (type(s.purpose).__name__, s.parents) for s in stages}
