"""``%engine``, ``%stream`` and ``%%stream``: parse, call, nothing else."""

from __future__ import annotations

from contextlib import suppress

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_cell_magic, line_magic, magics_class

from livebatch.kernel_ext.cell import Body, Query, compile_body
from livebatch.kernel_ext.display import Grid, engine_table
from livebatch.kernel_ext.drawing import Drawing
from livebatch.kernel_ext.engine import NotebookEngine
from livebatch.kernel_ext.grammar import SHOWN, cell_options, engine_options, stream_options
from livebatch.kernel_ext.layout import Dashboard
from livebatch.kernel_ext.livetable import StreamTable
from livebatch.kernel_ext.options import HelpShown
from livebatch.kernel_ext.streams import Streams, check_free
from livebatch.kernel_ext.tracebacks import own_lines_only


@magics_class
class StreamMagics(Magics):
    """The magics of one notebook."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self._shell = shell
        self.notebook = NotebookEngine(shell)
        self.streams = Streams(shell, self.notebook)

    @line_magic
    def engine(self, line: str) -> Grid | Dashboard | None:
        """Start, look at or stop the engine of this notebook; ``%engine --help`` says more."""
        __tracebackhide__ = True
        with suppress(HelpShown), own_lines_only(self._shell):
            options = engine_options().read(line)
            match options.action:
                case "start":
                    print(self.streams.start(options))
                case "list":
                    return self.notebook.engines()
                case "monitor":
                    return self.notebook.monitor()
                case "resize":
                    print(self.notebook.resize(options.workers))
                case "stop":
                    print(self.notebook.stop())
                    self.streams.keep()
                case "attach":
                    print(self.streams.attach(options.name))
                case "status":
                    return engine_table(self.notebook.running().status())
        return None

    @line_cell_magic
    def stream(self, line: str, cell: str | None = None) -> StreamTable | Drawing | None:
        """Make a stream of a cell; list, stop or pause streams. ``%stream --help`` says more."""
        __tracebackhide__ = True
        with suppress(HelpShown), own_lines_only(self._shell):
            if cell is not None:
                self._define(line, cell)
                return None
            options = stream_options().read(line)
            if options.action == "list":
                return self.streams.table()
            if options.action == "explain":
                return self.streams.explain(options.name)
            print(getattr(self.streams, options.action)(options.name))
        return None

    def _define(self, line: str, cell: str) -> None:
        __tracebackhide__ = True
        options = cell_options().read(line)
        check_free(options.name, self._shell.user_ns)
        body: Body | Query
        if options.sql:
            body, window = Query(cell, options.window, options.slide), SHOWN
        else:
            body, window = compile_body(self._shell, line, cell), options.window or SHOWN
        retain = options.retain / 1000
        self.streams.define(options.name, body, options.show, window / 1000, retain)
