"""What a function on RDDs can reach while it runs in the driver process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from livebatch.errors import NotRunning

if TYPE_CHECKING:
    from livebatch.rdd.base import JobRunner


@dataclass
class Calling:
    """A call that is being made.

    Attributes:
        id: of the call.
        runner: carries out actions.
        said: what is to be shown at the stream.
        captured: what the function had captured, by its number.
    """

    id: str
    runner: JobRunner
    said: list[str] = field(default_factory=list)
    captured: list[Any] = field(default_factory=list)


_now: ContextVar[Calling] = ContextVar("calling")


@contextmanager
def calling(id: str, runner: JobRunner) -> Iterator[Calling]:
    """Within this, a call is being made."""
    token = _now.set(Calling(id, runner))
    try:
        yield _now.get()
    finally:
        _now.reset(token)


def this_call() -> Calling:
    """Return the call that is being made.

    Raises:
        NotRunning: there is none.
    """
    try:
        return _now.get()
    except LookupError:
        raise NotRunning("this is for functions that run in the driver process") from None


def recall(number: int) -> Any:
    """Return what a function had captured when it was sent to the driver process."""
    return this_call().captured[number]
