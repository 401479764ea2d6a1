"""How a stream is computed, drawn as a tree of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from livebatch.closures import Builtin, Code, digests
from livebatch.events import Explained, StageCost, StreamNode
from livebatch.interval import format_millis, to_datetime
from livebatch.operators.mapped import MappedWithState
from livebatch.rdd.debug import tree
from livebatch.rdd.operation import Stored
from livebatch.stream import DStream, Input

KINDS = {
    "Windowed": "window",
    "Level": "merge",
    "MergedWindow": "reduce_by_key_and_window",
    "SlidWindow": "reduce_by_key_and_window",
    "MappedWithState": "map_with_state",
    "Snapshots": "state_snapshots",
    "Updated": "update_state_by_key",
    "Transformed": "transform",
}
LONGEST = 80
ADAPTERS = {
    "with_time", "without_time", "list_with_time", "list_without_time",
    "slide_values", "slide_present",
}  # fmt: skip
"""What livebatch puts around functions that the user gives."""


def label_of(node: DStream[Any]) -> str:
    """Return what a stream does to its parents, as one would write it.

    Example:
        >>> from livebatch.testing import ManualContext
        >>> with ManualContext("1s") as ssc:
        ...     words = ssc.queue_stream()
        ...     label_of(words), label_of(words.map(str.upper)), label_of(words.window("30s"))
        ('queue_stream()', 'map(str.upper)', 'window(30s)')
    """
    if node.label is not None:
        return _short(" ".join(node.label.split()))
    if not node.params:  # of an attached client, which knows only the name
        return node.name or type(node).__name__
    if isinstance(node, Input) and node.parents:
        return node.source
    if isinstance(node, Input):
        return _short(f"{_source(node.source)}({_options(node.options)})")
    name = KINDS.get(type(node).__name__)
    method, *arguments = node.params if name is None else (name, *node.params)
    if isinstance(node, MappedWithState):
        arguments = [node.function]
    elif name is not None and arguments and isinstance(arguments[0], int):
        arguments[0] = format_millis(arguments[0])
    return _short(f"{method}({', '.join(filter(None, map(_argument, arguments)))})")


def _source(name: str) -> str:
    return "queue_stream" if name == "queue" else name


def _options(options: Any) -> str:
    plain = [
        (k, v) for k, v in options.items() if isinstance(v, (str, int, float)) and v is not True
    ]
    return ", ".join(f"{key}={value!r}" for key, value in plain if value is not False)


def _argument(value: Any) -> str:
    if isinstance(value, Code):
        return value.name
    if isinstance(value, Builtin):
        if not any(digests(value.args)):
            return value.name
        if value.name == "recalling":
            return _argument(value.args[0])
        inner = ", ".join(filter(None, map(_argument, value.args)))
        return inner if value.name in ADAPTERS else f"{value.name}({inner})"
    if value is None or isinstance(value, (bool, tuple)):
        return ""
    return str(value)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 2]}…)"


def explained(
    stream: DStream[Any], costs: Mapping[str, StageCost] | None = None, whole: bool = True
) -> Explained:
    """Return how a stream is computed.

    Args:
        stream: the stream.
        costs: what the newest batch of each stream cost, by its id.
        whole: go on beyond named streams that it is computed from.
    """
    return Explained(tuple(_numbered([_node(n, costs or {}) for n in _ordered(stream, whole)])))


def _numbered(nodes: list[StreamNode]) -> Iterator[StreamNode]:
    """Give stages numbers in the order in which they run."""
    numbers: dict[str, str] = {}
    for node in nodes:
        if node.cost is None:
            yield node
        else:
            number = numbers.setdefault(node.cost.stage, str(len(numbers) + 1))
            yield replace(node, cost=replace(node.cost, stage=number))


def _ordered(stream: DStream[Any], whole: bool) -> list[DStream[Any]]:
    """Return a stream and what it is computed from, parents first."""
    ordered: dict[str, DStream[Any]] = {}
    stack = [(stream, False)]
    while stack:
        node, done = stack.pop()
        if done:
            ordered[node.id] = node
        elif node.id not in ordered:
            stack.append((node, True))
            if whole or node is stream or node.name is None:
                stack.extend((parent, False) for parent in reversed(node.parents))
    return list(ordered.values())


def _node(node: DStream[Any], costs: Mapping[str, StageCost]) -> StreamNode:
    stored = [(time, rdd.operation) for time, rdd in node.generated.items()]
    kept = {time: found for time, found in stored if isinstance(found, Stored)}
    newest = max(kept, default=None)
    blocks = [] if newest is None else [b for split in kept[newest].blocks for b in split]
    return StreamNode(
        id=node.id,
        label=label_of(node),
        name=node.name,
        parents=tuple(parent.id for parent in node.parents),
        slide=node.slide,
        paused=node.pauses.now,
        time=newest,
        rows=None if newest is None else sum(block.rows for block in blocks),
        cost=costs.get(node.id),
    )


def debug_text(found: Explained) -> str:
    """Return the tree of what a stream is computed from, the stream itself first.

    Example:
        >>> from livebatch.testing import ManualContext
        >>> with ManualContext("1s") as ssc:
        ...     words = ssc.register("words", ssc.queue_stream().flat_map(str.split))
        ...     print(debug_text(explained(words.map(len).union(words))))
        union()
        ├─ map(len)
        │  └─ words = flat_map(str.split)
        │     └─ queue_stream()
        └─ words (see above)
    """
    nodes = {node.id: node for node in found.nodes}

    def parents(node: StreamNode) -> list[StreamNode]:
        return [nodes[parent] for parent in node.parents if parent in nodes]

    return tree(
        found.nodes[-1],
        parents,
        lambda node: node.id,
        line_of,
        lambda node: node.name or node.label,
    )


def line_of(node: StreamNode) -> str:
    """Return one line that says what a stream is and what its newest batch cost."""
    said = f"{node.name} = {node.label}" if node.name else node.label
    notes = ["paused"] if node.paused else []
    if node.rows is not None:
        notes.append(rows_of(node))
    if node.cost is not None:
        notes.append(cost_of(node.cost))
    return f"{said}  [{'; '.join(notes)}]" if notes else said


def rows_of(node: StreamNode) -> str:
    """Say how many rows the newest batch of a stream has that is kept, and when that was."""
    rows = "1 row" if node.rows == 1 else f"{node.rows:,} rows"
    return f"{rows} at {to_datetime(node.time or 0):%H:%M:%S}"


def cost_of(cost: StageCost) -> str:
    """Say what a stage cost.

    Example:
        >>> cost_of(StageCost("1", 2, 1200, 0.0043))
        'stage 1: 2 tasks, read 1,200 rows, 4.3 ms'
    """
    tasks = "1 task" if cost.tasks == 1 else f"{cost.tasks} tasks"
    rows = "1 row" if cost.rows == 1 else f"{cost.rows:,} rows"
    return f"stage {cost.stage}: {tasks}, read {rows}, {cost.seconds * 1000:.1f} ms"
