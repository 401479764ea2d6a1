"""livebatch in a notebook: ``%load_ext livebatch``."""

from __future__ import annotations

from IPython.core.interactiveshell import InteractiveShell

from livebatch.kernel_ext.completion import Matcher
from livebatch.kernel_ext.magics import StreamMagics
from livebatch.kernel_ext.query_magic import QueryMagics

__all__ = ["load_ipython_extension", "unload_ipython_extension"]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add ``%engine``, ``%stream``, ``%%stream`` and ``%%query`` to a notebook, and what completes
    them."""
    magics = StreamMagics(shell)
    shell.register_magics(magics)
    shell.register_magics(QueryMagics(shell, magics.notebook))
    shell.Completer.custom_matchers.append(Matcher(shell).match)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take the magics away again. The engine and its streams run on; their views stand still."""
    for owner in (QueryMagics, StreamMagics):
        magics = shell.magics_manager.registry.pop(owner.__name__)
        for kind, names in magics.magics.items():
            for name in names:
                del shell.magics_manager.magics[kind][name]
    magics.notebook.close()
    matchers = shell.Completer.custom_matchers
    ours = [m for m in matchers if isinstance(getattr(m, "__self__", None), Matcher)]
    for matcher in ours:
        matchers.remove(matcher)
