"""An engine with its sockets and processes: the loop of the engine process."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event as Flag

from livebatch._version import __version__
from livebatch.clock import Clock, SystemClock, Timer, deadline
from livebatch.closures import codes, digests
from livebatch.engine.beginning import go_on
from livebatch.engine.child import GRACE, Child
from livebatch.engine.config import Config
from livebatch.engine.core import Engine
from livebatch.engine.driver_host import DriverHost
from livebatch.engine.durable import DurableBlocks
from livebatch.engine.executors.local import LocalExecutor
from livebatch.engine.limits import cpu_count, memory_limit
from livebatch.engine.log import NoLog
from livebatch.engine.process import ProcessIdentity
from livebatch.engine.receiving import ReceiverHost
from livebatch.engine.service import Service
from livebatch.engine.settings import Settings
from livebatch.engine.site import Site
from livebatch.engine.store import Place
from livebatch.transport import Hub, Peer
from livebatch.wire import AnyMessage, Hello, SendAgain, Stop, Welcome

LOOK = 1.0
"""Seconds between looks at whether clients are still there."""

BUFFER_SHARE = 0.25
"""The part of what blocks may take that may wait of one source, unless told."""

WORKERS_SHARE = 0.6
"""The part of the memory that the workers may take together."""


DRAIN_BATCHES = 10
"""A graceful stop takes at most so many batch intervals, as in Spark."""

STANDARD_INPUT = 0
"""A pipe from the supervisor, where there is one."""

CODE_LIMIT = 200
"""So many functions and values of broadcast variables are kept before any is freed."""

CODE_BYTES = 64 << 20
"""So many bytes of them are."""


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
        site = self._site = Site(settings)
        settings, checkpoints = site.settings, site.checkpoints
        workers = settings.workers or cpu_count()
        memory = int(memory_limit() * WORKERS_SHARE / workers)
        buffer = int(site.place.budget * BUFFER_SHARE)
        self.hub = Hub(site.router, site.events)
        self.executor = LocalExecutor(self.hub, site.router, site.place, workers, memory)
        self._driver = DriverHost(self.hub, lambda: start_driver(site.router, site.events))
        self._receivers = ReceiverHost(
            self.hub, site.router, site.place, settings.batch, buffer, site.durable
        )
        self.engine = Engine(
            _config(settings, site.place, buffer),
            clock or SystemClock(),
            self.executor,
            self._driver,
            NoLog() if checkpoints is None else checkpoints.log,
            self.hub.publish,
            self._receivers,
        )
        self._durable = DurableBlocks(site.durable)
        self.engine.jobs.deleted = self._durable.delete
        self._receivers.tell(self.engine.received, self.engine.intake.changed)
        self._service = Service(self.engine, self._stop, self._keep_checkpoints)
        self.hub.serve("client", self._heard)
        self._stopped = Flag()
        self._ends, self._at_rest = settings.supervisor is None, False
        self._stop_request = Stop()
        self._clients: set[ProcessIdentity] = set()
        self.connection = site.connection(self.engine.clock.now())

    def run(self, ready: Callable[[], None]) -> None:
        """Run until stopped.

        Args:
            ready: called when all workers have called in.
        """
        try:
            while not self.executor.ready:
                self.engine.poll(0.1)
            if (checkpoints := self._site.checkpoints) is not None:
                skip = self._site.settings.missed == "skip"
                go_on(self.engine, checkpoints, skip, self._durable.read)
            self.connection.write()
            if self._site.settings.supervisor is not None:
                self.hub.watch(STANDARD_INPUT, self._left_alone)
            ready()
            while not self._loop():
                self._stopped.clear()
                self._drain()
                self.engine.halt()
            self._drain()
            self._ends = self._at_rest = True
        except SystemExit:
            self._ends = True
            raise
        finally:
            self._close()

    def _left_alone(self) -> None:
        """The supervisor is gone: what the engine leaves behind is to be its own from now on."""
        self._ends = True
        self._site.inherit()
        self.connection = self._site.connection(self.connection.started)
        self.connection.write()

    def _keep_checkpoints(self, folder: str) -> None:
        self._site.keep_checkpoints(folder, self.engine)

    def _loop(self) -> bool:
        """Run until told to stop; return whether that is the engine itself."""
        lonely, look = deadline(self._site.settings.linger), Timer(LOOK)
        while not self._stopped.is_set():
            self.engine.poll(self.engine.wait())
            self.engine.advance()
            if self._site.checkpoints is not None:
                self._site.checkpoints.keep_up(self.engine)
            self._receivers.keep_up()
            self._free_code()
            if look.due():
                self._clients = {client for client in self._clients if client.is_alive()}
            if self._clients:
                lonely = deadline(self._site.settings.linger)
            elif lonely.passed():
                return True
        return self._stop_request.whole

    def _drain(self) -> None:
        """Receive no more, and process what was received, if a graceful stop was asked for."""
        if not self._stop_request.graceful:
            return
        limit = deadline(DRAIN_BATCHES * self._site.settings.batch / 1000 + GRACE)
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
        used = self.engine.keeping.code_in_use() | self._service.code_in_use()
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
                self._site.settings.batch, self.executor.slots, self._site.place.directory,
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
        if (checkpoints := self._site.checkpoints) is not None:
            checkpoints.finish(self.engine)
            if self._at_rest:  # otherwise it may be in the middle of a batch
                checkpoints.take(self.engine)
                checkpoints.finish(self.engine)
            checkpoints.close()
        self.executor.close()
        self.hub.close()
        if self._ends:  # otherwise another goes on with what there is
            self._site.remove(self.connection)


def _config(settings: Settings, place: Place, buffer: int) -> Config:
    """Return what the engine proper is told."""
    return Config(
        settings.batch,
        settings.strict,
        settings.name,
        place=place.directory,
        backpressure=settings.backpressure,
        buffer=buffer,
    )
