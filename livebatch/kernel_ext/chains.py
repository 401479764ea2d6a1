"""What can follow a chain of attributes and calls that begins with a stream."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from livebatch.kernel_ext.watch import Plot
from livebatch.rdd import RDD
from livebatch.session import StreamingContext
from livebatch.stream import DStream

_NAME = re.compile(r"\w*\Z")
_SPACE = " \t\n\\"


def chain(text: str) -> list[str]:
    """Return the names of the chain at the end of a text, calls with brackets; empty: none.

    Example:
        >>> chain("counts = (words\\n    .map(lambda w: (w, 1))\\n    .red")
        ['words', 'map()', 'red']
        >>> chain("1 + 2")
        []
    """
    steps = [_NAME.findall(text)[0]]
    rest = text[: len(text) - len(steps[0])].rstrip(_SPACE)
    while rest.endswith("."):
        rest = rest[:-1].rstrip(_SPACE)
        called = rest.endswith(")")
        if called:
            rest = _before_bracket(rest)
        name = _NAME.findall(rest)[0]
        if not name:
            return []
        steps.insert(0, f"{name}()" if called else name)
        rest = rest[: -len(name)].rstrip(_SPACE)
    return steps if len(steps) > 1 else []


def _before_bracket(text: str) -> str:
    """Return what stands before the bracket that the last character closes."""
    depth = 0
    for i in range(len(text) - 1, -1, -1):
        depth += (text[i] in ")]}") - (text[i] in "([{")
        if not depth:
            return text[:i].rstrip(_SPACE)
    return ""


def members(names: Mapping[str, Any], steps: Iterable[str]) -> list[str]:
    """Return the public members of what a chain gives, if that is one of livebatch's objects.

    Args:
        names: what names mean.
        steps: as `chain` gives them.
    """
    first, *calls = steps or [""]
    found = names.get(first)
    if not isinstance(found, (StreamingContext, DStream, RDD)):
        return []
    if not calls:
        return [name for name in dir(found) if not name.startswith("_")]
    kind: type | None = type(found)
    for call in calls:
        kind = _returned(kind, call)
    if kind is Plot:
        return Plot.methods()
    return [name for name in dir(kind) if not name.startswith("_")] if kind else []


def _returned(kind: type | None, call: str) -> type | None:
    """Return the class of what a method gives; None: not one of livebatch's."""
    if kind is None:
        return None
    if call == "plot" and issubclass(kind, DStream):
        return Plot
    if not call.endswith("()"):
        return None
    method = getattr(kind, call[:-2], None)
    if method is None:  # sources are methods of contexts that have no function
        return DStream if issubclass(kind, StreamingContext) else None
    said = str(getattr(method, "__annotations__", {}).get("return", ""))
    if said.startswith(("Stream", "DStream")):
        return DStream
    return RDD if said.startswith("RDD") else None
