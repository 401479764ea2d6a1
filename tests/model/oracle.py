"""What every operator means, written as naively as possible and without a line of livebatch.

A `History` has the methods of a stream, so that one expression can be given to both. It keeps
nothing from batch to batch: whatever depends on the past is computed again from all of it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

Rows = list[Any]


class History:
    """A stream that has happened already.

    Args:
        slide: how many seconds lie between its batches.
        batches: the rows of each, by the second at which it was due.
    """

    def __init__(self, slide: int, batches: dict[int, Rows]) -> None:
        self.slide, self.batches = slide, batches

    def _each(self, function: Callable[[Rows], Iterable[Any]]) -> History:
        return History(self.slide, {at: list(function(b)) for at, b in self.batches.items()})

    # -- record by record --------------------------------------------------------------------

    def map(self, f: Any, preserves_partitioning: bool = False) -> History:
        return self._each(lambda rows: [f(row) for row in rows])

    def filter(self, f: Any) -> History:
        return self._each(lambda rows: [row for row in rows if f(row)])

    def flat_map(self, f: Any, preserves_partitioning: bool = False) -> History:
        return self._each(lambda rows: [item for row in rows for item in f(row)])

    def map_partitions(self, f: Any, preserves_partitioning: bool = False) -> History:
        """Right only for functions to which it is all one how the rows are divided."""
        return self._each(f)

    def map_partitions_with_index(self, f: Any, preserves_partitioning: bool = False) -> History:
        """Right only for functions to which it is all one how the rows are divided."""
        return self._each(lambda rows: f(0, rows))

    def map_values(self, f: Any) -> History:
        return self._each(lambda rows: [(key, f(value)) for key, value in rows])

    def flat_map_values(self, f: Any) -> History:
        return self._each(lambda rows: [(key, item) for key, value in rows for item in f(value)])

    # -- where rows lie is nothing to an oracle ----------------------------------------------

    def repartition(self, num_partitions: int) -> History:
        return self

    def partition_by(self, num_partitions: Any = None, partition_func: Any = None) -> History:
        return self

    def persist(self, storage_level: Any) -> History:
        return self

    def cache(self) -> History:
        return self

    def checkpoint(self, interval: Any) -> History:
        return self

    # -- several streams ---------------------------------------------------------------------

    def union(self, *others: History) -> History:
        together = {at: list(rows) for at, rows in self.batches.items()}
        for other in others:
            for at, rows in other.batches.items():
                together[at] = together[at] + rows
        return History(self.slide, together)

    def transform(self, func: Any) -> History:
        made = {at: func(self._at(at)).batches[at] for at in self.batches}
        return History(self.slide, made)

    def transform_with(self, func: Any, other: History) -> History:
        made = {at: func(self._at(at), other._at(at)).batches[at] for at in self.batches}
        return History(self.slide, made)

    def _at(self, at: int) -> History:
        return History(self.slide, {at: self.batches[at]})

    def cogroup(self, other: History, num_partitions: Any = None) -> History:
        def groups(at: int) -> Rows:
            here, there = self.batches[at], other.batches[at]
            keys = unique([*keys_of(here), *keys_of(there)])
            return [(key, (values_of(key, here), values_of(key, there))) for key in keys]

        return History(self.slide, {at: groups(at) for at in self.batches})

    def _joined(self, other: History, fill_here: bool, fill_there: bool) -> History:
        """Pair values of the same key; a side that has none gives None, if it is to be filled."""

        def pairs(sides: tuple[Rows, Rows]) -> Rows:
            here = sides[0] or ([None] if fill_here else [])
            there = sides[1] or ([None] if fill_there else [])
            return [(one, two) for one in here for two in there]

        return self.cogroup(other).flat_map_values(pairs)

    def join(self, other: History, num_partitions: Any = None) -> History:
        return self._joined(other, False, False)

    def left_outer_join(self, other: History, num_partitions: Any = None) -> History:
        return self._joined(other, False, True)

    def right_outer_join(self, other: History, num_partitions: Any = None) -> History:
        return self._joined(other, True, False)

    def full_outer_join(self, other: History, num_partitions: Any = None) -> History:
        return self._joined(other, True, True)

    # -- within a batch ----------------------------------------------------------------------

    def reduce(self, func: Any) -> History:
        return self._each(lambda rows: [functools.reduce(func, rows)] if rows else [])

    def count(self) -> History:
        return self._each(lambda rows: [len(rows)])

    def count_by_value(self, num_partitions: Any = None) -> History:
        return self._each(lambda rows: [(row, rows.count(row)) for row in unique(rows)])

    def count_approx_distinct(self, relative_sd: float = 0.05) -> History:
        """Exactly, as livebatch has it where there are few."""
        return self._each(lambda rows: [len(unique(rows))])

    def top_k(self, k: int, relative_error: float = 0.001) -> History:
        """Exactly, as livebatch has it where there are few."""
        return self.count_by_value().top(k, key=lambda pair: pair[1])

    def top(self, num: int, key: Any = None) -> History:
        return self._each(lambda rows: sorted(rows, key=key, reverse=True)[:num])

    def group_by_key(self, num_partitions: Any = None) -> History:
        return self._each(lambda rows: [(key, values_of(key, rows)) for key in keys_of(rows)])

    def reduce_by_key(self, func: Any, num_partitions: Any = None) -> History:
        groups = self.group_by_key()
        return groups.map_values(lambda values: functools.reduce(func, values))

    def combine_by_key(
        self, create: Any, merge_value: Any, merge_combiners: Any, num_partitions: Any = None
    ) -> History:
        def fold(values: Rows) -> Any:
            return functools.reduce(merge_value, values[1:], create(values[0]))

        return self.group_by_key().map_values(fold)

    # -- back over the past ------------------------------------------------------------------

    def window(self, window: int, slide: int | None = None) -> History:
        every = slide or self.slide
        last = max(self.batches, default=0)
        return History(
            every, {at: self._between(at - window, at) for at in range(every, last + 1, every)}
        )

    def _between(self, after: int, until: int) -> Rows:
        return [row for at in sorted(self.batches) if after < at <= until
                for row in self.batches[at]]  # fmt: skip

    def count_by_window(self, window: int, slide: int | None = None) -> History:
        return self.window(window, slide).count()

    def count_approx_distinct_by_window(
        self, window: int, slide: int | None = None, relative_sd: float = 0.05
    ) -> History:
        return self.window(window, slide).count_approx_distinct(relative_sd)

    def top_k_by_window(
        self, k: int, window: int, slide: int | None = None, relative_error: float = 0.001
    ) -> History:
        return self.window(window, slide).top_k(k, relative_error)

    def reduce_by_window(
        self, func: Any, inverse: Any, window: int, slide: int | None = None
    ) -> History:
        return self.window(window, slide).reduce(func)

    def count_by_value_and_window(
        self, window: int, slide: int | None = None, num_partitions: Any = None
    ) -> History:
        return self.window(window, slide).count_by_value()

    def group_by_key_and_window(
        self, window: int, slide: int | None = None, num_partitions: Any = None
    ) -> History:
        return self.window(window, slide).group_by_key()

    def reduce_by_key_and_window(
        self,
        func: Any,
        inverse: Any,
        window: int,
        slide: int | None = None,
        num_partitions: Any = None,
        filter_func: Any = None,
    ) -> History:
        """With an inverse, keys that have left the window stay with what that leaves of them."""
        windows = self.window(window, slide)
        reduced = windows.reduce_by_key(func)
        if inverse is not None:
            for at, rows in reduced.batches.items():
                before = [row for t in windows.batches if t < at for row in windows.batches[t]]
                present = keys_of(rows)
                for key in keys_of(before):
                    if key not in present:
                        value = values_of(key, before)[0]
                        rows.append((key, inverse(value, value)))
        return reduced if filter_func is None else reduced.filter(filter_func)

    def update_state_by_key(
        self, update: Any, num_partitions: Any = None, initial: Iterable[Any] | None = None
    ) -> History:
        given = dict(initial or ())
        return History(
            self.slide, {at: list(self._state(update, given, at).items()) for at in self.batches}
        )

    def map_with_state(
        self, f: Any, *, timeout: Any = None, initial: Any = None, num_partitions: Any = None
    ) -> History:
        """The batches have `state_snapshots`, too."""
        made = {at: self._mapped(f, timeout, initial or (), at) for at in self.batches}
        mapped = History(self.slide, {at: emitted for at, (emitted, _) in made.items()})
        mapped.snapshots = History(self.slide, {at: states for at, (_, states) in made.items()})
        return mapped

    def state_snapshots(self) -> History:
        return self.snapshots

    def _mapped(self, f: Any, timeout: Any, initial: Any, until: int) -> tuple[Rows, Rows]:
        """What a batch emits, and (key, state) after it."""
        cells = [Cell(key, value, 0) for key, value in initial]
        emitted: Rows = []
        for at in sorted(at for at in self.batches if at <= until):
            emitted = []
            for key, value in self.batches[at]:
                cell = next((cell for cell in cells if cell.key == key), None)
                if cell is None:
                    cells.append(cell := Cell(key, None, at))
                cell.touched = at
                emitted.append(f(key, value, cell))
                cells = [cell for cell in cells if cell.exists()]
            for cell in list(cells):
                if timeout is not None and at - cell.touched > timeout:
                    cell.last_call = True
                    emitted.append(f(cell.key, None, cell))
                    cells.remove(cell)
        return [row for row in emitted if row is not None], [(c.key, c.value) for c in cells]

    def session_window(
        self, gap: int, zero: Any = None, seq_func: Any = None, num_partitions: Any = None
    ) -> History:
        closed: dict[int, Rows] = {at: [] for at in self.batches}
        every = [(at, *row) for at in sorted(self.batches) for row in self.batches[at]]
        for key in unique(key for _, key, _ in every):
            open_: list[tuple[int, Any]] = []
            for at in sorted(self.batches):
                if open_ and at - open_[-1][0] >= gap:
                    values = [value for _, value in open_]
                    if seq_func is not None:
                        values = functools.reduce(seq_func, values, zero)
                    closed[at].append((key, values, open_[0][0], open_[-1][0] + gap))
                    open_ = []
                open_ += [(then, value) for then, k, value in every if k == key and then == at]
        return History(self.slide, closed)

    def _state(self, update: Any, given: dict[Any, Any], until: int) -> dict[Any, Any]:
        state = given
        for at in sorted(self.batches):
            if at <= until:
                rows = self.batches[at]
                keys = unique([*state, *keys_of(rows)])
                updated = {key: update(values_of(key, rows), state.get(key)) for key in keys}
                state = {key: value for key, value in updated.items() if value is not None}
        return state


class Cell:
    """What is known of one key."""

    def __init__(self, key: Any, value: Any, touched: int) -> None:
        self.key, self.value, self.touched, self.last_call = key, value, touched, False

    def exists(self) -> bool:
        return self.value is not None

    def get(self, default: Any) -> Any:
        return default if self.value is None else self.value

    def update(self, value: Any) -> None:
        self.value = value

    def remove(self) -> None:
        self.value = None

    def is_timing_out(self) -> bool:
        return self.last_call


def unique(rows: Iterable[Any]) -> Rows:
    """The different rows; equal ones of different types, such as 1 and True, are one."""
    found: Rows = []
    for row in rows:
        if row not in found:
            found.append(row)
    return found


def keys_of(rows: Rows) -> Rows:
    return unique(key for key, _ in rows)


def values_of(key: Any, rows: Rows) -> Rows:
    return [value for other, value in rows if other == key]
