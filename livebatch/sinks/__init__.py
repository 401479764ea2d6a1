"""Where streams go to: one file each, found by being in this package.

A sink sees every batch once, whatever dies on the way and however often it runs again: partitions
are written so that nobody sees them, and one step has the whole batch count.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from livebatch.sinks.base import Key, Receipt, Sink, sink

__all__ = ["Key", "Receipt", "Sink", "kinds", "sink"]

_PARTS = {"base", "files", "folder", "manifest"}


def kinds() -> list[str]:
    """Return the names of all kinds of sinks; of each there is a method, such as ``to_csv``."""
    return [module.name for module in iter_modules(__path__) if module.name not in _PARTS]


for _kind in kinds():
    import_module(f"{__name__}.{_kind}")
