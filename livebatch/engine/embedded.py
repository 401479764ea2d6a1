"""An engine that is stepped by its caller: nothing happens between two calls."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from livebatch.clock import Clock, ManualClock, deadline
from livebatch.engine.beginning import begin_in, go_on
from livebatch.engine.checkpoints import Checkpoints
from livebatch.engine.config import Config
from livebatch.engine.core import Engine
from livebatch.engine.driver import CallRunner, InlineDriver
from livebatch.engine.executors.base import Executor
from livebatch.engine.executors.inline import InlineExecutor
from livebatch.engine.log import BatchLog, MemoryLog
from livebatch.engine.service import Service
from livebatch.errors import EngineError
from livebatch.events import Event, Message
from livebatch.interval import Millis
from livebatch.wire import Stop, checked

PATIENCE = 60.0
"""Seconds to wait for an executor that gives no outcome."""


class Stepped:
    """A connection to an engine in the calling thread, run to rest after each request.

    Args:
        batch: the batch interval, in milliseconds.
        clock: moved by the caller.
        executor: where tasks run; inline if not given.
        log: where batches are logged; in memory if not given.
        checkpoint: the folder of its checkpoints; it goes on from what is there.
        every: how often a snapshot is taken, in milliseconds.
    """

    def __init__(
        self,
        batch: int,
        clock: Clock | None = None,
        executor: Executor | None = None,
        log: BatchLog | None = None,
        strict: bool = False,
        checkpoint: str | None = None,
        every: Millis = 10_000,
        backpressure: bool = True,
    ) -> None:
        self.clock = clock or ManualClock()
        self.executor = executor or InlineExecutor()
        self._every = every
        self._checkpoints = Checkpoints(checkpoint, every) if checkpoint is not None else None
        self.log = log or (self._checkpoints.log if self._checkpoints else MemoryLog())
        self._made = [] if executor else [self.executor]
        self._can_wait = executor is not None
        self.driver = InlineDriver()
        self.parallelism = self.executor.slots
        self._events: deque[Event] = deque()
        self._listeners: list[Callable[[Event], None]] = []
        self._dispatching = False
        config = Config(batch, strict, backpressure=backpressure)
        self.engine = Engine(
            config, self.clock, self.executor, self.driver, self.log, self._events.append
        )
        self._service = Service(self.engine, self._halt, self._keep_checkpoints)
        if self._checkpoints is not None:
            go_on(self.engine, self._checkpoints)

    def serve_driver(self, runner: CallRunner) -> None:
        """Have the driver's functions use this runner for their RDDs' actions."""
        self.driver.runner = runner

    def request(self, message: Message, waiting: Callable[[], None] | None = None) -> Message:
        """Carry out a request, running the engine until there is a reply."""
        replies: list[Message] = []
        self._service.handle(message, replies.append)
        while not replies:
            self._poll()
        self._dispatch()
        return checked(replies[0])

    def run(self) -> None:
        """Begin the batches whose time has come and work until nothing is left to do."""
        while self.engine.advance():
            self._keep_up()
        self._keep_up()
        while not self.engine.idle:
            self._poll()
        self._dispatch()

    def _keep_up(self) -> None:
        if self._checkpoints is not None:
            self._checkpoints.keep_up(self.engine)

    def listen(self, listener: Callable[[Event], None], apart: bool = False) -> Callable[[], None]:
        """Have a function called with every event; return a function that ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def announce(self, event: Event) -> None:
        """Tell the listeners of something that happened here."""
        self._events.append(event)

    def stop(self, request: Stop) -> None:
        """Close what this has made itself."""
        for made in self._made:
            made.close()

    def _keep_checkpoints(self, folder: str) -> None:
        self._checkpoints = begin_in(
            lambda: Checkpoints(folder, self._every), self.engine, self._checkpoints
        )

    def _halt(self, request: Stop) -> None:
        self.engine.halt()

    def close(self) -> None:
        """There is nothing to hang up."""

    def alive(self) -> bool:
        """Return true: it lives in this thread."""
        return True

    def _poll(self) -> None:
        limit = deadline(PATIENCE if self._can_wait else 0)
        while not self.engine.poll(limit.left() or 0):
            if limit.passed():
                raise EngineError("the engine has work to do, but gets nowhere")

    def _dispatch(self) -> None:
        """Tell listeners of events, one after the other also where a listener makes requests."""
        if self._dispatching:
            return
        self._dispatching = True
        try:
            while self._events:
                event = self._events.popleft()
                for listener in list(self._listeners):
                    listener(event)
        finally:
            self._dispatching = False
