"""Layers of a state, against a dict: also where different keys have one hash."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livebatch.block import BlockRef
from livebatch.engine.store import MemoryStore
from livebatch.rdd import layers
from livebatch.rdd.layers import Held, Layer, look_up, merge_layers, state_rows, write_layer
from tests.model.strategies import KEYS, keys, numbers

changes = st.lists(st.dictionaries(keys, st.none() | numbers, max_size=9), min_size=1, max_size=6)
"""What some batches, the oldest first, make of keys: None removes them."""


@pytest.fixture(params=[None, 3], ids=["64 bits", "3 hashes"])
def hashes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also hashes that are nearly all the same."""
    if request.param is not None:
        few, hashes = np.uint64(request.param), layers._hashes
        monkeypatch.setattr(layers, "_hashes", lambda keys: hashes(keys) % few)


class Store(MemoryStore):
    """A store that gives blocks names."""

    def layer(self, encoded: Any) -> Layer:
        return Layer(self.put(encoded, f"layer{id(encoded)}"), self)


def write(store: Store, batches: list[dict[Any, Any]]) -> list[Layer]:
    """Return a layer for each batch, the newest first; they were touched at 0, 10, 20, …."""
    written = []
    for number, batch in enumerate(batches):
        held = {
            key: Held(None if value is None else pickle.dumps(value), number * 10)
            for key, value in batch.items()
        }
        written.append(store.layer(write_layer(held, [number], 0)))
    return written[::-1]


def state_of(batches: list[dict[Any, Any]]) -> dict[Any, Any]:
    state: dict[Any, Any] = {}
    for batch in batches:
        state |= batch
    return state


def plain(found: dict[Any, Held]) -> dict[Any, Any]:
    return {key: None if h.value is None else pickle.loads(h.value) for key, h in found.items()}


@pytest.mark.usefixtures("hashes")
def test_layers_are_a_dict() -> None:
    @settings(max_examples=30)
    @given(changes, st.lists(keys, max_size=6), st.integers(0, 6), st.integers(0, 6))
    def check(batches: list[dict[Any, Any]], wanted: list[Any], begin: int, count: int) -> None:
        store, state = Store(), state_of(batches)
        written = write(store, batches)
        found = look_up(dict.fromkeys(wanted), written)
        assert plain(found) == {key: state[key] for key in wanted if key in state}
        alive = {key: value for key, value in state.items() if value is not None}
        assert dict(state_rows(*written)) == alive
        # Some neighbours as one layer change nothing.
        some = written[begin : begin + count]
        if some:
            whole = begin + count >= len(written)
            merged = store.layer(merge_layers(whole, *some))
            fewer = [*written[:begin], merged, *written[begin + count :]]
            assert dict(state_rows(*fewer)) == alive
            again = plain(look_up(KEYS, fewer))
            assert {key: value for key, value in again.items() if value is not None} == alive

    check()


@pytest.mark.usefixtures("hashes")
def test_keys_are_found_by_when_they_were_last_touched() -> None:
    @settings(max_examples=20)
    @given(changes, st.integers(0, 5), st.integers(1, 3))
    def check(batches: list[dict[Any, Any]], begin: int, count: int) -> None:
        written = write(Store(), batches)
        found = layers.touched_last_in(begin * 10, (begin + count) * 10, written)
        later = {key for batch in batches[begin + count :] for key in batch}
        state = state_of(batches[begin : begin + count])
        expected = {k: v for k, v in state.items() if k not in later and v is not None}
        assert plain(found) == expected

    check()


def test_only_what_is_asked_for_is_decoded() -> None:
    class Once:
        """A value that can be pickled, but not read."""

        def __reduce__(self) -> Any:
            return pytest.fail, ("it was decoded",)

    held = {n: Held(pickle.dumps(Once() if n else "zero"), 1) for n in range(100)}
    layer = Store().layer(write_layer(held, (), 100))
    assert plain(look_up([0], [layer])) == {0: "zero"}


def test_what_a_batch_emits_lies_behind_its_layer() -> None:
    for emitted in [], [("a", 1)], [{"a", 1}], [1, "x", None]:
        store = Store()
        encoded = write_layer({"a": Held(b"", 1)}, emitted, 5)
        ref: BlockRef = store.put(encoded, "layer")
        assert (ref.rows, ref.keys, ref.format) == (len(emitted), 5, "layer")
        assert list(Layer(ref, store).emitted()) == emitted
