from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from livebatch.widgets.columns import (
    choose,
    codes,
    epoch_ms,
    event_time,
    floats,
    percentiles,
    stamps,
)

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
STAMP = pa.timestamp("ns", tz="UTC")


@pytest.fixture
def far_from_utc() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "TZ", "UTC-05:30")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"value": pa.float64()}, "line"),
        ({"at": STAMP, "value": pa.decimal128(8, 2)}, "line"),
        ({"_1": pa.string(), "_2": pa.int64()}, "bar"),
        ({"tag": pa.dictionary(pa.int32(), pa.string()), "n": pa.uint8()}, "bar"),
        ({"value": pa.string()}, "log"),
        ({"at": STAMP, "value": pa.string()}, "log"),
        ({"user": pa.string(), "page": pa.string()}, "table"),
        ({"a": pa.int64(), "b": pa.int64()}, "line"),
        ({name: pa.int64() for name in "abcdef"}, "line"),
        ({name: pa.int64() for name in "abcdefg"}, "table"),
        ({"at": STAMP, "p50": pa.float64(), "p99_ms": pa.float64()}, "bands"),
        ({"p50": pa.float64(), "p99": pa.float64(), "n": pa.int64()}, "line"),
        ({"p50": pa.float64()}, "line"),
        ({"page": pa.string(), "p50": pa.float64(), "p99": pa.float64()}, "table"),
        ({"n": pa.int64(), "tags": pa.list_(pa.string())}, "table"),
        ({"ok": pa.bool_()}, "table"),
        ({}, "table"),
    ],
)
def test_the_schema_chooses_the_kind(fields: dict[str, pa.DataType], kind: str) -> None:
    assert choose(pa.schema(fields)) == kind


def test_event_time_is_the_column_named_so_or_the_only_one() -> None:
    assert event_time(pa.schema({"a": STAMP, "ts": STAMP})) == 1
    assert event_time(pa.schema({"n": pa.int64(), "seen": STAMP})) == 1
    assert event_time(pa.schema({"from": STAMP, "to": STAMP})) is None
    assert event_time(pa.schema({"time": pa.int64()})) is None


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_of_any_unit_and_zone_are_milliseconds_of_utc(unit: str) -> None:
    here = MOMENT.replace(microsecond=0).astimezone(timezone(timedelta(hours=2)))
    column = pa.chunked_array([pa.array([here, None], pa.timestamp(unit, tz="+02:00"))])
    ms = epoch_ms(column)
    assert ms[0] == here.timestamp() * 1e3
    assert np.isnan(ms[1])


def test_a_time_without_zone_is_this_machines(far_from_utc: None) -> None:
    naive = MOMENT.astimezone().replace(tzinfo=None)
    assert naive != MOMENT.replace(tzinfo=None)
    column = pa.chunked_array([pa.array([naive], pa.timestamp("us"))])
    assert epoch_ms(column).tolist() == [MOMENT.timestamp() * 1e3]


def test_numbers_of_any_type_become_floats() -> None:
    assert floats(pa.chunked_array([[Decimal("1.5")], [Decimal("2")]])).tolist() == [1.5, 2.0]
    assert np.isnan(floats(pa.chunked_array([[None, 1]]))[0])
    assert floats(pa.chunked_array([[2**63]], type=pa.uint64())).tolist() == [2.0**63]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_codes_point_at_names(kind: pa.DataType) -> None:
    column = pa.chunked_array([pa.array(["x", "y"], kind), pa.array([None, "x"], kind)])
    positions, names = codes(column)
    assert [names[i] for i in positions] == ["x", "y", "∅", "x"]


def test_codes_of_dictionaries_and_of_nothing() -> None:
    positions, names = codes(pa.chunked_array([pa.array(["b", "a"]).dictionary_encode()]))
    assert [names[i] for i in positions] == ["b", "a"]
    positions, names = codes(pa.chunked_array([], pa.string()))
    assert (positions.tolist(), names) == ([], [])


def test_percentiles_are_known_by_their_names() -> None:
    names = ["p99", "speed", "p50", "latency_p99.9", "p7_ms", "p100", "type_p", "p5x", "up90"]
    found = percentiles(pa.schema([(name, pa.float64()) for name in names]))
    assert found == {4: 7.0, 2: 50.0, 0: 99.0, 3: 99.9}


def test_stamps_are_what_epoch_ms_reads() -> None:
    ms = [MOMENT.timestamp() * 1e3, 0.125]
    assert epoch_ms(pa.chunked_array([stamps(ms)])).tolist() == ms
