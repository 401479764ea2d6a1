"""Carrying out one task, in a worker process or wherever else user code may run."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from itertools import chain
from typing import Any, TypeAlias

import msgspec
import pyarrow as pa

from livebatch.accumulator import adding, packed
from livebatch.block import (
    BlockStore,
    Encoded,
    Pickled,
    encode_rows,
    encode_table,
    read_parts,
    table_parts,
)
from livebatch.clock import stopwatch
from livebatch.closures import Builtin, load
from livebatch.errors import BlockLost
from livebatch.events import BadRecords
from livebatch.failure import Failure, describe
from livebatch.rdd.layers import Layer
from livebatch.rdd.operation import (
    AnyOperation,
    Filtered,
    FlatMapped,
    Layered,
    Mapped,
    PartitionsMapped,
    Read,
    Rows,
    Shuffled,
)
from livebatch.scratch import dumps, gathered
from livebatch.taskcontext import running
from livebatch.tasks import Answer, Divide, Done, Failed, Keep, Step, Task

SAMPLES = 100
"""So many bad records of a task are kept with their tracebacks."""

Given: TypeAlias = Rows | pa.Table | Layer | Encoded
"""What a step gives: rows, in the form that is cheapest."""

_BY_RECORD = {"on_value", "each_on_value", "with_key"}


def run_task(task: Task, store: BlockStore) -> Done | Failed:
    """Carry out a task: first as fast as it goes; if a function raises, again record by record,
    leaving out those that it raises on. Whether those are too many, the scheduler decides."""
    begun = stopwatch()
    read: list[int] = []
    try:
        with running(task.attempt):
            done = _carry_out(task, store, read)
    except BlockLost as error:
        return Failed(task.id, describe(error), error.block_id)
    except (Exception, SystemExit) as error:
        return Failed(task.id, describe(error))
    rows = sum(read) + sum(block.rows for step in task.steps for block in step.blocks)
    return msgspec.structs.replace(done, rows=rows, seconds=stopwatch() - begun)


def _carry_out(task: Task, store: BlockStore, read: list[int]) -> Done:
    try:
        with adding() as added:
            done = _finish(task, _rows(task.steps, store, None, read), store)
        bad = None
    except BlockLost:
        raise
    except (Exception, SystemExit):
        if task.strict or not any(map(_is_by_record, task.steps)):
            raise
        guard = Guard()
        with adding() as added:
            done = _finish(task, _rows(task.steps, store, guard, []), store)
        bad = guard.found()
    pieces = {id: packed(value) for id, value in added.items()}
    return msgspec.structs.replace(done, bad=bad, added=pieces)


def _finish(task: Task, rows: Given, store: BlockStore) -> Done:
    if isinstance(rows, Encoded):
        return Done(task.id, store.put(rows, task.id))
    if isinstance(task.purpose, Keep) and isinstance(rows, pa.Table):
        return Done(task.id, store.put(encode_table(rows), task.id))
    rows = _as_rows(rows)
    if isinstance(task.purpose, Answer):
        return Done(task.id, answer=dumps(load(task.purpose.function)(rows)))
    if isinstance(task.purpose, Divide):
        return Done(task.id, store.put(_divided(task, task.purpose.shuffle, rows), task.id))
    return Done(task.id, store.put(encode_rows(rows), task.id))


def _divided(task: Task, shuffle: Shuffled, rows: Rows) -> Encoded:
    split, pickled = task.steps[-1].split, Pickled(shuffle.count)
    rest = gathered(shuffle.combine(rows), lambda some: pickled.add(shuffle.divide(split, some)))
    pickled.add(shuffle.divide(split, rest))
    return pickled.encoded()


def _as_rows(rows: Given) -> Any:
    return chain.from_iterable(table_parts(rows)) if isinstance(rows, pa.Table) else rows


def _rows(
    steps: tuple[Step, ...], store: BlockStore, guard: Guard | None, read: list[int]
) -> Given:
    """Return the rows of the last step; ``read`` gets how many come from outside, where known."""
    results: list[Given] = []
    for step in steps:
        if isinstance(step.operation, Read):
            found = step.operation.read(step.split)
            if isinstance(found, Sized):
                read.append(len(found))
            results.append(found if isinstance(found, pa.Table) else iter(found))
            continue
        inputs = [_as_rows(results[i]) for i in step.inputs]
        if step.blocks or not inputs:
            inputs.append(_stored(step, store))
        results.append(_compute(step, inputs, guard))
    return results[-1]


def _stored(step: Step, store: BlockStore) -> Rows | Layer:
    if step.blocks and step.blocks[0].format == "layer":
        return Layer(step.blocks[0], store)
    parts = chain.from_iterable(read_parts(block, store) for block in step.blocks)
    return chain.from_iterable(parts)


def _compute(step: Step, inputs: list[Any], guard: Guard | None) -> Given:
    operation = step.operation
    if operation is None:
        return inputs[0]
    if isinstance(operation, Layered):
        return operation.write(inputs)
    if guard is not None and _is_by_record(step):
        return guard.each(operation, inputs[0])
    if isinstance(operation, Shuffled) and step.inputs:
        return operation.compute_narrow(inputs)
    return operation.compute(step.split, inputs)


def _is_by_record(step: Step) -> bool:
    """Return whether an operation treats each record by itself, so that one can be left out."""
    operation = step.operation
    if isinstance(operation, PartitionsMapped):
        function = operation.function
        return isinstance(function, Builtin) and function.name in _BY_RECORD
    return isinstance(operation, (Mapped, Filtered, FlatMapped))


class Guard:
    """Runs operations record by record and collects those that are raised on."""

    def __init__(self) -> None:
        self._count = self._seen = 0
        self._samples: list[Failure] = []

    def each(self, operation: AnyOperation, rows: Rows) -> Iterator[Any]:
        seen = 0
        for row in rows:
            seen += 1
            try:
                results = operation.compute_one(row)
            except (Exception, SystemExit) as error:
                self._count += 1
                if len(self._samples) < SAMPLES:
                    self._samples.append(describe(error, row))
                continue
            yield from results
        self._seen = max(self._seen, seen)

    def found(self) -> BadRecords | None:
        """Return the bad records, if there were any."""
        if not self._count:
            return None
        return BadRecords(self._count, self._seen, tuple(self._samples))
