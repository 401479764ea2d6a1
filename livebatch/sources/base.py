"""The two ports of sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import pyarrow as pa

from livebatch.closures import Builtin
from livebatch.interval import Millis


class Receiver(Protocol):
    """What a push source is given to work with."""

    def emit(self, records: Sequence[Any] | pa.Table) -> None:
        """Hand on records: a list of them, or a table with one in each row."""

    def report(self, state: str, detail: str = "") -> None:
        """Say how it is going: ``connecting``, ``receiving`` or ``stopped``, and why."""

    def flush(self) -> None:
        """Wait until all that was emitted has been received for good: the engine has it, and if
        the stream is ``durable`` so has the disk. Then a source may acknowledge it."""

    def stopping(self, seconds: float = 0.0) -> bool:
        """Wait so many seconds; return at once, and true, when the source should stop."""


@runtime_checkable
class PushSource(Protocol):
    """A source that runs in a process of its own and emits records as they come."""

    def run(self, receiver: Receiver) -> None:
        """Emit records until ``receiver.stopping()``.

        Raises:
            Exception: it cannot go on; it is started again after a while.
        """


@runtime_checkable
class PullSource(Protocol):
    """A source that is asked at each batch time what there is to read."""

    def plan(
        self, offsets: Any, time: Millis, limit: int | None = None
    ) -> tuple[list[Builtin], Any]:
        """Return the readers of what is new, one for each partition, and the new offsets.

        The first call, when the stream is defined, only says where it begins: its readers are
        not used. What a limit leaves over is new the next time too.

        Args:
            offsets: what the last call returned, plain data; None at first.
            time: the batch time, milliseconds since 1970 UTC.
            limit: at most about so many records, as batches fall behind; something, however
                large, if there is anything; None: all that is new.
        """
