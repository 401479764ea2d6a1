"""A worker process: ``python -m livebatch.engine.worker ADDRESS PLACE MEMORY``."""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
from contextlib import suppress
from importlib import import_module
from types import FrameType

import msgspec
import pyarrow as pa

from livebatch import scratch
from livebatch.closures import codes
from livebatch.engine.child import live_and_die_with_the_engine
from livebatch.engine.limits import give_back, own_memory
from livebatch.engine.output import caught
from livebatch.engine.store import Place, SharedMemoryStore
from livebatch.engine.task import run_task
from livebatch.failure import describe
from livebatch.tasks import Done, Failed, Task
from livebatch.transport import Line
from livebatch.wire import (
    Hello,
    KeepCode,
)

NEW_OBJECTS = 20_000
"""Python looks for garbage in cycles whenever there are so many more objects, instead of 700: a
batch has many rows, none of which is garbage while it is computed. With 700, tasks of functions of
Python took a quarter longer."""


class Worker:
    """Runs one task after the other; an interrupt makes it give up the one that runs."""

    def __init__(self, address: str, store: SharedMemoryStore) -> None:
        self._store = store
        self._busy = False
        signal.signal(signal.SIGINT, self._interrupted)
        self._line = Line(address, Hello("worker", "", os.getpid()), alive=lambda: True)

    def run(self) -> None:
        """Run tasks for ever; what most of them need is loaded while there are none."""
        import_module("livebatch.operators")
        gc.freeze()  # what has been loaded stays
        gc.set_threshold(NEW_OBJECTS, *gc.get_threshold()[1:])
        while True:
            received = self._line.receive()
            message = None if received is None else received[1]
            if isinstance(message, Task):
                self._line.send(self._carry_out(message))
            elif isinstance(message, KeepCode):
                codes.keep_only(set(message.digests))

    def _carry_out(self, task: Task) -> Done | Failed:
        self._busy = True
        with caught() as output:
            try:
                outcome = run_task(task, self._store)
            except KeyboardInterrupt as error:
                outcome = Failed(task.id, describe(error))
            finally:
                self._busy = False
        text = output.getvalue()
        return msgspec.structs.replace(outcome, output=text) if text else outcome

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        if self._busy and not _is_importing(frame):
            self._busy = False
            raise KeyboardInterrupt("the job was cancelled")


def _is_importing(frame: FrameType | None) -> bool:
    """Return whether a module is being imported: cut off, it would lack parts ever after."""
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None


def main() -> None:
    """Run a worker."""
    live_and_die_with_the_engine()
    address, memory = sys.argv[1], int(sys.argv[3])
    place = msgspec.json.decode(sys.argv[2], type=Place)
    if memory:
        _limit_memory(memory, place)
    Worker(address, place.open(overflows=True)).run()


def _limit_memory(nbytes: int, place: Place) -> None:
    """Have large sorts and groups go on by way of files, and allocations beyond a limit fail as
    a MemoryError, which has a traceback, instead of the system killing some process. Blocks that
    are mapped do not count."""
    scratch.memory = scratch.Memory(nbytes, own_memory, give_back, place.disk)
    pa.set_memory_pool(pa.system_memory_pool())  # others take a GiB to begin with, or crash
    with suppress(ValueError, OSError):  # macOS takes no such limit
        resource.setrlimit(resource.RLIMIT_DATA, (nbytes, nbytes))


if __name__ == "__main__":
    main()
