"""Pictures that stand still: small SVGs, for exported and untrusted notebooks."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from livebatch.interval import to_datetime
from livebatch.widgets.buffer import Part, thin
from livebatch.widgets.cells import short, text
from livebatch.widgets.columns import Floats
from livebatch.widgets.style import PALETTE

WIDTH, HEIGHT = 640, 232
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 12, 40
POINTS, LETTERS = 200, 24
GAP = 3.0
"""So many times the usual step is a hole in a line, as in a live view."""

# One that can be read on a light and on a dark ground.
GREY = "#808080"


def lines(parts: Iterable[Part], pace: float) -> str:
    """A picture of amounts over time, as an HTML element; empty if there is nothing to draw.

    Args:
        parts: the lines; x in milliseconds.
        pace: the usual time between batches, in milliseconds.
    """
    shown = [(part.key, part.slot, *thin(part.x, part.y, POINTS)) for part in parts if len(part.x)]
    if not shown:
        return ""
    xs, ys = (np.concatenate([part[i] for part in shown]) for i in (2, 3))
    first, last, low, high = xs.min(), xs.max(), ys.min(), ys.max()
    across = _scale(first, last, LEFT, WIDTH - RIGHT)
    up = _scale(low, high, HEIGHT - BOTTOM, TOP)
    drawn = [
        f'<polyline points="{points}" fill="none" stroke="{PALETTE[slot]}" stroke-width="1.75"/>'
        for _, slot, x, y in shown
        for points in _stretches(across(x), up(y), np.diff(x), pace)
    ]
    clock = [f"{to_datetime(int(time)):%H:%M:%S}" for time in (first, last)]
    axes = [
        *(_label(LEFT - 8, up(y) + 4, text(float(y)), "end") for y in {low, high}),
        _label(LEFT, HEIGHT - BOTTOM + 16, clock[0]),
        _label(WIDTH - RIGHT, HEIGHT - BOTTOM + 16, clock[1], "end"),
    ]
    return _image([*drawn, *axes, *_legend({key: slot for key, slot, _, _ in shown})], HEIGHT)


def bars(amounts: Mapping[str, float], slots: Mapping[str, int]) -> str:
    """A picture of amounts by name, as an HTML element; empty if there is nothing to draw.

    Args:
        amounts: the names with their amounts.
        slots: the places of the names' colours in the palette.
    """
    if not amounts:
        return ""
    left, step = 170, 22
    across = _scale(min(0, *amounts.values()), max(0, *amounts.values()), left, WIDTH - 90)
    drawn = []
    for i, (key, amount) in enumerate(amounts.items()):
        middle, (start, end) = i * step + step // 2, sorted((across(0.0), across(amount)))
        drawn += [
            _label(left - 8, middle + 4, short(key, LETTERS), "end"),
            f'<rect x="{start:.1f}" y="{middle - 8}" width="{end - start:.1f}" height="16"'
            f' fill="{PALETTE[slots[key]]}"/>',
            _label(end + 6, middle + 4, text(float(amount))),
        ]
    return _image(drawn, len(amounts) * step)


def _scale(low: float, high: float, start: float, end: float) -> Callable[[Any], Any]:
    """Return what takes amounts from one range to places in another."""
    unit = (end - start) / ((high - low) or 1.0)
    return lambda amount: start + (amount - low) * unit


def _stretches(x: Floats, y: Floats, steps: Floats, pace: float) -> Iterable[str]:
    """The points of each part of a line that has no hole, as SVG writes them."""
    usual = float(np.median(steps[steps > 0])) if (steps > 0).any() else np.inf
    holes = np.flatnonzero(steps > GAP * max(pace, usual)) + 1
    for part in np.split(np.arange(len(x)), holes):
        yield " ".join(f"{x[i]:.1f},{y[i]:.1f}" for i in part)


def _legend(slots: Mapping[str, int]) -> list[str]:
    drawn = []
    for i, (key, slot) in enumerate(slots.items()):
        left = LEFT + i * (WIDTH - LEFT) / len(slots)
        name = short(key, LETTERS if len(slots) < 4 else 6)
        drawn += [
            f'<circle cx="{left + 4:.1f}" cy="{HEIGHT - 12}" r="4" fill="{PALETTE[slot]}"/>',
            _label(left + 12, HEIGHT - 8, name),
        ]
    return drawn


def _label(x: float, y: float, said: str, anchor: str = "start") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f"<text {place}>{escape(said)}</text>"


def _image(parts: Sequence[str], height: int) -> str:
    # Not inline: what cleans pages of scripts takes SVGs out of them, but leaves images.
    font = f'font-family="system-ui, sans-serif" font-size="11" fill="{GREY}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" {font}>'
    data = b64encode(f"{head}{''.join(parts)}</svg>".encode()).decode()
    return f'<p><img alt="" src="data:image/svg+xml;base64,{data}"></p>'
