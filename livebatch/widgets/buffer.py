"""The recent past of a few lines: what a browser must be told so that it draws the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from livebatch.widgets.columns import Floats

REVIEW_MS = 1000.0
# A newcomer must be clearly larger than what it pushes out, or two equals would take turns.
CLEARLY = 1.25


@dataclass(slots=True)
class Line:
    """Points in order of time, and how much of them the browser lacks."""

    x: Floats = field(default_factory=lambda: np.empty(0))
    y: Floats = field(default_factory=lambda: np.empty(0))
    slot: int | None = None
    fresh: int = 0
    whole: bool = True

    def append(self, x: Floats, y: Floats) -> None:
        late = bool(len(self.x) and len(x) and x[0] < self.x[-1])
        self.x, self.y = np.concatenate([self.x, x]), np.concatenate([self.y, y])
        self.fresh += len(x)
        if late:
            order = np.argsort(self.x, kind="stable")
            self.x, self.y, self.whole = self.x[order], self.y[order], True

    def forget_before(self, left: float) -> None:
        # One point past the edge stays, so that the line enters the picture from its border.
        first = max(int(self.x.searchsorted(left)) - 1, 0)
        self.x, self.y = self.x[first:], self.y[first:]

    def unsent(self) -> int:
        return len(self.x) if self.whole else min(self.fresh, len(self.x))

    @property
    def weight(self) -> float:
        return float(np.abs(self.y).sum())


@dataclass(frozen=True, slots=True)
class Part:
    """What one frame says of one line: points to append, or all of them (``whole``)."""

    key: str
    slot: int
    whole: bool
    x: Floats
    y: Floats


@dataclass(frozen=True, slots=True)
class Frame:
    """What a browser must apply: ``drop`` these lines, then take these ``parts``."""

    end: float
    drop: list[str]
    parts: list[Part]


class Buffer:
    """The points of the largest lines within a window of time.

    Args:
        window: what is kept, in milliseconds before the newest point; may be changed.
        lines: how many lines are shown at once.
        limit: points kept over all lines; past it the picture becomes coarser, not shorter.

    Example:
        >>> buffer = Buffer(window=1000.0)
        >>> buffer.add({"a": (np.array([0.0, 500.0]), np.array([1.0, 2.0]))}, end=500.0)
        >>> [(part.key, part.y.tolist()) for part in buffer.keyframe().parts]
        [('a', [1.0, 2.0])]
        >>> buffer.add({"a": (np.array([1600.0]), np.array([3.0]))}, end=1600.0)
        >>> [(part.key, part.y.tolist()) for part in buffer.delta().parts]
        [('a', [3.0])]
        >>> [part.y.tolist() for part in buffer.keyframe().parts]
        [[2.0, 3.0]]
    """

    def __init__(self, window: float, *, lines: int = 10, limit: int = 20_000) -> None:
        self.window, self._limit, self._slots = window, limit, lines
        self._lines: dict[str, Line] = {}
        self._dropped: set[str] = set()
        self._end = -np.inf
        self._reviewed = -np.inf

    @property
    def tracked(self) -> set[str]:
        """Keys of the lines held, shown or not."""
        return set(self._lines)

    def add(self, lines: Mapping[str, tuple[Floats, Floats]], end: float) -> None:
        """Take new points in.

        Args:
            lines: for each key its new x (milliseconds, ascending) and y.
            end: the time up to which the stream is known, in milliseconds.
        """
        for key, (x, y) in lines.items():
            if len(x):
                self._lines.setdefault(key, Line()).append(x, y)
        self._end = max(self._end, end)
        self._forget()
        self._thin()
        self._elect()

    def delta(self) -> Frame:
        """What changed since the last frame."""
        return self._frame([(k, v) for k, v in self._shown() if v.unsent()])

    def keyframe(self) -> Frame:
        """Everything that is shown."""
        for line in self._lines.values():
            line.whole = True
        return self._frame(self._shown())

    def points(self) -> list[Part]:
        """All of the lines that are shown, and nothing taken for sent."""
        return [Part(key, line.slot or 0, True, line.x, line.y) for key, line in self._shown()]

    def _frame(self, lines: list[tuple[str, Line]]) -> Frame:
        parts = []
        for key, line in lines:
            first = len(line.x) - line.unsent()
            assert line.slot is not None
            parts.append(Part(key, line.slot, line.whole, line.x[first:], line.y[first:]))
            line.fresh, line.whole = 0, False
        drop, self._dropped = sorted(self._dropped), set()
        return Frame(float(self._end), drop, parts)

    def _shown(self) -> list[tuple[str, Line]]:
        return [(key, line) for key, line in self._lines.items() if line.slot is not None]

    def _forget(self) -> None:
        left = self._end - self.window
        for key, line in list(self._lines.items()):
            line.forget_before(left)
            if not len(line.x) or line.x[-1] < left:
                self._hide(key)
                del self._lines[key]

    def _thin(self) -> None:
        if sum(len(line.x) for line in self._lines.values()) <= self._limit:
            return
        for line in self._lines.values():
            line.x, line.y = thin(line.x, line.y, max(len(line.x) // 2, 3))
            line.whole = True

    def _elect(self) -> None:
        """Give the palette's places to the largest lines; who has one keeps it if it can."""
        waiting = sorted(
            (key for key, line in self._lines.items() if line.slot is None),
            key=lambda key: (-self._lines[key].weight, key),
        )
        taken = {line.slot for _, line in self._shown()}
        for slot in [s for s in range(self._slots) if s not in taken][: len(waiting)]:
            self._lines[waiting.pop(0)].slot = slot
        if waiting and self._end - self._reviewed >= REVIEW_MS:
            self._reviewed = self._end
            self._challenge(waiting)
        for key in waiting[2 * self._slots :]:
            del self._lines[key]

    def _challenge(self, waiting: list[str]) -> None:
        shown = sorted(self._shown(), key=lambda item: item[1].weight)
        for (holder, line), key in zip(shown, list(waiting), strict=False):
            if self._lines[key].weight <= CLEARLY * line.weight:
                return
            self._lines[key].slot = line.slot
            self._hide(holder)
            waiting.remove(key)

    def _hide(self, key: str) -> None:
        line = self._lines[key]
        if line.slot is not None:
            self._dropped.add(key)
        line.slot, line.whole = None, True


def thin(x: Floats, y: Floats, limit: int) -> tuple[Floats, Floats]:
    """At most ``limit`` points (but three) with the same outline and the same end.

    Of each of so many equal stretches of time, at the usual limits narrower than a pixel, the
    lowest and the highest point stay; of the last one also the newest.

    Example:
        >>> thin(np.arange(6.0), np.array([0.0, 9.0, 1.0, 2.0, -5.0, 3.0]), 5)[1].tolist()
        [0.0, 9.0, -5.0, 3.0]
    """
    if len(x) <= limit:
        return x, y
    place = stretches(x, max((limit - 1) // 2, 1))
    first = np.flatnonzero(np.diff(place, prepend=-1))
    last = np.append(first[1:], len(x)) - 1
    by_size = np.lexsort((y, place))
    keep = np.unique(np.concatenate([by_size[first], by_size[last], [len(x) - 1]]))
    return x[keep], y[keep]


def stretches(x: Floats, count: int) -> npt.NDArray[np.int64]:
    """In which of ``count`` equal stretches each point lies; x ascends.

    They are cut by time, not by points: what is thinned again and again would otherwise become
    ever coarser the older it is.
    """
    width = (x[-1] - x[0]) / count
    place = (x - x[0]) / width if width > 0 else np.zeros(len(x))
    return np.minimum(place.astype(np.int64), count - 1)
