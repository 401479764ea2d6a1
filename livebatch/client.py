"""The client's side of an engine: requests, events, and jobs."""

from __future__ import annotations

import logging
import os
import pickle
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from itertools import count
from queue import SimpleQueue
from typing import Any, Protocol

from livebatch.accumulator import Piece
from livebatch.block import BlockRef
from livebatch.checkpoint import make_folder, readers, save
from livebatch.closures import Function, builtin
from livebatch.errors import EngineLost, EngineRestarted, NotRunning
from livebatch.events import Batch, Batches, BatchSettled, Event, Message, Restarted
from livebatch.filesystems import within
from livebatch.interval import Millis, to_datetime
from livebatch.jobbar import JobBar, terminal_bar
from livebatch.rdd import RDD, stored, to_lineage
from livebatch.rdd.operation import PartitionsMapped, Read
from livebatch.shared import AddToAccumulator, AskAccumulator, SetAccumulator
from livebatch.taskcontext import time_of_batch
from livebatch.transport import Line, Subscriber
from livebatch.wire import (
    Answers,
    AskProgress,
    CancelJob,
    Hello,
    KeepRDD,
    Kept,
    Ok,
    Release,
    RunJob,
    Settled,
    Status,
    Stop,
    Welcome,
    checked,
)

_log = logging.getLogger(__name__)

GOING = 0.02
"""Seconds between two looks at whether an engine that was told to stop is gone."""

Listener = Callable[[Event], None]


class Connection(Protocol):
    """A line to an engine."""

    @property
    def parallelism(self) -> int:
        """How many partitions the engine makes when not told."""

    def request(self, message: Message, waiting: Callable[[], None] | None = None) -> Message:
        """Send a request and return the reply.

        Args:
            message: the request.
            waiting: called now and then until the reply is there, where that takes time.

        Raises:
            LivebatchError: the engine refuses, with the class and message it refuses with.
            EngineLost: the engine is gone.
        """

    def listen(self, listener: Listener, apart: bool = False) -> Callable[[], None]:
        """Have a function called with every event; return a function that ends that.

        Args:
            listener: the function.
            apart: it may take long, so let no other wait for it.
        """

    def announce(self, event: Event) -> None:
        """Tell this process's listeners of something that happened here."""

    def serve_driver(self, runner: ClientRunner) -> None:
        """Have driver functions that run in this thread use this runner."""

    def stop(self, request: Stop) -> None:
        """Stop the engine, hang up, and wait until it is gone."""

    def close(self) -> None:
        """Hang up."""

    def alive(self) -> bool:
        """Return whether the engine still runs."""


def _tell(listener: Listener, event: Event) -> None:
    try:
        listener(event)
    except EngineLost:
        pass  # whoever asks the engine next is told
    except Exception:
        _log.exception("a function that was to be told of a batch raised")


class Courier:
    """Tells a listener of events in a thread of its own, which ends when it is stopped."""

    def __init__(self, listener: Listener) -> None:
        self._events: SimpleQueue[Event | None] = SimpleQueue()
        self._listener = listener
        self.put = self._events.put
        threading.Thread(target=self._run, daemon=True, name="livebatch-courier").start()

    def _run(self) -> None:
        while (event := self._events.get()) is not None:
            _tell(self._listener, event)

    def stop(self) -> None:
        """Tell of no more events."""
        self._events.put(None)


class RemoteConnection:
    """A line to an engine in another process, or in another thread of this one.

    Requests may be made from any thread; listeners are called in a thread of their own.

    Args:
        router: the engine's address for requests.
        events: the address at which it publishes events.
        alive: says whether the engine still runs.
        counts: whether the engine goes on for this client's sake.
        incarnation: says which process the engine is; another after it was started again.

    Attributes:
        found: how others reach the engine, where that is known.
    """

    found: Any = None

    def __init__(
        self,
        router: str,
        events: str,
        alive: Callable[[], bool],
        counts: bool = True,
        incarnation: Callable[[], object] = lambda: None,
    ) -> None:
        self._router, self._events, self.alive = router, events, alive
        self._incarnation = incarnation
        self._name = "client" if counts else "guest"
        self._local = threading.local()
        self._lines: list[Line] = []
        self._listeners: list[Listener] = []
        self._ear: threading.Thread | None = None
        self._closed = threading.Event()
        self._welcome: Welcome | None = None

    @property
    def parallelism(self) -> int:
        if self._welcome is None:
            self.request(Status())
        assert self._welcome is not None
        return self._welcome.parallelism

    def request(self, message: Message, waiting: Callable[[], None] | None = None) -> Message:
        try:
            return checked(self._line().request(message, waiting))
        except KeyboardInterrupt:
            self._drop_line()  # it may have been cut off in the middle of a message
            raise

    def _line(self) -> Line:
        """Return this thread's line."""
        line: Line | None = getattr(self._local, "line", None)
        if line is None:
            hello = Hello("client", self._name, os.getpid())
            line = self._local.line = Line(self._router, hello, self.alive, self._incarnation)
            self._lines.append(line)
            self._welcome = _welcomed(line, hello)
        return line

    def _drop_line(self) -> None:
        line = self._local.__dict__.pop("line", None)
        if line is not None:
            line.close()
            self._lines.remove(line)

    def listen(self, listener: Listener, apart: bool = False) -> Callable[[], None]:
        courier = Courier(listener) if apart else None
        told = listener if courier is None else courier.put
        self._listeners.append(told)
        if self._ear is None:
            subscription = Subscriber(self._events)
            self._ear = threading.Thread(
                target=self._hear, args=[subscription], daemon=True, name="livebatch-events"
            )
            self._ear.start()

        def end() -> None:
            self._listeners.remove(told)
            if courier is not None:
                courier.stop()

        return end

    def announce(self, event: Event) -> None:
        for listener in list(self._listeners):
            _tell(listener, event)

    def _hear(self, events: Subscriber) -> None:
        known = self._incarnation()
        while not self._closed.is_set():
            event = events.receive(0.2)
            if isinstance(event, Event):
                self.announce(event)
            elif event is None and (now := self._incarnation()) not in (None, known):
                known = now
                with suppress(EngineLost):
                    self.request(Status())  # so that it knows of this client
                    self.announce(Restarted())
        events.close()

    def serve_driver(self, runner: ClientRunner) -> None:
        pass  # the engine has a driver of its own

    def stop(self, request: Stop) -> None:
        with suppress(EngineLost):
            self.request(request)
        self.close()
        while self.alive():
            threading.Event().wait(GOING)

    def close(self) -> None:
        self._closed.set()
        if self._ear is not None and self._ear is not threading.current_thread():
            self._ear.join()
        for line in self._lines:
            line.close()
        self._lines.clear()
        self._local = threading.local()


def _welcomed(line: Line, hello: Hello) -> Welcome:
    while True:
        try:
            received = line.receive()
        except EngineRestarted:
            line.send(hello)
            continue
        if received is not None and isinstance(received[1], Welcome):
            return received[1]


class ClientRunner:
    """Carries out RDD actions by asking an engine.

    Attributes:
        bar: makes the progress bar of a job that takes its time; see `JobBar`.
    """

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection, self._name = connection, name
        self._numbers = count(1)
        self.bar: Callable[..., Any] = terminal_bar
        self.checkpoint_dir: str | None = None

    @property
    def default_parallelism(self) -> int:
        return self._connection.parallelism

    def run(self, rdd: RDD[Any], action: Function, splits: Sequence[int] | None) -> list[Any]:
        job = f"{self._name}.job{next(self._numbers)}"
        chosen = None if splits is None else tuple(splits)
        bar = JobBar(partial(self._progress, job), self.bar)
        try:
            request = RunJob(job, to_lineage(rdd), action, chosen, time_of_batch())
            reply = self._connection.request(request, bar)
        except KeyboardInterrupt:
            self._connection.request(CancelJob(job))
            raise
        finally:
            bar.close()
        assert isinstance(reply, Answers)
        if reply.printed:
            print(reply.printed, end="")
        return [pickle.loads(result) for result in reply.results]

    def _progress(self, job: str) -> tuple[int, int]:
        reply = self._connection.request(AskProgress(job))
        assert isinstance(reply, Ok)
        done, total = reply.value
        return done, total

    def checkpoint(self, rdd: RDD[Any]) -> None:
        assert self.checkpoint_dir is not None
        folder = make_folder(within(self.checkpoint_dir, f"rdd-{rdd.id}"))
        saving = PartitionsMapped(builtin(save, folder), with_index=True)
        rdd.to_be_saved = False
        rdd.become(Read(readers(rdd.derive(saving).collect())))
        rdd.saved_in = folder

    def keep(self, rdd: RDD[Any]) -> Sequence[BlockRef]:
        reply = self._connection.request(KeepRDD(to_lineage(rdd), time_of_batch()))
        assert isinstance(reply, Kept)
        return reply.blocks

    def release(self, rdd: RDD[Any]) -> None:
        self._connection.request(Release(rdd.id))

    def add_to(self, accumulator: str, piece: Piece) -> None:
        self._connection.request(AddToAccumulator(accumulator, piece))

    def set_to(self, accumulator: str, piece: Piece) -> None:
        self._connection.request(SetAccumulator(accumulator, piece))

    def pieces_of(self, accumulator: str) -> Sequence[Piece]:
        reply = self._connection.request(AskAccumulator(accumulator))
        assert isinstance(reply, Ok)
        return reply.value  # type: ignore[no-any-return]


class Subscription:
    """Calls a function with each settled batch of an output: every one, in order, each once.

    Events only say that there is something new; what it is, the engine is asked.

    Args:
        function: takes (batch time as an aware datetime, RDD); it runs in the context (see
            `contextvars`) in which it was subscribed.
        failed: told of a batch for which the function raised, and what.
    """

    def __init__(
        self,
        connection: Connection,
        runner: ClientRunner,
        output: str,
        function: Callable[[Any, RDD[Any]], None],
        failed: Callable[[Batch, Exception], None],
    ) -> None:
        self._connection, self._runner = connection, runner
        self._output, self._function, self._failed = output, function, failed
        self._context = copy_context()
        self._last: Millis = 0
        self._end = connection.listen(self._heard, apart=True)

    def _heard(self, event: Event) -> None:
        if isinstance(event, BatchSettled) and event.batch.output == self._output:
            with suppress(NotRunning):  # the output has been replaced meanwhile
                for batch in self.fetch(event.batch):
                    self._call(batch)

    def _call(self, batch: Batch) -> None:
        time, rdd = to_datetime(batch.time), batch_rdd(batch, self._runner)
        try:
            self._context.run(self._function, time, rdd)
        except EngineLost:
            raise
        except Exception as error:
            self._failed(batch, error)

    def fetch(self, newest: Batch) -> Sequence[Batch]:
        """Return the batches since the last call, up to the newest."""
        if newest.time <= self._last:
            return ()
        reply = self._connection.request(Settled(self._output, self._last))
        assert isinstance(reply, Batches)
        found = [batch for batch in reply.batches if batch.time <= newest.time] or [newest]
        self._last = newest.time
        return found

    def close(self) -> None:
        """Call the function no more."""
        self._end()


def batch_rdd(batch: Batch, runner: ClientRunner) -> RDD[Any]:
    """Return a settled batch as an RDD."""
    rdd = stored(batch.blocks, runner, id=batch.rdd)
    rdd.label = f"{batch.name or batch.output} · {to_datetime(batch.time):%H:%M:%S}"
    return rdd
