"""livebatch in a notebook: ``%load_ext livebatch``."""

from __future__ import annotations

import re

from IPython.core.interactiveshell import InteractiveShell

from livebatch.kernel_ext.awake import keep_awake
from livebatch.kernel_ext.completion import Matcher
from livebatch.kernel_ext.magics import StreamMagics
from livebatch.kernel_ext.query_magic import QueryMagics
from livebatch.kernel_ext.watch import Plot, WatchMagics
from livebatch.stream import DStream

_OURS = re.compile(r"%%(stream|query)\b")

__all__ = ["load_ipython_extension", "unload_ipython_extension"]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add ``%engine``, ``%stream``, ``%%stream``, ``%%query`` and ``%watch``, with what
    completes them, and to streams their ``plot``."""
    magics = StreamMagics(shell)
    shell.register_magics(magics)
    shell.register_magics(QueryMagics(shell, magics.notebook))
    shell.register_magics(WatchMagics(shell, magics.notebook))
    DStream.plotting = Plot
    keep_awake(shell)
    shell.Completer.custom_matchers.append(Matcher(shell).match)
    shell.input_transformers_cleanup.append(with_body)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take the magics away again. The engine and its streams run on; their views stand still."""
    for owner in (WatchMagics, QueryMagics, StreamMagics):
        magics = shell.magics_manager.registry.pop(owner.__name__)
        for kind, names in magics.magics.items():
            for name in names:
                del shell.magics_manager.magics[kind][name]
    magics.streams.close()
    magics.notebook.close()
    DStream.plotting = None
    shell.input_transformers_cleanup.remove(with_body)
    matchers = shell.Completer.custom_matchers
    ours = [m for m in matchers if isinstance(getattr(m, "__self__", None), Matcher)]
    for matcher in ours:
        matchers.remove(matcher)


def with_body(lines: list[str]) -> list[str]:
    """Give a cell that is a magic's line and no more an empty body, without which IPython does not
    run it: not even ``%%stream --help``.

    Example:
        >>> with_body(["%%stream --help\\n"])
        ['%%stream --help\\n', '\\n']
    """
    alone = len(lines) == 1 and _OURS.match(lines[0])
    return [*lines, "\n"] if alone else lines
