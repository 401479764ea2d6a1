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
    changed = None if rest else _changed(state.combine_chunks(), entered, gone)
    if changed is not None:
        return changed
    this = pa.concat_tables([state, *rest, *entered]).drop_columns(HASH)
    less = pa.concat_tables([state.slice(0, 0), *gone]).drop_columns(HASH)
    return _sorted(kernel().run(sql, {THIS: this, GONE: less}))


def _tables(*parts: Data) -> tuple[pa.Table, ...]:
    rows = together(parts)
    assert isinstance(rows, Tables)
    return rows.tables


def _sorted(counts: pa.Table) -> pa.Table:
    return counts.take(pa.array(np.argsort(_hashes(counts)))).combine_chunks()


def _changed(
    state: pa.Table, entered: tuple[pa.Table, ...], gone: tuple[pa.Table, ...]
) -> pa.Table | None:
    """Return what becomes of counts, or None if two keys have one hash."""
    for counts, sign in [*((part, 1) for part in entered), *((part, -1) for part in gone)]:
        changed = _added(state, counts.combine_chunks(), sign)
        if changed is None:
            return None
        state = changed
    left = state.column(-2).to_numpy() > 0
    return state if left.all() else state.filter(pa.array(left))


def _added(state: pa.Table, counts: pa.Table, sign: int) -> pa.Table | None:
    hashes, new = _hashes(state), _hashes(counts)
    at = np.searchsorted(hashes, new)
    found = at < len(hashes)
    found[found] = hashes[at[found]] == new[found]
    fresh = counts.filter(pa.array(~found))
    known = counts.filter(pa.array(found)) if len(fresh) else counts
    keys = [name for name in state.column_names if name.startswith("k")]
    if not state.select(keys).take(pa.array(at[found])).equals(known.select(keys)):
        return None
    for i, name in enumerate(state.column_names):
        if name.startswith("s"):
            sums = state.column(i).to_numpy().copy()
            sums[at[found]] += sign * known.column(i).to_numpy()
            state = state.set_column(i, name, pa.array(sums))
    if not len(fresh):
        return state
    rows = np.arange(len(state) + len(fresh))
    order = np.insert(rows[: len(state)], at[~found], rows[len(state) :])
    return pa.concat_tables([state, fresh]).take(pa.array(order)).combine_chunks()


def _hashes(counts: pa.Table) -> Any:
    return counts.column(HASH).to_numpy()
