"""livebatch: a notebook workbench for live data."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from livebatch._version import __version__

if TYPE_CHECKING:
    from livebatch.accumulator import Accumulator, AccumulatorParam
    from livebatch.broadcast import Broadcast
    from livebatch.errors import LivebatchError
    from livebatch.frames import StreamingDataFrame
    from livebatch.kernel_ext.dashboard import dashboard
    from livebatch.listener import StreamingListener
    from livebatch.operators.mapped import State
    from livebatch.operators.outputs import Tagged
    from livebatch.operators.sessions import Session
    from livebatch.output import read_output, vacuum_output
    from livebatch.rdd import RDD
    from livebatch.rdd.statcounter import StatCounter
    from livebatch.session import StreamingContext
    from livebatch.sql import Result
    from livebatch.storage import StorageLevel
    from livebatch.stream import DStream
    from livebatch.taskcontext import TaskContext

__all__ = [
    "RDD",
    "Accumulator",
    "AccumulatorParam",
    "Broadcast",
    "DStream",
    "LivebatchError",
    "Result",
    "Session",
    "StatCounter",
    "State",
    "StorageLevel",
    "StreamingContext",
    "StreamingDataFrame",
    "StreamingListener",
    "Tagged",
    "TaskContext",
    "__version__",
    "connect",
    "dashboard",
    "read_output",
    "vacuum_output",
]

_HOMES = {
    "RDD": "rdd",
    "Accumulator": "accumulator",
    "AccumulatorParam": "accumulator",
    "Broadcast": "broadcast",
    "StatCounter": "rdd.statcounter",
    "TaskContext": "taskcontext",
    "DStream": "stream",
    "LivebatchError": "errors",
    "StorageLevel": "storage",
    "StreamingContext": "session",
    "StreamingListener": "listener",
    "StreamingDataFrame": "frames",
    "Result": "sql",
    "Tagged": "operators.outputs",
    "Session": "operators.sessions",
    "State": "operators.mapped",
    "dashboard": "kernel_ext.dashboard",
    "read_output": "output",
    "vacuum_output": "output",
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
