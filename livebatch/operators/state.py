"""State that is kept from batch to batch, by key."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import msgspec

from livebatch.arguments import check_count
from livebatch.closures import Function, builtin, ship, ship_pickle
from livebatch.interval import Millis
from livebatch.rdd import RDD, Lineage, from_lineage, to_lineage
from livebatch.rdd import functions as run
from livebatch.rdd.operation import Read, Zipped
from livebatch.stream import (
    DStream,
    operator,
)

Stream = DStream[Any]
Initial: TypeAlias = Function | Lineage
"""What gives the state from before the first batch: a function, or an RDD."""


class Updated(DStream[Any]):
    """(key, state) for every known key, brought up to date by each batch's values."""

    cuts_lineage = True
    holds_state = True

    def __init__(
        self,
        parents: Sequence[Stream],
        slide: Millis,
        update: Function,
        num_partitions: int | None,
        initial: Initial | None,
    ) -> None:
        super().__init__(parents, slide, update, num_partitions, initial)
        self.update, self.num_partitions, self.initial = update, num_partitions, initial

    def compute(self, time: Millis) -> RDD[Any] | None:
        batch = self.parents[0].rdd_at(time)
        if batch is None:
            return None
        values = batch.partition_by(self.num_partitions)
        earlier = self.newest_before(time)
        if earlier is None:
            if self.initial is None:
                return RDD(Zipped(builtin(first_state, self.update)), [values])
            given = as_rdd(self.initial, values).partition_by(self.num_partitions)
            return RDD(Zipped(builtin(update_initial, self.update)), [given, values])
        before = self.generated[earlier]
        return RDD(Zipped(builtin(update_state, self.update)), [before, values])


def first_state(update: Callable[[list[Any], Any], Any], values: run.Pairs) -> run.Rows:
    """Yield the states after the first batch, when there were none before."""
    return update_state(update, (), values)


def update_initial(
    update: Callable[[list[Any], Any], Any], states: run.Pairs, values: run.Pairs
) -> run.Rows:
    """Yield the states after the first batch; of a key that is given twice, the last counts."""
    return update_state(update, dict(states).items(), values)


def update_state(
    update: Callable[[list[Any], Any], Any], states: run.Pairs, values: run.Pairs
) -> run.Rows:
    """Yield (key, ``update(new values, state)``) for every key of either; None drops the key."""
    arrived: dict[Any, list[Any]] = {}
    for key, value in values:
        arrived.setdefault(key, []).append(value)
    for key, state in states:
        updated = update(arrived.pop(key, []), state)
        if updated is not None:
            yield key, updated
    for key, new in arrived.items():
        updated = update(new, None)
        if updated is not None:
            yield key, updated


def given_rows(pickled: bytes) -> Any:
    """Rows that were sent along; new ones each time, since functions may change them."""
    return pickle.loads(pickled)


def ship_initial(initial: RDD[Any] | Iterable[Any] | None) -> Initial | None:
    """Return the state from before the first batch in the form in which it travels."""
    if initial is None:
        return None
    if isinstance(initial, RDD):
        return to_lineage(initial)
    return builtin(given_rows, ship_pickle(list(initial), "the initial state"))


def as_rdd(initial: Initial, values: RDD[Any]) -> RDD[Any]:
    """Return the state from before the first batch, as it has travelled."""
    if isinstance(initial, tuple):
        return from_lineage(msgspec.convert(initial, Lineage), values.runner)
    return RDD(Read((initial,)), runner=values.runner)


@operator
def update_state_by_key(
    self: Stream,
    update_func: Callable[[list[Any], Any], Any],
    num_partitions: int | None = None,
    initial_rdd: RDD[Any] | Iterable[tuple[Any, Any]] | None = None,
) -> Stream:
    """Return a stream of (key, state) for every key ever seen, updated by each batch.

    Args:
        update_func: takes the key's new values in this batch (a list, empty where there are
            none) and its state (None for a new key), gives the new state; None drops the key.
            It is called for every known key in every batch.
        num_partitions: how many partitions the state has.
        initial_rdd: an RDD or list of (key, state) from before the first batch.

    Example:
        ``pairs.update_state_by_key(lambda new, total: sum(new) + (total or 0))``
    """
    update, given = ship(update_func), ship_initial(initial_rdd)
    return Updated([self], self.slide, update, check_count(num_partitions), given)
