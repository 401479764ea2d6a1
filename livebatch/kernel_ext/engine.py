"""The engine that a notebook works with: the one of the context it calls ``ssc``."""

from __future__ import annotations

import atexit
from functools import partial
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from tqdm.notebook import tqdm

from livebatch.engine.runtime import ConnectionFile, list_engines
from livebatch.errors import EngineError, EngineLost, NameTaken, NotRunning
from livebatch.events import EngineStatus
from livebatch.interval import Millis, format_millis
from livebatch.kernel_ext.display import Grid, engines_table
from livebatch.kernel_ext.layout import Dashboard
from livebatch.kernel_ext.monitor import Monitor
from livebatch.kernel_ext.pump import Pump
from livebatch.kernel_ext.status import counted
from livebatch.kernel_ext.textlog import write
from livebatch.kernel_ext.tracebacks import render
from livebatch.session import StreamingContext
from livebatch.widgets import live

NAME = "ssc"
BATCH: Millis = 1000
LINGER: Millis = 600_000
"""How long an engine goes on for a notebook that is gone."""


class NotebookEngine:
    """Finds, starts and stops the engine of a notebook.

    Args:
        shell: the notebook's.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._ssc: StreamingContext | None = None
        self._made: StreamingContext | None = None
        self._pump: Pump | None = None
        self._monitor: Monitor | None = None
        atexit.register(self._hang_up)

    def start(
        self,
        batch: Millis | None = None,
        workers: int | None = None,
        linger: Millis | float | None = None,
        **options: Any,
    ) -> str:
        """Start an engine, call its context ``ssc``, and return a line that says so.

        Args:
            batch: the batch interval, in milliseconds; 1 s if not told.
            workers: how many worker processes; as many as there are CPUs if not told.
            linger: milliseconds that it goes on when all notebooks are gone; infinity: until it
                is stopped; 10 minutes if not told.
            options: others of `StreamingContext`, such as ``checkpoint``.

        Raises:
            EngineError: one runs that is not like that.
            NameTaken: the notebook calls something else ``ssc``.
            EngineLost: it could not be started.
        """
        ssc = self._named()
        status = None if ssc is None else status_of(ssc)
        if status is not None:
            return _already(status, batch, workers)
        others = [engine.name for engine in list_engines()]
        batch = batch or BATCH
        alone = (LINGER if linger is None else linger) / 1000
        ssc = StreamingContext(
            batch / 1000, workers=workers, linger=alone, supervised=True, **options
        )
        self._take(ssc)
        hint = f"\n(others run too: {', '.join(others)}; %engine attach NAME)" if others else ""
        return f"engine started: {_what(ssc.status())}; its context is {NAME}{hint}"

    def engines(self) -> Grid:
        """Return the engines that run on this machine, and which of them is the notebook's."""
        ssc = self._named()
        mine = None if ssc is None else status_of(ssc)
        found = [(engine, status_at(engine)) for engine in list_engines()]
        return engines_table(found, mine.name if mine else None)

    def monitor(self) -> Dashboard:
        """Return a dashboard of how the engine keeps up, in place of the one there was.

        Raises:
            NotRunning: there is no engine.
        """
        ssc = self.running()
        if self._monitor is not None:
            self._monitor.close()
        self._monitor = Monitor(ssc.status, ssc.tasks)
        return self._monitor.dashboard

    def resize(self, workers: int) -> str:
        """Change the number of workers, and return a line that says so.

        Raises:
            NotRunning: there is no engine.
        """
        self.running().resize(workers)
        return f"the engine now has {counted(workers, 'worker')}"

    def attach(self, name: str | None) -> StreamingContext:
        """Take up an engine that runs, and call its context ``ssc``.

        Args:
            name: of the engine; the only one that runs if not told.

        Raises:
            EngineError: the notebook has an engine; or there are several, and none was named.
            NotRunning: there is no such engine.
        """
        ssc = self._named()
        if ssc is not None and status_of(ssc) is not None:
            raise EngineError(f"this notebook has an engine; leave it first: {NAME}.detach()")
        self._take(found := StreamingContext.attach(name))
        return found

    def running(self) -> StreamingContext:
        """Return the notebook's context.

        Raises:
            NotRunning: it has none.
            EngineLost: its engine is gone.
        """
        ssc = self._named()
        if ssc is None:
            raise NotRunning("no engine is running; %engine start starts one")
        if status_of(ssc) is None:
            raise EngineLost(
                "the engine is gone; start another with %engine start, then run the cells of "
                "its streams again, the sources first"
            )
        self._adopt(ssc)
        return ssc

    def started(self) -> StreamingContext:
        """Return the notebook's context; if it has none, start an engine and say so.

        Raises:
            EngineLost: its engine is gone.
        """
        if self._named() is None:
            print(self.start())
        return self.running()

    @property
    def pump(self) -> Pump:
        """What moves the views of the engine's streams."""
        assert self._pump is not None
        return self._pump

    def adopted(self) -> tuple[StreamingContext, Pump]:
        """Return the context that the views follow, and what moves them; may be called from any
        thread.

        Raises:
            NotRunning: there is none.
        """
        ssc, pump = self._ssc, self._pump
        if ssc is None or pump is None:
            raise NotRunning("no engine is running")
        return ssc, pump

    def stop(self) -> str:
        """Stop the engine, and return a line that says so.

        Raises:
            NotRunning: there is none.
        """
        ssc = self._named()
        if ssc is None:
            raise NotRunning("no engine is running")
        self._adopt(ssc)
        self.close("the engine was stopped")
        ssc.stop()
        del self._shell.user_ns[NAME]
        ended = f", and with it {', '.join(sorted(ssc.streams))}" if ssc.streams else ""
        return f"engine stopped{ended}; {NAME} is no longer bound"

    def close(self, why: str | None = None) -> None:
        """Have the views follow the engine no more.

        Args:
            why: what they shall say.
        """
        if self._pump is not None:
            self._pump.close(why)
        self._ssc = self._pump = None

    def _hang_up(self) -> None:
        # A thread that is still at work when Python ends can bring the process down.
        if self._monitor is not None:
            self._monitor.close()
        for panel in live().values():
            panel.close()
        self.close()
        if self._made is not None:
            self._made.connection.close()

    def _named(self) -> StreamingContext | None:
        found = self._shell.user_ns.get(NAME)
        if found is None or isinstance(found, StreamingContext):
            return found
        raise NameTaken(
            f"the engine's context needs the name {NAME}, which in this notebook is something of "
            f"type {type(found).__name__}: give that another name, then del {NAME}"
        )

    def _take(self, ssc: StreamingContext) -> None:
        """Call a context that this notebook has made itself ``ssc``."""
        self._shell.user_ns[NAME] = self._made = ssc
        self._adopt(ssc)

    def _adopt(self, ssc: StreamingContext) -> None:
        if ssc is self._ssc:
            return
        self.close("this is the view of another engine's stream")
        self._ssc, self._pump = ssc, Pump(ssc, partial(render, shell=self._shell))
        ssc.write, ssc.runner.bar = write, tqdm
        for name, panel in live().items():
            if name in ssc.streams:  # livebatch was loaded anew
                self._pump.show(ssc.streams[name], panel.view, past=True)


def status_of(ssc: StreamingContext) -> EngineStatus | None:
    """Return how a context's engine is doing; None if it is gone."""
    try:
        return ssc.status() if ssc.connection.alive() else None
    except EngineLost:
        return None


def status_at(engine: ConnectionFile) -> EngineStatus | None:
    """Return how any engine is doing; None if it is gone."""
    try:
        ssc = StreamingContext.attach(engine.name)
    except (EngineLost, NotRunning):
        return None
    try:
        return status_of(ssc)
    finally:
        ssc.detach()


def _what(status: EngineStatus) -> str:
    workers = counted(len(status.workers), "worker")
    return f"a batch every {format_millis(status.batch)}, {workers}"


def _already(status: EngineStatus, batch: Millis | None, workers: int | None) -> str:
    has = status.batch, len(status.workers)
    if (batch or has[0], workers or has[1]) == has:
        return f"an engine runs already: {_what(status)}; its context is {NAME}"
    raise EngineError(
        f"an engine runs already, with {_what(status)}: end it and its streams with %engine stop, "
        "then start it anew"
    )
