"""Calls that the driver process makes, and what comes of them, as typed records."""

from __future__ import annotations

from typing import Any, TypeAlias

from livebatch.closures import Function
from livebatch.events import Message
from livebatch.failure import Failure
from livebatch.interval import Millis
from livebatch.rdd import Lineage


class Call(Message, frozen=True):
    """Call a function on RDDs.

    Attributes:
        wants_rdd: it is a transform, and gives one back.
        wants_value: it gives back a value that can travel.
    """

    id: str
    function: Function
    time: Millis
    rdds: tuple[Lineage, ...]
    wants_rdd: bool
    wants_value: bool = False


class Returned(Message, frozen=True):
    """A call returned. ``said``: what is to be shown at the stream."""

    call: str
    rdd: Lineage | None = None
    said: str = ""
    value: Any = None


class Raised(Message, frozen=True):
    """A call raised, or its process died."""

    call: str
    failure: Failure


CallOutcome: TypeAlias = Returned | Raised
