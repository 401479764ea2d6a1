"""What can be said of every push source: how much of it may wait, and whether it goes to disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, get_args

import msgspec

from livebatch.errors import DefinitionError

Overflow: TypeAlias = Literal["block", "drop_oldest", "spill"]

KEY = "receiving"
"""Among the options of an input, those that are not the source's own."""


class Receiving(msgspec.Struct, frozen=True):
    """Every source that is pushed also takes these options, by name:

    - ``on_overflow``: what happens when so much has come that ``buffer`` is full, because batches
      fall behind. ``"block"``: the source is read no more until there is room (a TCP server is
      held up by that); ``"drop_oldest"``: what has waited longest for its batch is dropped, and
      the dropped records are counted; ``"spill"``: what comes goes to disk until there is room.
      The context's ``on_overflow`` if not told.
    - ``buffer``: how many bytes may wait, for their batch or in batches that are not done yet; a
      quarter of what the engine's blocks may take in memory, if not told.
    - ``durable``: whether all that comes is on disk before it counts as received and a source
      that acknowledges does so. Each block is a file with a checksum; both the file and its
      folder are synced (``fsync``) each time.
    """

    on_overflow: Overflow = "block"
    buffer: int | None = None
    durable: bool = False

    def __post_init__(self) -> None:
        check_overflow(self.on_overflow)
        if self.buffer is not None and (type(self.buffer) is not int or self.buffer < 1):
            raise DefinitionError(f"buffer must be a number of bytes, not {self.buffer!r}")
        if type(self.durable) is not bool:
            raise DefinitionError(f"durable must be True or False, not {self.durable!r}")


def check_overflow(on_overflow: object) -> None:
    """Make sure that there is such a policy.

    Raises:
        DefinitionError: there is not.
    """
    if on_overflow not in get_args(Overflow):
        known = ", ".join(f'"{name}"' for name in get_args(Overflow))
        raise DefinitionError(f"on_overflow must be one of {known}, not {on_overflow!r}")


def receiving_of(options: Mapping[str, Any]) -> Receiving:
    """Return what an input's options say of how it is received."""
    return Receiving(**options.get(KEY, {}))
