"""How a stream is computed, as a picture: boxes in layers, parents above what uses them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from livebatch.events import Explained, StreamNode
from livebatch.explain import cost_of, debug_text, rows_of

LETTER, HIGH, GAP, BETWEEN, PAD = 7.2, 52, 24, 30, 10
"""Pixels: how wide a letter is, how high a box, the gaps beside and between layers, the margin."""

HUES = (210, 150, 30, 280, 340, 95, 180, 60)
"""Colours of stages, which boxes of one stage share; their texts say the number too."""


@dataclass(frozen=True)
class Box:
    """A stream and where it is drawn: its left edge, its top and its width, in pixels."""

    node: StreamNode
    x: float
    y: float
    width: float

    @property
    def middle(self) -> float:
        return self.x + self.width / 2


class Drawing:
    """Shows a stream's graph: an SVG in a notebook, a tree of text elsewhere.

    Args:
        found: the graph.
    """

    def __init__(self, found: Explained) -> None:
        self._found = found

    def __repr__(self) -> str:
        return debug_text(self._found)

    def _repr_html_(self) -> str:
        return f'<div style="overflow-x: auto">{svg(self._found)}</div>'


def layers(nodes: Sequence[StreamNode]) -> list[list[StreamNode]]:
    """Return streams in layers, each below all of its parents and as high as that allows.

    Args:
        nodes: parents first.

    Example:
        >>> a = StreamNode("a", "queue_stream()", None, (), 1000)
        >>> b = StreamNode("b", "map(f)", None, ("a",), 1000)
        >>> c = StreamNode("c", "union()", None, ("a", "b"), 1000)
        >>> [[node.id for node in layer] for layer in layers([a, b, c])]
        [['a'], ['b'], ['c']]
    """
    depth: dict[str, int] = {}
    for node in nodes:
        depth[node.id] = 1 + max((depth[p] for p in node.parents if p in depth), default=-1)
    found: list[list[StreamNode]] = [[] for _ in range(max(depth.values()) + 1)]
    for node in nodes:
        found[depth[node.id]].append(node)
    return found


def place(nodes: Sequence[StreamNode]) -> dict[str, Box]:
    """Return where streams are drawn; each layer is in the order of its parents' middles."""
    boxes: dict[str, Box] = {}
    for row, layer in enumerate(layers(nodes)):
        x: float = PAD
        for node in sorted(layer, key=lambda node: _above(node, boxes)):
            width = max(map(len, _texts(node))) * LETTER + 2 * PAD
            x = max(x, _above(node, boxes) - width / 2)
            boxes[node.id] = Box(node, x, PAD + row * (HIGH + BETWEEN), width)
            x += width + GAP
    return boxes


def _above(node: StreamNode, boxes: dict[str, Box]) -> float:
    middles = [boxes[parent].middle for parent in node.parents if parent in boxes]
    return sum(middles) / len(middles) if middles else 0.0


def _texts(node: StreamNode) -> tuple[str, str]:
    said = f"{node.name} = {node.label}" if node.name else node.label
    notes = ["paused"] if node.paused else []
    notes += [rows_of(node)] if node.rows is not None else []
    notes += [f"stage {node.cost.stage}"] if node.cost else []
    return said, " · ".join(notes)


def svg(found: Explained) -> str:
    """Return a stream's graph as an SVG picture."""
    boxes = place(found.nodes)
    width = max(box.x + box.width for box in boxes.values()) + PAD
    height = max(box.y for box in boxes.values()) + HIGH + PAD
    edges = [
        _edge(boxes[parent], box)
        for box in boxes.values()
        for parent in box.node.parents
        if parent in boxes
    ]
    style = (
        "font: 12px var(--jp-code-font-family, monospace); color: var(--jp-ui-font-color1, #222)"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'role="img" style="{style}"><title>how {escape(_name(found))} is computed</title>'
        f"{''.join(edges)}{''.join(map(_drawn, boxes.values()))}</svg>"
    )


def _name(found: Explained) -> str:
    return found.nodes[-1].name or found.nodes[-1].label


def _edge(parent: Box, child: Box) -> str:
    top, bottom = parent.y + HIGH, child.y
    bend = (top + bottom) / 2
    curve = f"C{parent.middle:.1f},{bend} {child.middle:.1f},{bend} {child.middle:.1f},{bottom}"
    return (
        f'<path d="M{parent.middle:.1f},{top} {curve}" fill="none" stroke="currentColor" '
        'stroke-opacity="0.5"/>'
    )


def _drawn(box: Box) -> str:
    node = box.node
    said, notes = map(escape, _texts(node))
    paint = "none"
    if node.cost and node.cost.stage.isdigit():
        paint = f"hsl({HUES[int(node.cost.stage) % len(HUES)]} 70% 50% / 0.15)"
    dashes = ' stroke-dasharray="4 3"' if node.paused else ""
    weight = "bold" if node.name else "normal"
    frame = f'x="{box.x:.1f}" y="{box.y}" width="{box.width:.1f}" height="{HIGH}" rx="5"'
    hint = escape(cost_of(node.cost)) if node.cost else "no batch yet"
    return (
        f'<g data-stream="{escape(node.id)}"><title>{hint}</title>'
        f'<rect {frame} fill="var(--jp-layout-color0, white)"/>'  # hides what passes behind it
        f'<rect {frame} fill="{paint}" stroke="currentColor"{dashes}/>'
        f'<text x="{box.x + PAD:.1f}" y="{box.y + 21}" fill="currentColor" '
        f'font-weight="{weight}">{said}</text>'
        f'<text x="{box.x + PAD:.1f}" y="{box.y + 40}" fill="currentColor" '
        f'opacity="0.7">{notes}</text></g>'
    )
