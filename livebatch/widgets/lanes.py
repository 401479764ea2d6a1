"""The rows of a heat map: what its cells are, in slices of time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from livebatch.widgets.bins import Binning, Edges
from livebatch.widgets.columns import Floats, codes
from livebatch.widgets.recent import Recent

Cells = npt.NDArray[np.float64]
KEYS = 15
# What a slice remembers, and by how much a key must exceed one that is shown to take its lane.
REMEMBERED = 100
CLEARLY = 1.25


class Lanes(ABC):
    """Cells by slice of time and lane; the newest slice may still grow.

    Args:
        window: what is kept, in milliseconds; may be changed.
        parts: how many slices there are at most.

    Attributes:
        end: the time of the newest batch, in milliseconds.
    """

    def __init__(self, window: float, parts: int) -> None:
        self.window, self.parts = window, parts
        self.end: float | None = None
        self._unsent: set[float] = set()

    @abstractmethod
    def add(self, time: float, values: Floats, keys: pa.ChunkedArray | None) -> None:
        """Take a batch in."""

    @abstractmethod
    def layout(self) -> dict[str, Any]:
        """What the lanes are; a new layout makes all cells new."""

    @abstractmethod
    def names(self) -> dict[str, list[Any]]:
        """The lanes as columns of a table."""

    @abstractmethod
    def _slices(self) -> Iterable[tuple[float, float, Cells]]:
        """Start, end and cells of each slice."""

    def columns(self, *, everything: bool) -> tuple[Cells, Cells]:
        """The slices that a browser lacks, or all: (start, end) of each, and its cells."""
        wanted = [slice for slice in self._slices() if everything or slice[0] in self._unsent]
        self._unsent = set()
        return _stacked(wanted, len(next(iter(self.names().values()))))

    def peek(self) -> tuple[Cells, Cells]:
        """All slices, and nothing taken for sent."""
        return _stacked(list(self._slices()), len(next(iter(self.names().values()))))


class Buckets(Lanes):
    """A lane is a bin of values; a cell says how many a batch has in it."""

    def __init__(self, window: float, parts: int) -> None:
        super().__init__(window, parts)
        self._recent = Recent(window, slices=parts)
        self._binning = Binning()
        self._edges = Edges(0, 1.0, 1)

    def add(self, time: float, values: Floats, keys: pa.ChunkedArray | None) -> None:
        self._recent.window = self.window
        self._unsent.add(self._recent.add(time, values).start)
        self.end = self._recent.slices[-1].end
        if len(everything := self._recent.values):
            self._edges = self._binning.fit(everything)

    def layout(self) -> dict[str, Any]:
        return {"start": self._edges.start, "step": self._edges.step, "count": self._edges.count}

    def names(self) -> dict[str, list[Any]]:
        edges = (self._edges.start + np.arange(self._edges.count + 1)) * self._edges.step
        return {"from": edges[:-1].tolist(), "below": edges[1:].tolist()}

    def _slices(self) -> Iterable[tuple[float, float, Cells]]:
        for slice in self._recent.slices:
            below, *inner, above = self._edges.tally(slice.values, slice.weights)
            cells = np.array(inner)
            cells[0] += below
            cells[-1] += above
            yield slice.start, slice.end, cells / slice.batches


@dataclass(slots=True)
class Sums:
    """The amounts of the largest keys in a slice of time."""

    start: float
    end: float
    batches: int
    amounts: dict[str, float]


class Keys(Lanes):
    """A lane is a key; a cell says how large its amount is in a batch.

    The first lane is the lowest. A key keeps its lane until another is clearly larger.
    """

    def __init__(self, window: float, parts: int) -> None:
        super().__init__(window, parts)
        self._past: deque[Sums] = deque()
        self._keys: list[str] = []

    def add(self, time: float, values: Floats, keys: pa.ChunkedArray | None) -> None:
        assert keys is not None
        amounts = _sums(values, keys)
        newest = self._past[-1] if self._past else None
        if newest and time - newest.start < self.window / self.parts:
            newest.end, newest.batches = max(newest.end, time), newest.batches + 1
            for key, amount in amounts.items():
                newest.amounts[key] = newest.amounts.get(key, 0.0) + amount
        else:
            self._past.append(newest := Sums(time, time, 1, amounts))
        self._unsent.add(newest.start)
        self.end = newest.end
        while self._past[0].end <= self.end - self.window and len(self._past) > 1:
            self._past.popleft()
        self._elect()

    def layout(self) -> dict[str, Any]:
        return {"keys": list(self._keys)}

    def names(self) -> dict[str, list[Any]]:
        return {"key": list(self._keys)}

    def _slices(self) -> Iterable[tuple[float, float, Cells]]:
        for past in self._past:
            cells = np.array([past.amounts.get(key, 0.0) for key in self._keys])
            yield past.start, past.end, cells / past.batches

    def _elect(self) -> None:
        totals: dict[str, float] = {}
        for past in self._past:
            for key, amount in past.amounts.items():
                totals[key] = totals.get(key, 0.0) + abs(amount)
        kept = [key for key in self._keys if key in totals]
        waiting = sorted(totals.keys() - set(kept), key=lambda key: (-totals[key], key))
        while waiting and len(kept) < KEYS:
            kept.insert(0, waiting.pop(0))
        while waiting:
            weakest = min(kept, key=totals.__getitem__)
            if totals[waiting[0]] <= CLEARLY * totals[weakest]:
                break
            kept[kept.index(weakest)] = waiting.pop(0)
        self._keys = kept


def _sums(values: Floats, keys: pa.ChunkedArray) -> dict[str, float]:
    code, labels = codes(keys)
    usable = np.isfinite(values)
    sums = np.bincount(code[usable], weights=values[usable], minlength=len(labels))
    largest = np.argsort(-np.abs(sums), kind="stable")[:REMEMBERED]
    return {labels[i]: float(sums[i]) for i in largest}


def _stacked(slices: list[tuple[float, float, Cells]], lanes: int) -> tuple[Cells, Cells]:
    spans = np.array([[start, end] for start, end, _ in slices]).reshape(len(slices), 2)
    cells = np.array([cells for _, _, cells in slices]).reshape(len(slices), lanes)
    return spans, cells
