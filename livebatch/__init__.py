"""livebatch: a notebook workbench for live data."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from livebatch._version import __version__

if TYPE_CHECKING:
    from livebatch.errors import LivebatchError
    from livebatch.frames import StreamingDataFrame
    from livebatch.kernel_ext.dashboard import dashboard
    from livebatch.rdd import RDD
    from livebatch.session import StreamingContext
    from livebatch.sql import Result
    from livebatch.stream import DStream

__all__ = [
    "RDD",
    "DStream",
    "LivebatchError",
    "Result",
    "StreamingContext",
    "StreamingDataFrame",
    "__version__",
    "connect",
    "dashboard",
]

_HOMES = {
    "RDD": "rdd",
    "DStream": "stream",
    "LivebatchError": "errors",
    "StreamingContext": "session",
    "StreamingDataFrame": "frames",
    "Result": "sql",
    "dashboard": "kernel_ext.dashboard",
    "load_ipython_extension": "kernel_ext",
    "unload_ipython_extension": "kernel_ext",
}


def connect(name: str | None = None) -> StreamingContext:
    """Return a context of an engine that runs already, with its named streams.

    Example:
        ``ssc = lb.connect(); ssc.streams["tags"].latest().take(5)``

    Raises:
        NotRunning: there is no such engine.
        EngineError: several run, and none was named.
    """
    from livebatch.session import StreamingContext

    return StreamingContext.attach(name)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
