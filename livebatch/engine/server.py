"""An engine with its sockets and processes: the loop of the engine process."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event as Flag

import msgspec

from livebatch._version import __version__
from livebatch.clock import Clock, SystemClock, Timer, deadline
from livebatch.closures import codes, digests
from livebatch.engine.child import GRACE, Child
from livebatch.engine.config import Config
from livebatch.engine.core import Engine
from livebatch.engine.driver_host import DriverHost
from livebatch.engine.durable import DurableBlocks, state_dir
from livebatch.engine.executors.local import LocalExecutor
from livebatch.engine.limits import cpu_count, memory_limit
from livebatch.engine.log import FileLog
from livebatch.engine.process import ProcessIdentity
from livebatch.engine.receiving import ReceiverHost
from livebatch.engine.runtime import (
    ConnectionFile,
    clean_stale,
    list_engines,
    make_place,
    runtime_dir,
    socket_address,
)
from livebatch.engine.service import Service
from livebatch.errors import NameTaken
from livebatch.interval import Millis
from livebatch.transport import Hub, Peer
from livebatch.wire import AnyMessage, Hello, SendAgain, Stop, Welcome

LOOK = 1.0
"""Seconds between looks at whether clients are still there."""

BLOCKS_SHARE = 0.25
"""The part of the memory that blocks may take, unless told."""

BUFFER_SHARE = 0.25
"""The part of what blocks may take that may wait of one source, unless told."""

WORKERS_SHARE = 0.6
"""The part of the memory that the workers may take together."""


DRAIN_BATCHES = 10
"""A graceful stop takes at most so many batch intervals, as in Spark."""

CODE_LIMIT = 200
"""So many functions and values of broadcast variables are kept before any is freed."""

CODE_BYTES = 64 << 20
"""So many bytes of them are."""


class Settings(msgspec.Struct, frozen=True):
    """What an engine process is told when it starts.

    Attributes:
        name: of the engine.
        batch: the batch interval, in milliseconds.
        workers: how many worker processes; 0: one for each CPU.
        strict: fail a batch at the first record that a function raises on.
        linger: seconds without a client after which it stops; None: never.
        budget: bytes that blocks may take in memory; 0: a quarter of it.
        backpressure: whether pull sources are limited while batches fall behind.
    """

    name: str
    batch: Millis
    workers: int = 0
    strict: bool = False
    linger: float | None = 600.0
    budget: int = 0
    backpressure: bool = True


class Server:
    """An engine that others can reach.

    Args:
        start_driver: starts a driver, given the addresses for requests and for events.
        frees_code: whether to free code that streams need no more; not where the process has
            other users of it.
        clock: the machine's if not given.
    """

    def __init__(
        self,
        settings: Settings,
        start_driver: Callable[[str, str], Child | None],
        frees_code: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self._frees_code, self._code_limit, self._code_bytes = frees_code, CODE_LIMIT, CODE_BYTES
        clean_stale()
        if any(engine.name == settings.name for engine in list_engines()):
            raise NameTaken(
                f"an engine named {settings.name} runs already: attach to it, or stop it"
            )
        self._settings = settings
        budget = settings.budget or int(memory_limit() * BLOCKS_SHARE)
        self._place = make_place(settings.name, budget)
        router = socket_address(settings.name, "router")
        events = socket_address(settings.name, "events")
        workers = settings.workers or cpu_count()
        memory = int(memory_limit() * WORKERS_SHARE / workers)
        self.hub = Hub(router, events)
        self.executor = LocalExecutor(self.hub, router, self._place, workers, memory)
        self._driver = DriverHost(self.hub, lambda: start_driver(router, events))
        buffer, durable = int(budget * BUFFER_SHARE), state_dir(settings.name)
        self._durable = DurableBlocks(durable)
        self._receivers = ReceiverHost(
            self.hub, router, self._place, settings.batch, buffer, durable
        )
        self.log_path = runtime_dir() / f"{settings.name}.batches"
        self.log_path.unlink(missing_ok=True)
        self._log = FileLog(self.log_path)
        self.engine = Engine(
            Config(
                settings.batch,
                settings.strict,
                settings.name,
                backpressure=settings.backpressure,
                buffer=buffer,
            ),
            clock or SystemClock(),
            self.executor,
            self._driver,
            self._log,
            self.hub.publish,
            self._receivers,
        )
        self.engine.jobs.deleted = self._durable.delete
        self._receivers.tell(self.engine.received, self.engine.intake.changed)
        self._service = Service(self.engine, self._stop)
        self.hub.serve("client", self._heard)
        self._stopped = Flag()
        self._stop_request = Stop()
        self._clients: set[ProcessIdentity] = set()
        self.connection = ConnectionFile(
            name=settings.name,
            owner=ProcessIdentity.current(),
            router=router,
            publisher=events,
            key=secrets.token_hex(16),
            shared_memory=self._place.directory,
            started=self.engine.clock.now(),
            version=__version__,
        )

    def run(self, ready: Callable[[], None]) -> None:
        """Run until stopped.

        Args:
            ready: called when all workers have called in.
        """
        try:
            while not self.executor.ready:
                self.engine.poll(0.1)
            self.connection.write()
            ready()
            while not self._loop():
                self._stopped.clear()
                self._drain()
                self.engine.halt()
            self._drain()
        finally:
            self._close()

    def _loop(self) -> bool:
        """Run until told to stop; return whether that is the engine itself."""
        lonely, look = deadline(self._settings.linger), Timer(LOOK)
        while not self._stopped.is_set():
            self.engine.poll(self.engine.wait())
            self.engine.advance()
            self._receivers.keep_up()
            self._free_code()
            if look.due():
                self._clients = {client for client in self._clients if client.is_alive()}
            if self._clients:
                lonely = deadline(self._settings.linger)
            elif lonely.passed():
                return True
        return self._stop_request.whole

    def _drain(self) -> None:
        """Receive no more, and process what was received, if a graceful stop was asked for."""
        if not self._stop_request.graceful:
            return
        limit = deadline(DRAIN_BATCHES * self._settings.batch / 1000 + GRACE)
        self._receivers.finish()
        while not self._receivers.finished and not limit.passed():
            self.engine.poll(0.05)
        while not self.engine.drained and not limit.passed():
            self.engine.poll(self.engine.wait())
            if self.engine.allocator.pending:
                self.engine.advance()

    def _free_code(self) -> None:
        """Free code that nothing needs any more, here and in the workers, once there is more than
        twice what was needed last."""
        if not self._frees_code or (
            len(codes) <= self._code_limit and codes.nbytes <= self._code_bytes
        ):
            return
        used = self.engine.code_in_use() | self._service.code_in_use()
        codes.keep_only(used)
        self.hub.keep_code("worker", used)
        self.hub.keep_code("driver", used, "main")
        self._code_limit = max(CODE_LIMIT, 2 * len(used))
        self._code_bytes = max(CODE_BYTES, 2 * codes.nbytes)

    def _stop(self, request: Stop) -> None:
        self._stop_request = request
        self._stopped.set()

    def _heard(self, peer: Peer, tag: bytes, message: AnyMessage) -> None:
        if isinstance(message, Hello):
            client = ProcessIdentity.of(message.pid)
            if client is not None and message.name != "guest":
                self._clients.add(client)
            welcome = Welcome(
                self._settings.batch, self.executor.slots, self._place.directory,
                self.connection.publisher, __version__,
            )  # fmt: skip
            self.hub.send(peer, welcome)
        elif all(digest in codes for digest in digests(message)):
            self._service.handle(message, lambda reply: self._reply(peer, tag, reply))
        else:
            self._reply(peer, tag, SendAgain())

    def _reply(self, peer: Peer, tag: bytes, reply: object) -> None:
        self.hub.send(peer, reply, tag)  # type: ignore[arg-type]

    def _close(self) -> None:
        self._receivers.close()
        self._driver.close()
        self.executor.close()
        self._log.close()
        self._log.remove()
        self._durable.remove()  # nobody goes on from here
        self.hub.close()
        with suppress(OSError):
            self.connection.remove()
        self._place.remove()


def log_of(connection: ConnectionFile) -> Path:
    """Return the path of an engine's log of batches."""
    return runtime_dir() / f"{connection.name}.batches"
