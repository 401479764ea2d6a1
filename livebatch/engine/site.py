"""Where an engine lives: its name and addresses, and where its blocks and checkpoints lie."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event as Flag

import msgspec

from livebatch._version import __version__
from livebatch.engine.beginning import begin_in
from livebatch.engine.checkpoints import Checkpoints
from livebatch.engine.core import Engine
from livebatch.engine.durable import DurableBlocks, state_dir
from livebatch.engine.limits import memory_limit
from livebatch.engine.process import ProcessIdentity
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
from livebatch.engine.settings import Settings
from livebatch.engine.snapshot import Snapshot
from livebatch.engine.store import Place
from livebatch.errors import EngineError, NameTaken
from livebatch.filesystems import is_uri, reason
from livebatch.interval import Millis

BLOCKS_SHARE = 0.25
"""The part of the memory that blocks may take, unless told."""


class Site:
    """The site of one engine, cleared of what dead ones have left there.

    Args:
        settings: as the engine is told.

    Raises:
        NameTaken: an engine of that name runs.
        EngineError: its checkpoints are of no use, or their folder is not.

    Attributes:
        settings: the same, but with the batch interval of the checkpoint that it goes on from.
        checkpoints: if it keeps any.
        place: of the blocks: where those are that it goes on with, if they are there still.
        durable: the folder for what is pushed and is to survive.
        router, events: addresses of its sockets.
    """

    def __init__(self, settings: Settings) -> None:
        clean_stale()
        if any(_is_taken(settings, engine) for engine in list_engines()):
            raise NameTaken(
                f"an engine named {settings.name} runs already: attach to it, or stop it"
            )
        self.checkpoints = _checkpoints_of(settings)
        before = None if self.checkpoints is None else self.checkpoints.find()
        batch = settings.batch if before is None else before.batch
        self.settings = msgspec.structs.replace(settings, batch=batch)
        self.place = _place_of(settings, before)
        self.durable = _durable_dir(settings)
        self.router = socket_address(settings.name, "router")
        self.events = socket_address(settings.name, "events")
        self._supervisor = settings.supervisor
        self._key = secrets.token_hex(16)

    def connection(self, started: Millis) -> ConnectionFile:
        """Return how others reach the engine, which started at a time."""
        return ConnectionFile(
            name=self.settings.name,
            owner=ProcessIdentity.current(),
            router=self.router,
            publisher=self.events,
            key=self._key,
            shared_memory=self.place.directory,
            started=started,
            version=__version__,
            supervisor=self._supervisor,
            checkpoint=self.checkpoints.folder if self.checkpoints else "",
        )

    def keep_checkpoints(self, folder: str, engine: Engine) -> None:
        """Have an engine keep checkpoints in a folder from now on.

        Raises:
            EngineError: it cannot; see `begin_in`.
        """
        settings = msgspec.structs.replace(self.settings, checkpoint=folder)
        self.checkpoints = begin_in(
            lambda: _checkpoints_in(folder, settings), engine, self.checkpoints
        )
        self.settings = settings

    def inherit(self) -> None:
        """Make this process the owner of all that belongs to the supervisor, once that is dead."""
        while self._supervisor is not None and self._supervisor.is_alive():
            Flag().wait(0.01)  # its pipe is closed before it is gone
        self._supervisor = None
        for each in filter(None, (self.place.directory, self.place.disk)):
            claim(Path(each))

    def remove(self, connection: ConnectionFile) -> None:
        """Remove all but checkpoints in a folder that was told."""
        with suppress(OSError):
            connection.remove()
        self.place.remove()
        if not self.settings.checkpoint:
            DurableBlocks(self.durable).remove()


def _is_taken(settings: Settings, engine: ConnectionFile) -> bool:
    """Return whether an engine that runs has the name that a new one is to have, and is not the
    one that this succeeds."""
    same = settings.supervisor is not None and engine.supervisor == settings.supervisor
    return engine.name == settings.name and not same


def _place_of(settings: Settings, before: Snapshot | None) -> Place:
    budget = settings.budget or int(memory_limit() * BLOCKS_SHARE)
    owner = settings.supervisor
    found = None if before is None else take_over(before.place, budget, owner)
    return found or make_place(settings.name, budget, owner)


def _durable_dir(settings: Settings) -> Path:
    """Return the folder of durable blocks: with the checkpoints, where those lie here."""
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
