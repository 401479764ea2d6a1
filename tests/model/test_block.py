"""Blocks give back exactly the rows that were put into them, and show anything as a table."""

from __future__ import annotations

import enum
import math
import pickle
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebatch.block import (
    BlockRef,
    Pickled,
    Tables,
    encode,
    encode_rows,
    encode_table,
    read_rows,
    read_table,
)
from livebatch.engine.store import MemoryStore
from livebatch.rowtables import as_table, table_rows, to_table

Point = namedtuple("Point", "x y")


class Name(str):
    """A string that is more than one."""


class Colour(enum.Enum):
    RED = 1


@dataclass
class Page:
    site: str


texts = st.text(st.characters(exclude_categories=[]), max_size=3)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    texts,
    st.binary(max_size=3),
)
others = st.sampled_from(
    [Decimal(1), date(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC), Colour.RED, Page("a"),
     np.int64(1), np.float64(1), np.bool_(True), np.str_("a"), Name("a"), {1}, frozenset({1}),
     Point(1, 2), OrderedDict(a=1), 1 + 1j, ...]
)  # fmt: skip
names = st.text(max_size=2)


def records(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """Rows of one shape, as most are, and of no shape at all."""
    tuples = st.integers(0, 3).flatmap(lambda n: st.tuples(*[values] * n))
    dicts = st.lists(names, max_size=3, unique=True).flatmap(
        lambda keys: st.fixed_dictionaries(dict.fromkeys(keys, values))
    )
    points = st.builds(Point, values, values)
    shapes = (values, tuples, dicts, points, st.lists(values, max_size=2))
    alike = st.one_of(*map(st.lists, shapes))
    return alike | st.lists(st.one_of(*shapes), max_size=5)


columns = st.sampled_from([st.integers(), st.floats(), st.booleans(), texts, st.binary()])
one_kind = columns.flatmap(lambda kind: records(st.none() | kind))
anything = records(st.recursive(scalars | others, lambda inner: st.lists(inner, max_size=2)))


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal, of equal types, all the way down; NaN is NaN."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and repr(a) == repr(b))
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same([*a.items()], [*b.items()])
    return bool(a == b)


def back(rows: list[Any]) -> list[Any]:
    store = MemoryStore()
    return read_rows(store.put(encode(rows), "block"), store)


@given(one_kind | anything)
def test_rows_come_back_exactly(rows: list[Any]) -> None:
    assert same(back(rows), rows)


@given(one_kind)
def test_rows_of_a_table_are_made_as_they_are_taken(rows: list[Any]) -> None:
    table = to_table(rows)
    assert table is None or same(list(Tables([table])), rows)


@given(columns.flatmap(lambda kind: st.dictionaries(texts, kind)) | st.dictionaries(scalars, texts))
def test_items_of_a_dict_are_encoded_as_its_pairs(groups: dict[Any, Any]) -> None:
    encoded, expected = encode_rows(groups.items()), encode([*groups.items()])
    assert (encoded.format, encoded.rows) == (expected.format, expected.rows)
    assert b"".join(encoded.chunks) == b"".join(expected.chunks)


@pytest.mark.parametrize(
    ("rows", "format"),
    [
        ([1, 2, None], "arrow"),
        (["a", ""], "arrow"),
        ([float("nan"), None, -0.0], "arrow"),
        ([("a", 1), ("b", None)], "arrow"),
        ([{"a": 1, "b": b"x"}, {"a": None, "b": b""}], "arrow"),
        ([None, None], "arrow"),
        ([], "pickle"),
        ([1, True], "pickle"),
        ([1, 1.0], "pickle"),
        ([2**64], "pickle"),
        (["\ud800"], "pickle"),
        ([("a", 1), ("b",)], "pickle"),
        ([("a", 1), ["b", 2]], "pickle"),
        ([("a", 1), ("b", 1.0)], "pickle"),
        ([{"a": 1, "b": 2}, {"b": 2, "a": 1}], "pickle"),
        ([{"a": 1}, {}], "pickle"),
        ([{1: 1}], "pickle"),
        ([Point(1, 2)], "pickle"),
        ([Name("a")], "pickle"),
        ([np.float64(1)], "pickle"),
        ([(1, (2, 3))], "pickle"),
    ],
)
def test_arrow_only_where_it_is_exact(rows: list[Any], format: str) -> None:
    assert encode(rows).format == format
    assert same(back(rows), rows)


@given(
    st.integers(1, 5).flatmap(
        lambda n: st.lists(st.lists(one_kind, min_size=n, max_size=n), min_size=1, max_size=4)
    ),
    st.booleans(),
)
def test_segments_come_back_each_for_itself(parts: list[list[list[Any]]], inline: bool) -> None:
    store, pickled = MemoryStore(), Pickled(len(parts[0]))
    for part in parts:
        pickled.add(part)
    segments = [[row for part in parts for row in part[i]] for i in range(len(parts[0]))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("livebatch.engine.store.INLINE_LIMIT", 1 << 30 if inline else -1)
        ref = store.put(pickled.encoded(), "map")
    assert (ref.inline is not None) is inline
    assert ref.rows == sum(map(len, segments))
    assert same([read_rows(ref.at(i), store) for i in range(len(segments))], segments)


@given(one_kind | anything)
def test_anything_can_be_shown_as_a_table(rows: list[Any]) -> None:
    table = as_table(rows)
    if table.num_columns:
        assert table.num_rows == len(rows)
    else:
        assert not any(rows)
    assert table.schema.metadata is None


def test_tables_have_the_columns_of_their_rows() -> None:
    assert as_table([("a", 1)]).to_pydict() == {"_1": ["a"], "_2": [1]}
    assert as_table([Point(1, "b")]).to_pydict() == {"x": [1], "y": ["b"]}
    assert as_table([{"a": 1}, {"b": 2}]).to_pydict() == {"a": [1, None], "b": [None, 2]}
    assert as_table([3, None]).to_pydict() == {"value": [3, None]}
    assert as_table([1, "a", None]).to_pydict() == {"value": ["1", "'a'", None]}
    assert as_table([]).column_names == ["value"]


@given(one_kind)
def test_a_stored_block_is_read_as_the_table_it_is_shown_as(rows: list[Any]) -> None:
    store = MemoryStore()
    table = read_table(store.put(encode(rows), "block"), store)
    assert table.replace_schema_metadata(None).equals(as_table(rows)) or "nan" in repr(rows)


def test_a_table_is_stored_as_it_is() -> None:
    table, store = pa.table({"n": [1, 2], "at": [date(2024, 1, 1), None]}), MemoryStore()
    ref: BlockRef = store.put(encode_table(table), "table")
    assert read_table(ref, store).equals(table)
    assert read_rows(ref, store) == [{"n": 1, "at": date(2024, 1, 1)}, {"n": 2, "at": None}]


@pytest.mark.parametrize("function", [encode, as_table])
def test_names_may_be_surrogates(function: Any) -> None:
    assert function([{"\ud800": 1}]) is not None


def test_a_name_keeps_its_type() -> None:
    rows = [{"a": 1}, {Name("a"): 2}]
    assert same(back(rows), rows)


def test_a_table_shows_values_whatever_their_names() -> None:
    assert as_table([{1: "a"}]).to_pydict() == {"1": ["a"]}


def test_a_row_that_cannot_show_itself_hides_no_others() -> None:
    class Shy:
        def __repr__(self) -> str:
            raise ValueError

    assert as_table([1, Shy()]).num_rows == 2


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Paris"])
@given(times=st.lists(st.none() | st.datetimes()))
def test_times_are_what_arrow_says(times: list[datetime | None], zone: str | None) -> None:
    column = pa.array(times, pa.timestamp("us")).cast(pa.timestamp("us", zone))
    try:
        expected = column.to_pylist()
    except OverflowError:  # there is no such time in that zone
        return
    found = table_rows(pa.table({"at": column}))
    assert found == [{"at": time} for time in expected]
    assert [row["at"] and row["at"].tzinfo for row in found] == [
        time and time.tzinfo for time in expected
    ]


def test_times_beyond_those_of_python_are_refused() -> None:
    endless = pa.array([2**63 - 1], pa.int64()).cast(pa.timestamp("us"))
    with pytest.raises(OverflowError):
        table_rows(pa.table({"at": endless}))


@given(st.lists(st.integers(0, 9), min_size=1), st.integers(0, 9))
def test_tables_travel_as_their_rows(numbers: list[int], start: int) -> None:
    table = pa.table({"n": numbers})
    sliced = Tables([table.slice(start), table.slice(0, start)])
    assert list(pickle.loads(pickle.dumps(sliced))) == list(sliced)
    mixed = Tables([table, pa.table({"m": numbers})])
    assert list(pickle.loads(pickle.dumps(mixed))) == list(mixed)
