"""Records that a task leaves out because they do not fit, told to whoever carries it out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from livebatch.failure import Failure

SAMPLES = 100
"""So many of a task are kept with what is wrong with them."""


@dataclass
class LeftOut:
    """How many records were left out of how many, and what is wrong with the first ones."""

    count: int = 0
    seen: int = 0
    samples: list[Failure] = field(default_factory=list)

    def add(self, count: int, seen: int, samples: Sequence[Failure]) -> None:
        self.count += count
        self.seen += seen
        self.samples += samples[: SAMPLES - len(self.samples)]


_left_out: ContextVar[LeftOut | None] = ContextVar("left_out", default=None)


@contextmanager
def leaving_out(allowed: bool) -> Iterator[LeftOut]:
    """Within this, records may be left out, if that is allowed; gives what is told of them."""
    found = LeftOut()
    token = _left_out.set(found if allowed else None)
    try:
        yield found
    finally:
        _left_out.reset(token)


def left_out() -> LeftOut | None:
    """Return where to tell of records that are left out; None where none may be."""
    return _left_out.get()
