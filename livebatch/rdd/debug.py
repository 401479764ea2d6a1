"""What something is computed from, as a tree of text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from livebatch.rdd.operation import Deferred, Shuffled

if TYPE_CHECKING:
    from livebatch.rdd.dataset import RDD

T = TypeVar("T")


def tree(
    root: T,
    parents: Callable[[T], Sequence[T]],
    key: Callable[[T], str],
    line: Callable[[T], str],
    short: Callable[[T], str],
) -> str:
    """Return the tree of what something is computed from, itself first.

    Args:
        root: itself.
        parents: what a node is computed from.
        key: tells nodes apart; what was there before is not shown again with all it comes from.
        line: what is written of a node.
        short: what is written of it when it was there before.

    Example:
        >>> print(tree("abc", lambda s: [s[:1], s[1:]] if s[1:] else [], str, str, str))
        abc
        ├─ a
        └─ bc
           ├─ b
           └─ c
    """
    seen: set[str] = set()
    lines: list[str] = []
    stack = [(root, "", "")]
    while stack:
        node, first, rest = stack.pop()
        if key(node) in seen:
            lines.append(f"{first}{short(node)} (see above)")
            continue
        seen.add(key(node))
        lines.append(first + line(node))
        found = parents(node)
        for i, parent in reversed(list(enumerate(found))):
            branch, below = ("└─ ", "   ") if i == len(found) - 1 else ("├─ ", "│  ")
            stack.append((parent, rest + branch, rest + below))
    return "\n".join(lines)


def debug_string(rdd: RDD[Any]) -> str:
    """Return an RDD and below it what it is computed from, with their numbers of partitions."""
    return tree(rdd, lambda node: node.parents, lambda node: node.id, _line, _short)


def _short(node: RDD[Any]) -> str:
    return f"{type(node.operation).__name__.lower()} {node.id}"


def _line(node: RDD[Any]) -> str:
    count = "?" if isinstance(node.operation, Deferred) else node.num_partitions
    notes = ["persisted"] if node.persisted else []
    if isinstance(node.operation, Shuffled) and not node.operation.is_narrow(node.parents):
        notes.append("a stage begins here")
    said = f"  [{'; '.join(notes)}]" if notes else ""
    return f"({count}) {_short(node)}{said}"
