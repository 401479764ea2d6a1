"""Counts by key, in the order of the keys' hashes: adding and taking off is arithmetic on arrays.

Beside the keys ``k0, …`` and their counts ``s0, …``, the last of which is of rows, stands the hash.
That two keys with one hash are the same is never taken for granted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from livebatch.block import Tables
from livebatch.frames.kernel import kernel
from livebatch.frames.plan import Plan
from livebatch.frames.run import GONE, THIS
from livebatch.rdd.data import Data, together

HASH = "hash"


def hashed(plan: Plan) -> Plan:
    """Return a plan of counts whose states have the hashes of their keys beside them."""

    def beside(sql: str) -> str:
        return f"SELECT *, hash({plan.keys}) AS {HASH} FROM ({sql})"

    return replace(
        plan, partial=beside(plan.partial), merge=beside(plan.merge), slide=beside(plan.slide)
    )


def in_order(merge: Callable[..., pa.Table], *parts: Data) -> pa.Table:
    """The merged counts of some parts, in the order of their hashes."""
    return _sorted(merge(*parts))


def slid(sql: str, left: int, before: Data, *parts: Data) -> pa.Table:
    """The counts of a window that moves on: ``left`` parts leave, the others enter.

    Args:
        sql: the query that does so, too, and for which hashes may be the same.
    """
    state, *rest = _tables(before)
    entered, gone = _tables(*parts[left:]), _tables(*parts[:left])
    changed = None if rest else _changed(state, entered, gone)
    if changed is not None:
        return changed
    this = pa.concat_tables([state, *rest, *entered]).drop_columns(HASH)
    less = pa.concat_tables([state.slice(0, 0), *gone]).drop_columns(HASH)
    return _sorted(kernel().run(sql, {THIS: this, GONE: less}))


def leading(state: str, most: int, finish: Callable[..., pa.Table], *parts: Data) -> pa.Table:
    """What counts finish as, of which only the ``most`` with the highest ``state`` are wanted."""
    counts = pa.concat_tables(_tables(*parts))
    if len(counts) > most > 0:
        values = counts.column(state).to_numpy()
        least = np.partition(values, -most)[-most]
        counts = counts.filter(pa.array(values >= least))
    return finish(Tables([counts]))


def _tables(*parts: Data) -> tuple[pa.Table, ...]:
    rows = together(parts)
    assert isinstance(rows, Tables)
    return rows.tables


def _sorted(counts: pa.Table) -> pa.Table:
    return counts.take(pa.array(np.argsort(_hashes(counts)))).combine_chunks()


def _changed(
    state: pa.Table, entered: tuple[pa.Table, ...], gone: tuple[pa.Table, ...]
) -> pa.Table | None:
    """Return what becomes of counts, or None if two keys have one hash, or one is missed."""
    hashes, sums, keys = _hashes(state), [sum.copy() for sum in _sums(state)], _keys(state)
    if _repeats(hashes):
        return None
    for part in gone:  # whose keys are those that are there, since they have entered
        at = np.searchsorted(hashes, _hashes(part))
        if not np.array_equal(hashes[at[at < len(hashes)]], _hashes(part)):
            return None
        for sum, less in zip(sums, _sums(part), strict=True):
            sum[at] -= less
    rows = old = np.arange(len(state))  # where the key of each count is in ``keys``
    for part in entered:
        new = _hashes(part)
        if _repeats(new):
            return None
        at = np.searchsorted(hashes, new)
        known = at < len(hashes)
        known[known] = hashes[at[known]] == new[known]
        there, fresh, added = at[known], np.flatnonzero(~known), _keys(part)
        if not keys.take(pa.array(rows[there])).equals(added.filter(pa.array(known))):
            return None
        for i, more in enumerate(_sums(part)):
            sums[i][there] += more[known]
            sums[i] = np.insert(sums[i], at[fresh], more[fresh]) if len(fresh) else sums[i]
        if len(fresh):
            at = at[fresh]
            hashes = np.insert(hashes, at, new[fresh])
            rows = np.insert(rows, at, len(keys) + fresh)
            keys = pa.concat_tables([keys, added]).combine_chunks()
    left = sums[-1] > 0
    if rows is not old or not left.all():
        keys, hashes = keys.take(pa.array(rows[left])), hashes[left]
        sums = [sum[left] for sum in sums]
    return pa.table([*keys.columns, *sums, hashes], schema=state.schema)


def _repeats(hashes: Any) -> bool:
    return bool((hashes[1:] == hashes[:-1]).any())


def _hashes(counts: pa.Table) -> Any:
    return counts.column(HASH).to_numpy()


def _keys(counts: pa.Table) -> pa.Table:
    names = [name for name in counts.column_names if name.startswith("k")]
    return counts.select(names).combine_chunks()


def _sums(counts: pa.Table) -> list[Any]:
    names = [name for name in counts.column_names if name.startswith("s")]
    return [counts.column(name).to_numpy() for name in names]
