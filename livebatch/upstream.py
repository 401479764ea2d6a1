"""What a stream is computed from."""

from __future__ import annotations

from typing import Any

from livebatch.stream import DStream


def states_of(node: DStream[Any]) -> list[DStream[Any]]:
    """Return the streams with a state that a stream is computed by, up to other named streams."""
    return [found for found in unnamed_upstream(node) if found.cuts_lineage]


def unnamed_upstream(node: DStream[Any]) -> list[DStream[Any]]:
    """Return a stream and all that it is computed from, up to other named streams."""
    found: dict[str, DStream[Any]] = {}
    stack = [node]
    while stack:
        current = stack.pop()
        if current.id not in found:
            found[current.id] = current
            stack.extend(parent for parent in current.parents if parent.name is None)
    return list(found.values())


def upstream(node: DStream[Any]) -> set[DStream[Any]]:
    """Return a stream and all that it is computed from."""
    found: set[DStream[Any]] = set()
    stack = [node]
    while stack:
        current = stack.pop()
        if current not in found:
            found.add(current)
            stack.extend(current.parents)
    return found
