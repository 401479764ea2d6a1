"""From lineage to stages, and from stages to tasks.

A stage is the narrow part of a lineage: it ends where rows must be divided anew, where an RDD is
to be kept, or at the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from livebatch.block import BlockRef
from livebatch.closures import Function
from livebatch.interval import Millis
from livebatch.rdd import RDD, ancestors
from livebatch.rdd.operation import Deferred, Shuffled, Stored
from livebatch.tasks import Answer, Divide, Keep, Purpose, Step, Task


@dataclass(frozen=True)
class Stage:
    """Tasks that can run at once, one for each split.

    Attributes:
        id: equal for the same work, so that jobs share it.
        rdd: whose rows its tasks compute.
        purpose: what becomes of the rows.
        splits: which partitions.
        parents: stages whose blocks it reads.
        time: of the batch it belongs to, if it does to one.
    """

    id: str
    rdd: RDD[Any]
    purpose: Purpose
    splits: tuple[int, ...]
    parents: tuple[str, ...]
    time: Millis | None = None


Outputs = Mapping[str, Sequence[BlockRef]]
"""The blocks that stages wrote, by stage; one for each split."""


def keep_id(rdd: RDD[Any]) -> str:
    """Return the id of the stage that keeps an RDD."""
    return f"{rdd.id}.keep"


def divide_id(shuffled: RDD[Any]) -> str:
    """Return the id of the stage that writes the map outputs of a shuffled RDD."""
    return f"{shuffled.id}.map"


def plan_keep(rdd: RDD[Any]) -> list[Stage]:
    """Return the stages that keep an RDD, parents first; none if it lies in blocks already."""
    _know_partitions(rdd)
    stages: dict[str, Stage] = {}
    _keep(rdd, stages, None)
    return list(stages.values())


def plan_answer(
    job: str,
    rdd: RDD[Any],
    action: Function,
    splits: Sequence[int] | None = None,
    time: Millis | None = None,
) -> list[Stage]:
    """Return the stages of an action, parents first; the last gives its results.

    Args:
        time: of the batch that asks for it, if one does.
    """
    _know_partitions(rdd)
    stages: dict[str, Stage] = {}
    chosen = tuple(range(rdd.num_partitions) if splits is None else splits)
    stages[job] = Stage(job, rdd, Answer(action), chosen, _inputs(rdd, stages, time), time)
    return list(stages.values())


def _know_partitions(rdd: RDD[Any]) -> None:
    """Have an RDD know how it is divided, from the first ancestor on, so that a lineage of any
    depth needs no recursion."""
    for node in ancestors(rdd):
        _ = node.num_partitions, node.partitioner


def deferred(rdd: RDD[Any]) -> list[RDD[Any]]:
    """Return the transforms that an RDD waits for and whose own parents wait for none."""
    found: list[RDD[Any]] = []
    waiting: set[str] = set()
    for node in ancestors(rdd):
        above = any(parent.id in waiting for parent in node.parents)
        if isinstance(node.operation, Deferred) and not above:
            found.append(node)
        if isinstance(node.operation, Deferred) or above:
            waiting.add(node.id)
    return found


def _keep(rdd: RDD[Any], stages: dict[str, Stage], time: Millis | None) -> str | None:
    if isinstance(rdd.operation, Stored):
        return None
    id, time = keep_id(rdd), rdd.batch_time or time
    if id not in stages:
        parents = _parents(rdd, stages, time)
        stages[id] = Stage(id, rdd, Keep(), tuple(range(rdd.num_partitions)), parents, time)
    return id


def _divide(
    shuffled: RDD[Any], operation: Shuffled, stages: dict[str, Stage], time: Millis | None
) -> str:
    id, source = divide_id(shuffled), shuffled.parents[0]
    if id not in stages:
        splits = tuple(range(source.num_partitions))
        inputs = _inputs(source, stages, time)
        stages[id] = Stage(id, source, Divide(operation), splits, inputs, time)
    return id


def _inputs(rdd: RDD[Any], stages: dict[str, Stage], time: Millis | None) -> tuple[str, ...]:
    """Plan what must be there before the rows of an RDD can be read or computed."""
    if not rdd.persisted:
        return _parents(rdd, stages, time)
    kept = _keep(rdd, stages, time)
    return (kept,) if kept else ()


def _parents(rdd: RDD[Any], stages: dict[str, Stage], time: Millis | None) -> tuple[str, ...]:
    """Plan, and return the ids of, the stages that computing an RDD reads from."""
    found: dict[str, None] = {}
    stack, seen = [(rdd, time)], {rdd.id}
    while stack:
        node, above = stack.pop()
        time = node.batch_time or above
        if node is not rdd and node.persisted:
            if id := _keep(node, stages, time):
                found[id] = None
            continue
        if isinstance(node.operation, Shuffled) and not node.operation.is_narrow(node.parents):
            found[_divide(node, node.operation, stages, time)] = None
            continue
        fresh = [(parent, time) for parent in reversed(node.parents) if parent.id not in seen]
        seen.update(parent.id for parent, _ in fresh)
        stack.extend(fresh)
    return tuple(found)


def make_task(stage: Stage, index: int, attempt: int, outputs: Outputs, strict: bool) -> Task:
    """Return the task of a stage's ``index``-th split, given the blocks of the stages before."""
    split, inside = stage.splits[index], isinstance(stage.purpose, Keep)
    steps = _steps(stage.rdd, split, outputs, inside)
    return Task(f"{stage.id}.{split}.{attempt}", tuple(steps), stage.purpose, strict)


def copied(task: Task, attempt: int) -> Task:
    """Return the same task for another attempt, which writes a block of its own."""
    return replace(task, id=f"{task.id.rpartition('.')[0]}.{attempt}")


def _steps(rdd: RDD[Any], split: int, outputs: Outputs, inside: bool) -> list[Step]:
    """Return the steps that compute a partition; the last is the partition itself.

    ``inside``: compute the RDD itself even if it is one that is kept.
    """
    steps: list[Step] = []
    done: list[int] = []  # positions of finished steps that wait to be inputs
    todo: list[tuple[RDD[Any], int, int | None]] = [(rdd, split, None)]
    while todo:
        node, part, inputs = todo.pop()
        if inputs is not None:
            first = len(done) - inputs
            steps.append(Step(node.operation, part, tuple(done[first:])))
            del done[first:]
        elif leaf := _leaf(node, part, outputs, inside and node is rdd):
            steps.append(leaf)
        else:
            needed = node.operation.needs(part, node.parents)
            todo.append((node, part, len(needed)))
            todo.extend((node.parents[i], s, None) for i, s in reversed(needed))
            continue
        done.append(len(steps) - 1)
    return steps


def _leaf(rdd: RDD[Any], split: int, outputs: Outputs, inside: bool) -> Step | None:
    """Return the step that begins with blocks, if a partition can be read from some."""
    return (None if inside else _read(rdd, split, outputs)) or _shuffled(rdd, split, outputs)


def _read(rdd: RDD[Any], split: int, outputs: Outputs) -> Step | None:
    """Return the step that reads a partition that lies in blocks, if it does."""
    if isinstance(rdd.operation, Stored):
        return Step(None, split, (), rdd.operation.blocks[split])
    if rdd.persisted:
        return Step(None, split, (), (outputs[keep_id(rdd)][split],))
    return None


def _shuffled(rdd: RDD[Any], split: int, outputs: Outputs) -> Step | None:
    """Return the step that reads a partition of a shuffle, if it is one."""
    operation = rdd.operation
    if not isinstance(operation, Shuffled) or operation.is_narrow(rdd.parents):
        return None
    maps = outputs[divide_id(rdd)]
    blocks = tuple(m.at(split) for m in maps if m.index[split] < m.index[split + 1])
    return Step(operation, split, (), blocks)
