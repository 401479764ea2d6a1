"""More views of streams that are there: ``%watch``, ``stream.plot`` and `dashboard`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cache
from typing import Any

import pyarrow as pa
from IPython.core.getipython import get_ipython
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_magic, magics_class
from IPython.display import display

from livebatch.errors import DefinitionError, NotRunning
from livebatch.kernel_ext.engine import NotebookEngine
from livebatch.kernel_ext.options import HelpShown, Options, duration
from livebatch.kernel_ext.tracebacks import own_lines_only
from livebatch.stream import DStream
from livebatch.widgets import Panel, View, kinds, show

OF_THE_PRESENT = ("bar", "none", "table")
"""Kinds of view that show the newest batch alone."""

WINDOW = 60.0


class Watcher:
    """Makes views of streams, beside those that stand under the streams' own cells.

    Args:
        shell: the notebook's.
        notebook: its engine.
    """

    def __init__(self, shell: InteractiveShell, notebook: NotebookEngine) -> None:
        self._shell, self._notebook = shell, notebook

    def watch(
        self,
        stream: DStream[Any] | str,
        kind: str = "auto",
        window: float = WINDOW,
        columns: Sequence[str] = (),
        place: str = "",
    ) -> Panel:
        """Return a view of a stream. It takes the place of one that was made for the same place
        of the same cell.

        Args:
            stream: a named stream, or its name.
            kind: of the view.
            window: seconds of the past that it shows.
            columns: those that it shows; all if none are named.
            place: tells views of one cell apart.

        Raises:
            NotRunning: there is no such stream, or no engine.
            DefinitionError: the stream has no name, or there is no such kind of view.
        """
        found = self._named(stream)
        if kind not in ("auto", *kinds()):
            raise DefinitionError(f"there is no view {kind!r}; there are: {', '.join(kinds())}")
        key = f"{found.name} as {kind} · {self._cell()} {place or ' '.join(columns)}"
        panel = show(key, kind, window=window, title=found.name)
        view: Any = Selected(panel.view, columns) if columns else panel.view
        self._notebook.pump.show(by_name(found), view, kind not in OF_THE_PRESENT)
        return panel

    def _named(self, stream: DStream[Any] | str) -> DStream[Any]:
        streams = self._notebook.running().streams
        name = stream if isinstance(stream, str) else stream.name
        if name is None:
            raise DefinitionError(
                "only a stream with a name has views: define it in a %%stream cell, or name it "
                "with ssc.register(name, stream)"
            )
        if name not in streams:
            there = ", ".join(sorted(streams)) or "none yet"
            raise NotRunning(f"there is no stream {name}; the streams are: {there}")
        return streams[name]

    def _cell(self) -> str:
        parent: dict[str, Any] = getattr(self._shell, "get_parent", dict)()
        return str(parent.get("metadata", {}).get("cellId", ""))


def by_name(stream: DStream[Any]) -> DStream[Any]:
    """Return a handle of whatever stream has the name of this one."""
    handle: DStream[Any] = DStream((), stream.slide)
    handle.name, handle.context = stream.name, stream.context
    return handle


class Selected:
    """A view that is given some columns only.

    Args:
        view: the view.
        columns: their names.
    """

    def __init__(self, view: View, columns: Sequence[str]) -> None:
        self._view, self._columns = view, list(columns)
        self._missing: str | None = None

    def push(self, time: datetime, table: pa.Table) -> None:
        """Show a batch, if it has the columns."""
        missing = [name for name in self._columns if name not in table.column_names]
        there = ", ".join(table.column_names)
        self._missing = f"no column {', '.join(missing)}; there are: {there}" if missing else None
        if not missing:
            self._view.push(time, table.select(self._columns))

    def fail(self, text: str | None) -> None:
        """Show an error, or which columns are missing."""
        self._view.fail(text or self._missing)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)


@magics_class
class WatchMagics(Magics):
    """The magic that shows a stream once more.

    Args:
        shell: the notebook's.
        notebook: its engine.
    """

    def __init__(self, shell: InteractiveShell, notebook: NotebookEngine) -> None:
        super().__init__(shell)
        self._shell = shell
        self.watcher = Watcher(shell, notebook)

    @line_magic
    def watch(self, line: str) -> None:
        """Show a stream, in whatever way; ``%watch --help`` says more."""
        __tracebackhide__ = True
        with suppress(HelpShown), own_lines_only(self._shell):
            options = watch_options().read(line)
            columns = options.columns.split(",") if options.columns else ()
            window = options.window / 1000
            display(self.watcher.watch(options.name, options.kind, window, columns))


@cache
def watch_options() -> Options:
    """Return what may follow ``%watch``."""
    options = Options(
        "%watch", "show a stream that is there, also in another way than its cell does"
    )
    options.add_argument("name", metavar="NAME", help="the stream's")
    options.add_argument(
        "--as",
        dest="kind",
        choices=("auto", *kinds()),
        default="auto",
        help="how it is shown (auto)",
    )
    options.add_argument(
        "--window", type=duration, default="60s", help="how much of the past the view shows (60s)"
    )
    options.add_argument("--columns", metavar="A,B", help="the columns it shows (all)")
    return options


def watcher() -> Watcher:
    """Return what makes views in this notebook.

    Raises:
        NotRunning: this is no notebook, or livebatch has not been loaded in it.
    """
    shell = get_ipython()
    magics = shell.magics_manager.registry.get("WatchMagics") if shell is not None else None
    if magics is None:
        raise NotRunning("views are for notebooks: run %load_ext livebatch first")
    found: Watcher = magics.watcher
    return found


class Plot:
    """Live views of a stream, as pandas has plots of a DataFrame: ``stream.plot.line()``.

    Each method returns a view, to be shown as a cell's result or put into a `dashboard`.

    Args:
        stream: a named stream.
    """

    def __init__(self, stream: DStream[Any]) -> None:
        self._stream = stream

    def __call__(
        self,
        kind: str = "auto",
        x: str | None = None,
        y: str | Sequence[str] | None = None,
        window: float = WINDOW,
    ) -> Panel:
        """Return a view of any kind.

        Args:
            kind: as ``%%stream --show`` takes it.
            x: a column of times or of texts; found out from the columns' types if not told.
            y: one or several columns of numbers; all if not told.
            window: seconds of the past that it shows.

        Raises:
            NotRunning: this is no notebook, or the stream has been stopped.
            DefinitionError: the stream has no name, or there is no such kind.
        """
        ys = [y] if isinstance(y, str) else list(y or ())
        columns = [*([x] if x else ()), *ys]
        return watcher().watch(self._stream, kind, window, columns)

    def __getattr__(self, kind: str) -> Callable[..., Panel]:
        kind = "histogram" if kind == "hist" else kind
        if kind not in kinds():
            raise AttributeError(f"there is no view {kind!r}; there are: {', '.join(kinds())}")

        def plot(
            x: str | None = None, y: str | Sequence[str] | None = None, window: float = WINDOW
        ) -> Panel:
            return self(kind, x, y, window)

        plot.__name__, plot.__doc__ = kind, f"Return a {kind} view; see `Plot`."
        return plot

    def __dir__(self) -> list[str]:
        return self.methods()

    @staticmethod
    def methods() -> list[str]:
        """Return the names of all of them."""
        return [*kinds(), "hist"]
