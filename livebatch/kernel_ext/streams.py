"""The streams of a notebook: each a cell, a name, and a view under the cell."""

from __future__ import annotations

import atexit
import builtins
import math
import os
from argparse import Namespace
from pathlib import Path
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.display import DisplayHandle, display

from livebatch.arguments import check_name
from livebatch.errors import DefinitionError, NameTaken
from livebatch.kernel_ext.board import Board
from livebatch.kernel_ext.cell import Body, Query, checked, kind_of
from livebatch.kernel_ext.drawing import Drawing
from livebatch.kernel_ext.engine import NAME, NotebookEngine
from livebatch.kernel_ext.livetable import StreamTable
from livebatch.kernel_ext.textlog import Pane, printing_into
from livebatch.session import StreamingContext
from livebatch.stream import (
    DStream,
)
from livebatch.widgets import live, show, view
from livebatch.widgets.columns import choose

_SHOW, _WINDOW, _CELL = "show", "window", "cell"


class Streams:
    """Defines, replaces and stops the streams of a notebook.

    Args:
        shell: the notebook's.
        engine: its engine.
    """

    def __init__(self, shell: InteractiveShell, engine: NotebookEngine) -> None:
        self._shell, self._engine = shell, engine
        self._panes: dict[str, Pane] = {}
        self._cells: dict[str, str | None] = {}
        self._shown: dict[str, DisplayHandle] = {}
        self._table: StreamTable | None = None
        atexit.register(self.close)

    def define(
        self, name: str, body: Body | Query, kind: str, window: float, retain: float
    ) -> None:
        """Run a cell's body and make a stream of its last expression, in place of the one that
        has the name; if anything goes wrong, that one stays.

        Args:
            name: the stream's.
            body: the cell's.
            kind: of the view.
            window: how many seconds of the past the view shows.
            retain: how many seconds settled batches are kept.

        Raises:
            DefinitionError: the body does not end with a stream, or it cannot be registered.
        """
        __tracebackhide__ = True
        ssc, pane, names = self._engine.started(), Pane(), self._shell.user_ns
        before = names.get(name)
        notes = {_SHOW: kind, _WINDOW: f"{window:g}", _CELL: self._where()}
        try:
            with ssc.defining(name), printing_into(pane):
                stream = checked(body.run(names))
                check_engine(stream, ssc)
                stream = ssc.register(name, stream, retain, notes)
        except BaseException:
            names.pop(name, None)
            if before is not None:
                names[name] = before
            self._show_again(name)
            raise
        ssc.start()
        names[name] = stream
        self._show(stream, name, pane, kind, window)

    def start(self, options: Namespace) -> str:
        """Start an engine as the options of ``%engine start`` say; bind and show the streams that
        its checkpoint has, and say so.

        Raises:
            NameTaken: the notebook uses the name of a stream for something else.
            EngineError: see `NotebookEngine.start`.
        """
        said = self._engine.start(
            options.batch,
            options.workers,
            math.inf if options.detach else options.linger,
            checkpoint=options.checkpoint,
            missed=options.missed,
            on_error=options.on_error,
            backpressure=not options.no_backpressure,
            on_overflow=options.on_overflow,
        )
        taken_up = self._take_up(self._engine.running()) if options.checkpoint else ""
        return f"{said}; {taken_up}" if taken_up else said

    def attach(self, engine: str | None) -> str:
        """Take up an engine that runs: bind and show its streams, and say so.

        Args:
            engine: its name; the only one that runs if not told.

        Raises:
            NameTaken: the notebook uses the name of a stream for something else.
            EngineError: see `NotebookEngine.attach`.
        """
        return f"attached; {self._take_up(self._engine.attach(engine)) or 'streams: none'}"

    def _take_up(self, ssc: StreamingContext) -> str:
        """Bind and show the streams that an engine has; say which."""
        streams = ssc.status().streams
        for found in streams:
            check_free(found.name, self._shell.user_ns)
        for found in streams:
            stream = self._shell.user_ns[found.name] = ssc.streams[found.name]
            window = float(found.notes.get(_WINDOW, 60))
            self._show(stream, found.name, Pane(), found.notes.get(_SHOW, "auto"), window)
        return f"streams: {', '.join(found.name for found in streams)}" if streams else ""

    def table(self) -> StreamTable:
        """Return how all streams are doing: a table that moves while it is displayed.

        Raises:
            NotRunning: there is no engine.
        """
        self._engine.running()
        if self._table is None:
            actions = {"stop": self.stop, "pause": self.pause, "resume": self.resume}
            self._table = StreamTable(self._board, actions)
        self._table.refresh()
        return self._table

    def explain(self, name: str) -> Drawing:
        """Return a picture of how a stream is computed.

        Raises:
            NotRunning: there is no such stream, or no engine.
        """
        return Drawing(self._engine.running().explained(name))

    def close(self) -> None:
        """Have the table of streams stand still."""
        atexit.unregister(self.close)
        if self._table is not None:
            self._table.close()
            self._table = None

    def _board(self) -> Board:
        ssc, pump = self._engine.adopted()
        sources = {name: pump.source_of(stream) for name, stream in list(ssc.streams.items())}
        return Board.of(ssc.status(), sources)

    def pause(self, name: str) -> str:
        """Pause a stream for all clients, and return a line that says so.

        Raises:
            NotRunning: there is no such stream, or no engine.
        """
        self._engine.running().pause(name)
        return f"paused {name} from the next batch on; %stream resume {name} has it go on"

    def resume(self, name: str) -> str:
        """Have a paused stream go on, and return a line that says so.

        Raises:
            NotRunning: there is no such stream, or no engine.
        """
        self._engine.running().resume(name)
        return f"{name} goes on with the next batch"

    def stop(self, name: str) -> str:
        """Stop a stream, and return a line that says so.

        Raises:
            DefinitionError: other streams are computed from it.
            NotRunning: there is no such stream, or no engine.
        """
        self._engine.running().remove(name)
        self.keep(name)
        return f"stopped {name}; its view stays as it is, and running its cell starts it again"

    def _show(self, stream: DStream[Any], name: str, pane: Pane, kind: str, window: float) -> None:
        if kind == "auto" and stream.schema is not None:
            kind = choose(stream.schema)
        panel = show(name, kind, window=window)
        past = kind == "auto" or view(kind).past
        self._engine.pump.show(stream, panel.view, past, pane.write)
        if name in self._panes:
            self._panes[name].close()
        pane.put_into(panel)
        self._panes[name], self._cells[name] = pane, self._cell()
        self._shown[name] = display(panel, display_id=True)

    def keep(self, *names: str) -> None:
        """Have the notebook's file show the last batch of streams whose views move no more, where
        there is no kernel: as HTML, exported, or untrusted.

        Args:
            names: of the streams; all if none are named.
        """
        panels = live()
        for name in names or tuple(self._shown):
            if name in panels and name in self._shown:
                self._shown[name].update(panels[name])

    def _show_again(self, name: str) -> None:
        # Running a cell clears its output, where the view was that is to stay.
        panel, cell = live().get(name), self._cell()
        if panel is not None and cell is not None and self._cells.get(name) == cell:
            self._shown[name] = display(panel, display_id=True)

    def _cell(self) -> str | None:
        """Return the id of the cell that runs, if the notebook tells."""
        parent: dict[str, Any] = getattr(self._shell, "get_parent", dict)()
        cell: str | None = parent.get("metadata", {}).get("cellId")
        return cell

    def _where(self) -> str:
        """Return which cell of which notebook runs, for people."""
        number = f"In [{len(self._shell.user_ns['In']) - 1}]"
        notebook = Path(os.environ.get("JPY_SESSION_NAME", "")).name
        return f"{number} of {notebook}" if notebook else number


def check_free(name: str, names: dict[str, Any]) -> None:
    """Check that a stream can have a name in a notebook.

    Args:
        name: the name.
        names: the notebook's namespace.

    Raises:
        DefinitionError: it is no Python name.
        NameTaken: it is the name of something that is no stream.
    """
    check_name(name)
    if isinstance(names.get(name), DStream):
        return
    if name == NAME:
        raise NameTaken(f"{NAME} is the name of the engine's context; choose another one")
    if name in names:
        raise NameTaken(
            f"{name} is not a stream in this notebook, but of type {kind_of(names[name])}: choose "
            f"another name, or free this one with del {name}"
        )
    if hasattr(builtins, name):
        raise NameTaken(f"{name} is a builtin of Python; choose another name, such as {name}s")


def check_engine(stream: DStream[Any], ssc: StreamingContext) -> None:
    """Check that a stream and all that it is computed from belong to one engine.

    Raises:
        DefinitionError: they do not; the message names the one that does not.
    """
    stack = [stream]
    while stack:
        node = stack.pop()
        if node.name is not None and node.context is not ssc:
            raise DefinitionError(
                f"the stream {node.name} belongs to an engine that is not {NAME}; "
                "run its cell again first"
            )
        stack.extend(node.parents)
    if stream.context is not ssc:
        raise DefinitionError(f"the stream belongs to another engine than {NAME}")
