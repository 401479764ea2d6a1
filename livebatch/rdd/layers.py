"""Layers: the immutable blocks of which a keyed state is made.

Each batch writes a layer of the keys that it touched; the state is all layers together, where a
newer one has precedence. A layer is an Arrow table, sorted by the stable hash of the keys and
mapped without a copy, so that looking up a few keys decodes no others; what the batch emitted
lies behind it in the same block. Layers are merged without unpickling anything but keys whose
hashes are equal.
"""

from __future__ import annotations

import pickle
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from livebatch.block import BlockRef, BlockStore, Encoded, decode, encode_rows
from livebatch.interval import Millis
from livebatch.rdd.partitioner import stable_hash
from livebatch.scratch import dumps

Hashes: TypeAlias = npt.NDArray[np.uint64]
Positions: TypeAlias = npt.NDArray[np.int64]

_BITS = 0xFFFFFFFFFFFFFFFF
_EMITTED = b"livebatch.emitted"


class Held(NamedTuple):
    """What a state has of a key: its pickled value, None if it was removed; when it was last
    touched."""

    value: bytes | None
    touched: Millis


class Layer:
    """A layer that is stored.

    Attributes:
        keys: how many keys the state has of which it is the newest layer.
        table: of each key its hash, the key and its value (null: removed), both pickled but for
            keys that all are ints, when it was touched; and all positions in the order of that.
    """

    def __init__(self, ref: BlockRef, store: BlockStore) -> None:
        data = store.get(ref)
        self.keys = ref.keys
        self.table = pa.ipc.open_stream(pa.py_buffer(data[: ref.index[1]])).read_all()
        self._emitted = data[ref.index[1] :]

    def column(self, name: str) -> pa.Array:
        """Return a column, as it is mapped."""
        chunks = self.table.column(name).chunks
        return chunks[0] if chunks else pa.array([], self.table.schema.field(name).type)

    def emitted(self) -> Iterator[Any]:
        """Yield the rows that its batch emitted."""
        format = self.table.schema.metadata[_EMITTED].decode()
        return chain.from_iterable(decode(self._emitted, format))

    def find(self, keys: Sequence[Any], hashes: Hashes) -> tuple[list[int], Iterator[Held]]:
        """Return the positions of those keys that it knows, and what it has of them."""
        mine = self._numbers("hash")
        rows = np.searchsorted(mine, hashes)
        rows[rows == len(mine)] = 0
        near = np.flatnonzero(mine[rows] == hashes) if len(mine) else rows[:0]
        positions, places = self._matching(keys, near, rows[near], mine)
        values = self.column("value").take(pa.array(places, pa.int64())).to_pylist()
        touched = self._numbers("touched")[places].tolist()
        return positions, map(Held._make, zip(values, touched, strict=True))

    def _matching(
        self, keys: Sequence[Any], near: Positions, rows: Positions, hashes: Hashes
    ) -> tuple[list[int], list[int]]:
        """Return the positions of keys and the rows they are in, given the first row of the hash
        of each."""
        own = self.column("key")
        first = _keys(own.take(pa.array(rows)))
        if first == [keys[position] for position in near.tolist()]:  # no two have one hash
            return near.tolist(), rows.tolist()
        positions, places = [], []
        for position, row, there in zip(near.tolist(), rows.tolist(), first, strict=True):
            key = keys[position]
            while there is not key and there != key:
                row += 1
                if row == len(hashes) or hashes[row] != hashes[row - 1]:
                    break
                (there,) = _keys(own[row : row + 1])
            else:
                positions.append(position)
                places.append(row)
        return positions, places

    def touched_in(self, begin: Millis, end: Millis) -> list[Any]:
        """Return the keys that it has as touched in ``[begin, end)``."""
        by_age = self._numbers("by_age")
        bounds = np.searchsorted(self._numbers("touched"), [begin, end], sorter=by_age)
        rows = pa.array(by_age[slice(*bounds)])
        return _keys(self.column("key").take(rows))

    def _numbers(self, name: str) -> npt.NDArray[Any]:
        numbers: npt.NDArray[Any] = self.column(name).to_numpy()
        return numbers


def look_up(keys: Iterable[Any], layers: Sequence[Layer]) -> dict[Any, Held]:
    """Return what a state has of some keys.

    Args:
        keys: which.
        layers: of the state, the newest first.
    """
    wanted, found = list(keys), dict[Any, Held]()
    hashes = _hashes(wanted)
    for layer in layers:
        positions, held = layer.find(wanted, hashes)
        found.update(zip([wanted[position] for position in positions], held, strict=True))
        if positions:
            missing = np.ones(len(wanted), bool)
            missing[positions] = False
            wanted = [wanted[i] for i in np.flatnonzero(missing).tolist()]
            hashes = hashes[missing]
        if not wanted:
            break
    return found


def touched_last_in(begin: Millis, end: Millis, layers: Sequence[Layer]) -> dict[Any, Held]:
    """Return the keys of a state that were last touched in ``[begin, end)``, with what it has of
    them."""
    keys = dict.fromkeys(key for layer in layers for key in layer.touched_in(begin, end))
    found = look_up(keys, layers).items()
    return {key: held for key, held in found
            if held.value is not None and begin <= held.touched < end}  # fmt: skip


def write_layer(held: dict[Any, Held], emitted: Iterable[Any], keys: int) -> Encoded:
    """Return a layer as a block.

    Args:
        held: what there is to be known of the keys that were touched.
        emitted: rows.
        keys: how many keys the state has with it.
    """
    hashes = _hashes(held)
    order = np.argsort(hashes, kind="stable")
    table = pa.table({
        "hash": hashes,
        "key": _written(held),
        "value": pa.array([value for value, _ in held.values()], pa.large_binary()),
        "touched": pa.array([touched for _, touched in held.values()], pa.int64()),
    })  # fmt: skip
    return _encoded(table.take(pa.array(order)), encode_rows(emitted), keys)


def merge_layers(whole: bool, *layers: Layer) -> Encoded:
    """Return several layers as one.

    Args:
        whole: they are all the layers of the state, so that what was removed can be forgotten.
        layers: the newest first.
    """
    return _encoded(_merged(whole, layers), encode_rows(()), layers[0].keys)


def state_rows(*layers: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (key, value) for all keys of a state: of layers, or of rows that are all of it."""
    if not isinstance(layers[0], Layer):
        yield from layers[0]
        return
    table = _merged(True, layers)
    for batch in table.select(["key", "value"]).to_batches(10_000):
        values = map(pickle.loads, batch.column("value").to_pylist())
        yield from zip(_keys(batch.column("key")), values, strict=True)


def emitted_rows(layer: Layer) -> Iterator[Any]:
    """Yield the rows that a layer's batch emitted."""
    return layer.emitted()


def _encoded(table: pa.Table, emitted: Encoded, keys: int) -> Encoded:
    by_age = np.argsort(table.column("touched").to_numpy(), kind="stable")
    table = table.append_column("by_age", pa.array(by_age)).combine_chunks()
    table = table.replace_schema_metadata({_EMITTED: emitted.format.encode()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    data = sink.getvalue()
    index = (0, data.size, data.size + emitted.nbytes)
    return Encoded("layer", emitted.rows, [data, *emitted.chunks], index, keys)


def _hashes(keys: Collection[Any]) -> Hashes:
    if _are_ints(keys):
        return np.fromiter(map(hash, keys), np.int64, len(keys)).view(np.uint64)
    return np.array([stable_hash(key) & _BITS for key in keys], np.uint64)


def _are_ints(keys: Iterable[Any]) -> bool:
    return set(map(type, keys)) == {int}


def _written(keys: Iterable[Any]) -> pa.Array:
    """Return keys as a column."""
    if _are_ints(keys):
        with suppress(OverflowError, pa.ArrowException):
            return pa.array(keys, pa.int64())
    return _pickled(keys)


def _pickled(keys: Iterable[Any]) -> pa.Array:
    return pa.array(map(dumps, keys), pa.large_binary())


def _keys(column: pa.Array) -> list[Any]:
    """Return the keys of a column."""
    found: list[Any] = column.to_pylist()
    return found if pa.types.is_integer(column.type) else list(map(pickle.loads, found))


def _alike(tables: list[pa.Table]) -> list[pa.Table]:
    """Return tables with one type of column for their keys."""
    if len({table.schema.field("key").type for table in tables}) == 1:
        return tables
    columns = [table.column("key").combine_chunks() for table in tables]
    return [
        table.set_column(1, "key", _pickled(_keys(column)))
        for table, column in zip(tables, columns, strict=True)
    ]


def _merged(whole: bool, layers: Sequence[Layer]) -> pa.Table:
    """Return the newest of what layers, the newest first, have of each key, sorted by hash."""
    table = pa.concat_tables(_alike([layer.table.drop_columns(["by_age"]) for layer in layers]))
    table = table.replace_schema_metadata().combine_chunks()
    order = np.argsort(table.column("hash").to_numpy(), kind="stable")
    rows = order[~_outdated(table, order)]
    if whole:
        rows = rows[table.column("value").is_valid().to_numpy()[rows]]
    return table.take(pa.array(rows))


def _outdated(table: pa.Table, order: Positions) -> npt.NDArray[np.bool_]:
    """Return which rows, in an order in which newer ones come first among those of a hash, are of
    a key that came before."""
    hashes, keys = table.column("hash").to_numpy()[order], table.column("key")
    outdated = np.zeros(len(order), bool)
    again = np.flatnonzero(hashes[1:] == hashes[:-1]) + 1
    here, before = (keys.take(pa.array(order[rows])) for rows in (again, again - 1))
    alike = pc.equal(here, before).to_numpy()
    outdated[again[alike]] = True
    # The rest are different keys of one hash, or equal ones that are pickled differently.
    for hash in np.unique(hashes[again[~alike]]):
        seen = set()
        for row in range(*np.searchsorted(hashes, [hash, hash + np.uint64(1)])):
            (key,) = _keys(keys.take(pa.array(order[row : row + 1])))
            outdated[row] = key in seen
            seen.add(key)
    return outdated
