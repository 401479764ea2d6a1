"""Attempts at writing a batch in processes that are killed at a chosen step.

A process of its own makes the attempts in forks of itself: so nothing that the caller has open is
forked, and an attempt takes no longer than it must.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from livebatch import sinks
from livebatch.sinks import Key, Sink
from livebatch.taskcontext import Attempt, running


class Order(msgspec.Struct, frozen=True):
    """An attempt that is to be made.

    Attributes:
        module, kind, options: what makes the sink.
        batches: what is to be written, one after the other: the rows of the partitions.
        commits: whether a batch is committed after it is written.
        at_step: kill it before this step; steps are lines of the sink's code.
        at_byte: kill it when a file gets more bytes than this.
        copies: so many such attempts are made at the same time.
    """

    module: str
    kind: str
    options: dict[str, Any]
    batches: list[tuple[Key, list[list[str]]]]
    commits: bool = True
    at_step: int | None = None
    at_byte: int | None = None
    copies: int = 1


class End(msgspec.Struct, frozen=True):
    """How an attempt ended.

    Attributes:
        status: of the process: 0, or less if it was killed.
        steps: where it was at each step, if it was not killed.
        rows: how many each receipt says.
        error: the traceback of what it raised.
        modules: what it had loaded.
    """

    status: int = 0
    steps: list[str] = []
    rows: list[int] = []
    error: str | None = None
    modules: list[str] = []


class Crashes:
    """Makes attempts, and tells how they ended.

    Args:
        sink: of what kind, with which options.
    """

    def __init__(self, sink: Sink) -> None:
        self._module, self._kind = type(sink).__module__, type(sink).__qualname__
        self._options = msgspec.to_builtins(sink)
        path = os.pathsep.join(filter(None, sys.path))
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"from {__name__} import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )

    def __enter__(self) -> Crashes:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def attempt(self, batches: Iterable[tuple[Key, list[list[str]]]], **how: Any) -> list[End]:
        """Make an attempt, or several at the same time; see `Order`."""
        order = Order(self._module, self._kind, self._options, list(batches), **how)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        self._process.stdin.flush()
        return msgspec.json.decode(self._process.stdout.readline(), type=list[End])


def main() -> None:
    """Make the attempts that are ordered, a line each, and answer how they ended."""
    for line in sys.stdin.buffer:
        gc.collect()
        gc.freeze()  # what is not looked at in a fork is not copied
        ends = _made(msgspec.json.decode(line, type=Order))
        for name in {name for end in ends for name in end.modules} - sys.modules.keys():
            with suppress(Exception):
                import_module(name)  # once, and not in every fork
        os.write(1, msgspec.json.encode(ends) + b"\n")


def _made(order: Order) -> list[End]:
    ready, go = os.pipe()
    forks = [_fork(order, ready, go) for _ in range(order.copies)]
    os.close(ready)
    os.close(go)  # all begin
    return [_ended(pid, report) for pid, report in forks]


def _fork(order: Order, ready: int, go: int) -> tuple[int, int]:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    try:
        os.close(go)
        os.read(ready, 1)
        _tell(writing, _attempt(order))
    finally:
        os._exit(0)


def _tell(pipe: int, end: End) -> None:
    with open(pipe, "wb") as file:
        file.write(msgspec.json.encode(end))


def _ended(pid: int, report: int) -> End:
    with open(report, "rb") as file:
        told = file.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return msgspec.json.decode(told, type=End) if told else End(status)


def _attempt(order: Order) -> End:
    steps: list[str] = []
    rows: list[int] = []
    error = None
    kind = getattr(import_module(order.module), order.kind)
    try:
        with _killing(order, steps):
            for key, partitions in order.batches:
                rows += _write(kind(**order.options), key, partitions, order.commits)
    except Exception:
        error = traceback.format_exc()
    return End(0, steps, rows, error, list(sys.modules))


def _write(sink: Sink, key: Key, partitions: list[list[str]], commits: bool) -> list[int]:
    parts = []
    for split, rows in enumerate(partitions):
        with running(Attempt(0, split, split, 0, key.time)):
            parts.append(sink.write(key, iter(rows)))
    filled = [part for part in parts if part.num_rows]
    return [sink.commit(key, filled).rows] if commits else []


@contextmanager
def _killing(order: Order, steps: list[str]) -> Iterator[None]:
    """Kill this process at the step that is ordered, and note all steps until then."""
    homes = tuple(
        str(Path(str(module.__file__)).parent) for module in (sinks, import_module(order.module))
    )

    def trace(frame: Any, event: str, _: object) -> Any:
        if event == "call" and not frame.f_code.co_filename.startswith(homes):
            return None
        if event == "line":
            if len(steps) == order.at_step:
                os.kill(os.getpid(), signal.SIGKILL)
            steps.append(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}")
        return trace

    if order.at_byte is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (order.at_byte, order.at_byte))
    if len(order.batches) == 1:
        sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(None)
