"""A notebook without a browser: a shell that runs cells, as a kernel's does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

from livebatch.kernel_ext.magics import StreamMagics
from livebatch.session import StreamingContext
from livebatch.widgets import Panel, live


class Shell(InteractiveShell):
    """A shell that knows, as a kernel's does, which cell of the notebook it runs."""

    cell = "cell-1"

    def get_parent(self) -> dict[str, Any]:
        return {"metadata": {"cellId": self.cell}}


@dataclass(frozen=True)
class Ran:
    """How a cell went.

    Attributes:
        text: what it printed, its errors included.
        shown: what it displayed.
        value: of its last expression.
        error: what it raised.
    """

    text: str
    shown: list[Any]
    value: Any
    error: BaseException | None


class Notebook:
    """Runs cells in a fresh namespace with livebatch loaded; use `Notebook.open`."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell
        self.names: dict[str, Any] = shell.user_ns

    @classmethod
    @contextmanager
    def open(cls, ssc: StreamingContext | None = None) -> Iterator[Notebook]:
        """Give a notebook, with a context called ``ssc`` if there is one."""
        config = Config({"HistoryManager": {"enabled": False}})
        folder = os.environ["XDG_RUNTIME_DIR"]
        shell = Shell.instance(config=config, colors="nocolor", ipython_dir=folder)
        notebook = cls(shell)
        try:
            assert notebook.run("%load_ext livebatch").error is None
            if ssc is not None:
                notebook.names["ssc"] = ssc
            yield notebook
        finally:
            notebook.run("%unload_ext livebatch")
            for panel in live().values():
                panel.close()
            for kind in (Shell, InteractiveShell):
                kind.clear_instance()

    @property
    def magics(self) -> StreamMagics:
        found = self.shell.magics_manager.registry["StreamMagics"]
        assert isinstance(found, StreamMagics)
        return found

    def run(self, source: str, cell: str = "cell-1") -> Ran:
        """Run a cell.

        Args:
            source: its text.
            cell: its id; a cell that is run again keeps it.
        """
        self.shell.cell = cell
        with capture_output() as said:
            result = self.shell.run_cell(source, store_history=True)
        error = result.error_before_exec or result.error_in_exec
        return Ran(said.stdout + said.stderr, said.outputs, result.result, error)

    def fails(self, source: str, cell: str = "cell-1") -> str:
        """Run a cell that must fail, and return what it printed."""
        ran = self.run(source, cell)
        assert ran.error is not None, ran.text
        return ran.text

    def works(self, source: str, cell: str = "cell-1") -> Ran:
        """Run a cell that must not fail."""
        ran = self.run(source, cell)
        assert ran.error is None, ran.text
        return ran


def said(name: str) -> tuple[str, str]:
    """Return what the line under a stream's view says, and its level."""
    text, level = live()[name].view._feed._note["status"]
    return text, level


def trouble(name: str) -> str | None:
    """Return the error that a stream's view shows."""
    error: str | None = live()[name].view._feed._note["error"]
    return error


def left_out(name: str) -> dict[str, Any] | None:
    """Return what a stream's view says of records that were left out."""
    errors: dict[str, Any] | None = live()[name].view._feed._note["errors"]
    return errors


def rows(panel: Panel) -> list[list[str]]:
    """Return the rows of the newest batch that a view has drawn."""
    newest = panel.view._feed.last()
    return [] if newest is None else newest.rows
