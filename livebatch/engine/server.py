"""An engine with its sockets and processes: the loop of the engine process."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event as Flag

import msgspec

from livebatch._version import __version__
from livebatch.clock import Clock, SystemClock, Timer, deadline
from livebatch.closures import codes, digests
from livebatch.engine.beginning import begin_in, go_on
from livebatch.engine.checkpoints import Checkpoints
from livebatch.engine.child import GRACE, Child
from livebatch.engine.config import Config
from livebatch.engine.core import Engine
from livebatch.engine.driver_host import DriverHost
from livebatch.engine.durable import DurableBlocks, state_dir
from livebatch.engine.executors.local import LocalExecutor
from livebatch.engine.limits import cpu_count, memory_limit
from livebatch.engine.log import NoLog
from livebatch.engine.process import ProcessIdentity
from livebatch.engine.receiving import ReceiverHost
from livebatch.engine.runtime import (
    ConnectionFile,
    claim,
    clean_stale,
    list_engines,
    make_place,
    runtime_dir,
    socket_address,
    take_over,
)
from livebatch.engine.service import Service
from livebatch.engine.settings import Settings
from livebatch.engine.snapshot import Snapshot
from livebatch.engine.store import Place
from livebatch.errors import EngineError, NameTaken
from livebatch.filesystems import is_uri, reason
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
        clean_stale()
        if any(_is_taken(settings, engine) for engine in list_engines()):
            raise NameTaken(
                f"an engine named {settings.name} runs already: attach to it, or stop it"
            )
        self._settings = settings
        self._checkpoints = _checkpoints_of(settings)
        before = None if self._checkpoints is None else self._checkpoints.find()
        if before is not None:
            self._settings = settings = msgspec.structs.replace(settings, batch=before.batch)
        self._place = _place_of(settings, before)
        router = socket_address(settings.name, "router")
        events = socket_address(settings.name, "events")
        workers = settings.workers or cpu_count()
        memory = int(memory_limit() * WORKERS_SHARE / workers)
        self.hub = Hub(router, events)
        self.executor = LocalExecutor(self.hub, router, self._place, workers, memory)
        self._driver = DriverHost(self.hub, lambda: start_driver(router, events))
        budget = self._place.budget
        buffer, durable = int(budget * BUFFER_SHARE), _durable_dir(settings)
        self._durable = DurableBlocks(durable)
        self._receivers = ReceiverHost(
            self.hub, router, self._place, settings.batch, buffer, durable
        )
        log = NoLog() if self._checkpoints is None else self._checkpoints.log
        self.engine = Engine(
            Config(
                settings.batch,
                settings.strict,
                settings.name,
                place=self._place.directory,
                backpressure=settings.backpressure,
                buffer=buffer,
            ),
            clock or SystemClock(),
            self.executor,
            self._driver,
            log,
            self.hub.publish,
            self._receivers,
        )
        self.engine.jobs.deleted = self._durable.delete
        self._receivers.tell(self.engine.received, self.engine.intake.changed)
        self._service = Service(self.engine, self._stop, self._keep_checkpoints)
        self.hub.serve("client", self._heard)
        self._stopped = Flag()
        self._ends, self._at_rest = settings.supervisor is None, False
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
            supervisor=settings.supervisor,
            checkpoint=self._checkpoints.folder if self._checkpoints else "",
        )

    def run(self, ready: Callable[[], None]) -> None:
        """Run until stopped.

        Args:
            ready: called when all workers have called in.
        """
        try:
            while not self.executor.ready:
                self.engine.poll(0.1)
            if self._checkpoints is not None:
                skip = self._settings.missed == "skip"
                go_on(self.engine, self._checkpoints, skip, self._durable.read)
            self.connection.write()
            if self._settings.supervisor is not None:
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
        self._ends, supervisor = True, self._settings.supervisor
        while supervisor is not None and supervisor.is_alive():  # its pipe is closed as it dies
            self._stopped.wait(0.01)
        for each in filter(None, (self._place.directory, self._place.disk)):
            claim(Path(each))
        self.connection = msgspec.structs.replace(self.connection, supervisor=None)
        self.connection.write()

    def _keep_checkpoints(self, folder: str) -> None:
        settings = msgspec.structs.replace(self._settings, checkpoint=folder)
        self._checkpoints = begin_in(
            lambda: _checkpoints_in(folder, settings), self.engine, self._checkpoints
        )
        self._settings = settings

    def _loop(self) -> bool:
        """Run until told to stop; return whether that is the engine itself."""
        lonely, look = deadline(self._settings.linger), Timer(LOOK)
        while not self._stopped.is_set():
            self.engine.poll(self.engine.wait())
            self.engine.advance()
            if self._checkpoints is not None:
                self._checkpoints.keep_up(self.engine)
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
        if self._checkpoints is not None:
            self._checkpoints.finish(self.engine)
            if self._at_rest:  # otherwise it may be in the middle of a batch
                self._checkpoints.take(self.engine)
                self._checkpoints.finish(self.engine)
            self._checkpoints.close()
        self.executor.close()
        self.hub.close()
        if self._ends:  # otherwise another goes on with what there is
            with suppress(OSError):
                self.connection.remove()
            self._place.remove()
            if not self._settings.checkpoint:
                self._durable.remove()


def _is_taken(settings: Settings, engine: ConnectionFile) -> bool:
    """Return whether an engine that runs has the name that a new one is to have, and is not the
    one that this succeeds."""
    same = settings.supervisor is not None and engine.supervisor == settings.supervisor
    return engine.name == settings.name and not same


def _place_of(settings: Settings, before: Snapshot | None) -> Place:
    """Return where the blocks lie: where they did, if that is still there."""
    budget = settings.budget or int(memory_limit() * BLOCKS_SHARE)
    owner = settings.supervisor
    found = None if before is None else take_over(before.place, budget, owner)
    return found or make_place(settings.name, budget, owner)


def _durable_dir(settings: Settings) -> Path:
    """Return where blocks go that are to survive: to the checkpoints, where those lie here."""
    if settings.checkpoint and not is_uri(settings.checkpoint):
        return Path(settings.checkpoint, "received")
    return state_dir(settings.name)


def _checkpoints_of(settings: Settings) -> Checkpoints | None:
    if settings.checkpoint:
        return _checkpoints_in(settings.checkpoint, settings)
    if settings.supervisor is None:
        return None
    return _checkpoints_in(str(runtime_dir() / f"{settings.name}.checkpoint"), settings)


def _checkpoints_in(folder: str, settings: Settings) -> Checkpoints:
    pool = ThreadPoolExecutor(1, thread_name_prefix="livebatch-checkpoints")
    durable = bool(settings.checkpoint)
    try:
        return Checkpoints(folder, settings.every, durable, pool.submit, alone=True)
    except OSError as error:
        raise EngineError(
            f"no checkpoints can be kept in {folder} ({reason(error)}): give a folder that can be "
            "written"
        ) from error
