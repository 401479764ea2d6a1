"""Everything that livebatch raises on purpose.

::

    LivebatchError
    ├── DefinitionError (ValueError)     a stream, duration or option is written wrongly
    │   ├── NameTaken                    the name already belongs to something else
    │   └── QueryError                   an SQL query is written wrongly
    ├── ClosureError (TypeError)         a function cannot be sent to the workers
    ├── UnstableKey (TypeError)          a key has no hash that all processes agree on
    ├── JobFailed                        a function of the user's raised; carries its traceback
    ├── JobCancelled                     the job was interrupted
    ├── StoreFull                        no room left for blocks
    ├── BlockLost                        a block is gone and cannot be computed again
    ├── SourceError                      a source cannot be read
    ├── SinkError                        a place cannot be written to
    └── EngineError                      the engine is not there, or refuses
        ├── NotRunning
        ├── EngineRestarted              it was started again, and a request may be lost
        └── EngineLost
"""

from __future__ import annotations


class LivebatchError(Exception):
    """Base of every error that livebatch raises on purpose."""


class DefinitionError(LivebatchError, ValueError):
    """A stream, duration or option is written wrongly; raised where it is written."""


class NameTaken(DefinitionError):
    """The name of a stream already belongs to something else."""


class QueryError(DefinitionError):
    """An SQL query is written wrongly; the message points at the word."""


class ClosureError(LivebatchError, TypeError):
    """A function cannot be sent to the workers."""


class UnstableKey(LivebatchError, TypeError):
    """A key has no hash that all processes agree on, so it cannot be partitioned by."""


class JobFailed(LivebatchError):
    """A function raised in a worker; the message ends with the user's own traceback."""


class JobCancelled(LivebatchError):
    """A job was cancelled before it finished."""


class StoreFull(LivebatchError):
    """There is no room left for a block; nothing of it was written."""


class BlockLost(LivebatchError):
    """A block is gone from the store."""

    def __init__(self, block_id: str) -> None:
        super().__init__(f"block {block_id} is no longer in the store")
        self.block_id = block_id


class SourceError(LivebatchError):
    """A source cannot be read; the message says what to check."""


class SinkError(LivebatchError):
    """A place cannot be written to; the message says why."""


class EngineError(LivebatchError):
    """The engine refuses a request, or is not there."""


class NotRunning(EngineError):
    """There is no engine, or the context has not been started."""


class EngineRestarted(EngineError):
    """The engine process was started again; what it was asked meanwhile may be lost."""


class EngineLost(EngineError):
    """The engine process went away."""
