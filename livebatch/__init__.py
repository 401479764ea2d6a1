"""livebatch: a notebook workbench for live data."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from livebatch._version import __version__

if TYPE_CHECKING:
    from livebatch.errors import LivebatchError
    from livebatch.rdd import RDD
    from livebatch.session import StreamingContext
    from livebatch.stream import DStream

__all__ = ["RDD", "DStream", "LivebatchError", "StreamingContext", "__version__"]

_HOMES = {
    "RDD": "rdd",
    "DStream": "stream",
    "LivebatchError": "errors",
    "StreamingContext": "session",
    "load_ipython_extension": "kernel_ext",
    "unload_ipython_extension": "kernel_ext",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
