"""Carrying out one task, in a worker process or wherever else user code may run."""

from __future__ import annotations

from collections.abc import Callable, Collection, ItemsView, Iterable, Iterator, Sequence, Sized
from functools import partial
from itertools import chain, compress, count
from typing import Any

import msgspec
import pyarrow as pa

from livebatch import scratch
from livebatch.accumulator import adding, packed
from livebatch.block import (
    BlockRef,
    BlockStore,
    Encoded,
    Pickled,
    Tables,
    encode_rows,
    encode_segments,
    encode_tables,
    read_parts,
    read_table,
)
from livebatch.clock import stopwatch
from livebatch.closures import Builtin, load
from livebatch.engine.pieces import cut, is_chain
from livebatch.errors import BlockLost
from livebatch.events import BadRecords
from livebatch.failure import Failure, describe
from livebatch.leftout import SAMPLES, LeftOut, leaving_out
from livebatch.rdd.data import Data, Rows
from livebatch.rdd.layers import Layer
from livebatch.rdd.lines import Lines
from livebatch.rdd.operation import (
    AnyOperation,
    Coalesced,
    Exchanged,
    Filtered,
    FlatMapped,
    Layered,
    Mapped,
    PartitionsMapped,
    Read,
    Shuffled,
    Tabled,
    Unioned,
)
from livebatch.scratch import dumps, gathered, is_short
from livebatch.taskcontext import running
from livebatch.tasks import Answer, Divide, Done, Failed, Step, Task

_BY_RECORD = {"on_value", "each_on_value", "with_key", "framed"}
_TAKE_TABLES = {"collect_table", "collect_rows", "count_rows"}


def run_task(task: Task, store: BlockStore) -> Done | Failed:
    """Carry out a task: first as fast as it goes; if a function raises, again record by record,
    leaving out those that it raises on. Whether those are too many, the scheduler decides."""
    begun = stopwatch()
    read: list[Callable[[], int]] = []
    try:
        with running(task.attempt):
            done = _carry_out(task, store, read)
    except BlockLost as error:
        return Failed(task.id, describe(error), error.block_id)
    except (Exception, SystemExit) as error:
        if scratch.lacks_memory(error):
            return Failed(task.id, _over_limit(error), memory=True)
        return Failed(task.id, describe(error))
    rows = sum(given() for given in read) + sum(
        block.rows for step in task.steps for block in step.blocks
    )
    return msgspec.structs.replace(done, rows=rows, seconds=stopwatch() - begun)


def _carry_out(task: Task, store: BlockStore, read: list[Callable[[], int]]) -> Done:
    try:
        with adding() as added, leaving_out(not task.strict) as left:
            done = _finish(task, _results(task, store, None, read), store)
        bad = None
    except BlockLost:
        raise
    except (Exception, SystemExit) as error:
        if task.strict or not any(map(_is_by_record, task.steps)):
            raise
        if scratch.lacks_memory(error) and task.pieces == 1:  # another worker tries first
            raise
        guard = Guard()
        read.clear()
        with adding() as added, leaving_out(not task.strict) as left:
            done = _finish(task, _results(task, store, guard, read), store)
        bad = guard.found()
    if left.count:
        bad = _with_misfits(bad, left)
    pieces = {id: packed(value) for id, value in added.items()}
    return msgspec.structs.replace(done, bad=bad, added=pieces)


def _over_limit(error: BaseException) -> Failure:
    failure, limit = describe(error), scratch.memory.limit
    said = failure.message or "there is no memory left"
    rule = f" (a worker has a memory limit of {limit / 2**20:.0f} MiB)" if limit else ""
    return msgspec.structs.replace(failure, message=f"{said}{rule}")


def _with_misfits(bad: BadRecords | None, left: LeftOut) -> BadRecords:
    """Return bad records with those that frames left out."""
    if bad is None:
        return BadRecords(left.count, left.seen, tuple(left.samples), left.count)
    samples = (*bad.samples, *left.samples)[:SAMPLES]
    return BadRecords(bad.count + left.count, max(bad.seen, left.seen), samples, left.count)


def _finish(task: Task, rows: Any, store: BlockStore) -> Done:
    purpose = task.purpose
    if isinstance(rows, Encoded):
        return Done(task.id, store.put(rows, task.id))
    if isinstance(purpose, Answer):
        taken = rows if purpose.function.name in _TAKE_TABLES else _one_by_one(rows)
        return Done(task.id, answer=dumps(load(purpose.function)(taken)))
    if isinstance(purpose, Divide):
        return Done(task.id, store.put(_divided(task, purpose.shuffle, rows), task.id))
    encoded = encode_tables(rows) if isinstance(rows, Tables) else encode_rows(rows)
    return Done(task.id, store.put(encoded, task.id))


def _one_by_one(rows: Any) -> Any:
    """Return rows one by one; what is looked up by key stays as it is."""
    return rows if isinstance(rows, Layer) else iter(rows)


def _divided(task: Task, shuffle: Shuffled | Exchanged, rows: Data) -> Encoded:
    if isinstance(shuffle, Exchanged):
        return encode_segments(shuffle.segments(rows))  # type: ignore[arg-type]
    split, pickled = task.steps[-1].split, Pickled(shuffle.count)
    combined = shuffle.combine(iter(rows))
    if isinstance(combined, ItemsView) and not is_short():  # they are all there already
        rest: Collection[Any] = combined
    else:
        rest = gathered(combined, lambda some: pickled.add(shuffle.divide(split, some)))
    pickled.add(shuffle.divide(split, rest))
    return pickled.encoded()


def _results(
    task: Task, store: BlockStore, guard: Guard | None, read: list[Callable[[], int]]
) -> Any:
    """Return the rows of the last step, which come piece by piece where that was asked for."""
    first, *others = task.steps
    if task.pieces == 1 or not is_chain(task.steps) or not all(map(_goes_by_piece, others)):
        return _rows(task.steps, store, guard, read)
    source = _rows((first,), store, guard, read)
    if not others or isinstance(source, Layer):
        return source
    pieces = (_through(others, piece, guard) for piece in cut(source, task.pieces))
    if isinstance(others[-1].operation, Tabled):
        return Tables(chain.from_iterable(piece.tables for piece in pieces))
    return chain.from_iterable(map(_one_by_one, pieces))


def _through(steps: Sequence[Step], rows: Any, guard: Guard | None) -> Any:
    for step in steps:
        rows = _compute(step, [rows], guard)
    return rows


def _rows(
    steps: tuple[Step, ...],
    store: BlockStore,
    guard: Guard | None,
    read: list[Callable[[], int]],
) -> Any:
    """Return the rows of the last step; ``read`` gets what tells how many come from outside."""
    results: list[Any] = []
    for step in steps:
        if isinstance(step.operation, Read):
            rows, given = _counted(step.operation.read(step.split))
            read.append(given)
            results.append(rows)
            continue
        inputs = [results[i] for i in step.inputs]
        if step.blocks or not inputs:
            inputs.append(_stored(step, store))
        results.append(_compute(step, inputs, guard))
    return results[-1]


def _counted(found: Any) -> tuple[Iterable[Any], Callable[[], int]]:
    """Return rows, and what tells, once, how many of them were taken; no step of it is Python."""
    if isinstance(found, Lines):
        return found, found.taken
    if isinstance(found, Sized):
        rows = Tables([found]) if isinstance(found, pa.Table) else iter(found)  # type: ignore[call-overload]
        return rows, partial(len, found)
    numbers = count(1)
    return compress(found, numbers), lambda: next(numbers) - 1


def _stored(step: Step, store: BlockStore) -> Data | Layer:
    if step.blocks and step.blocks[0].format == "layer":
        return Layer(step.blocks[0], store)
    if isinstance(step.operation, Shuffled):
        blocks = step.blocks
    else:  # what was made of no rows has no columns
        blocks = tuple(block for block in step.blocks if block.rows or block.format == "arrow")
    if all(block.format == "arrow" for block in blocks):
        return Tables(read_table(block, store) for block in blocks)
    return _pickled(blocks, store)


def _pickled(blocks: tuple[BlockRef, ...], store: BlockStore) -> Rows:
    parts = chain.from_iterable(read_parts(block, store) for block in blocks)
    return chain.from_iterable(parts)


def _compute(step: Step, inputs: list[Any], guard: Guard | None) -> Any:
    operation = step.operation
    if operation is None:
        return inputs[0]
    if isinstance(operation, Layered):
        return operation.write(list(map(_one_by_one, inputs)))
    if guard is not None and _is_by_record(step):
        if isinstance(operation, Tabled):
            return guard.table(operation, iter(inputs[0]))
        return guard.each(operation, iter(inputs[0]))
    given: Any = inputs if operation.takes_tables else list(map(_one_by_one, inputs))
    if isinstance(operation, Shuffled) and step.inputs:
        return operation.compute_narrow(given)
    return operation.compute(step.split, given)


def _is_by_record(step: Step) -> bool:
    """Return whether an operation treats each record by itself, so that one can be left out."""
    operation = step.operation
    if isinstance(operation, (PartitionsMapped, Tabled)):
        function = operation.function
        return isinstance(function, Builtin) and function.name in _BY_RECORD
    return isinstance(operation, (Mapped, Filtered, FlatMapped))


def _goes_by_piece(step: Step) -> bool:
    """Return whether an operation gives of rows cut into pieces what it gives of them at once."""
    return isinstance(step.operation, (Unioned, Coalesced)) or _is_by_record(step)


class Guard:
    """Runs operations record by record and collects those that are raised on."""

    def __init__(self) -> None:
        self._count = self._seen = 0
        self._samples: list[Failure] = []

    def each(self, operation: AnyOperation, rows: Rows) -> Iterator[Any]:
        """Yield what an operation makes of each row, but for those that it raises on."""
        seen = 0
        for row in rows:
            seen += 1
            try:
                results = operation.compute_one(row)
            except (Exception, SystemExit) as error:
                self._add(error, row)
                continue
            yield from results
        self._seen = max(self._seen, seen)

    def _add(self, error: BaseException, row: Any) -> None:
        self._count += 1
        if len(self._samples) < SAMPLES:
            self._samples.append(describe(error, row))

    def table(self, operation: Tabled, rows: Rows) -> Tables:
        """Return the table that rows make, without those that do not fit: a part that does not
        is halved, so that few bad rows among many are found soon."""
        given = list(rows)
        self._seen = max(self._seen, len(given))
        fitting: list[pa.Table] = []
        stack = [given]
        while stack:
            part = stack.pop()
            try:
                fitting += operation.compute(0, [iter(part)]).tables
            except (Exception, SystemExit) as error:
                middle = len(part) // 2
                if middle:
                    stack += [part[middle:], part[:middle]]
                else:
                    self._add(error, part[0])
        return Tables(fitting) if fitting else operation.compute(0, [iter(())])

    def found(self) -> BadRecords | None:
        """Return the bad records, if there were any."""
        if not self._count:
            return None
        return BadRecords(self._count, self._seen, tuple(self._samples))
