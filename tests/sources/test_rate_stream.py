"""Numbered rows at an even rate, against exact arithmetic."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from livebatch.closures import load
from livebatch.errors import DefinitionError
from livebatch.sources import PullSource, source
from livebatch.sources.rate_stream import SCHEMA
from livebatch.testing import START, ManualContext, collected


def planned(options: dict[str, Any], times: list[int]) -> list[list[pa.Table]]:
    """The tables of batches so many milliseconds after the start."""
    made = source("rate_stream", options)
    assert isinstance(made, PullSource)
    readers, offsets = made.plan(None, START)
    assert readers == []
    batches = []
    for time in times:
        offsets = msgspec.msgpack.decode(msgspec.msgpack.encode(offsets))
        readers, offsets = made.plan(offsets, START + time)
        batches.append([load(reader)() for reader in readers])
    return batches


def due(value: int, rate: Fraction) -> datetime:
    """When a row is due, in whole microseconds."""
    micros = START * 1000 + (value + 1) * 1_000_000 * rate.denominator // rate.numerator
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)


rates = st.integers(1, 3000) | st.decimals("0.01", 1000, places=2).map(float)
ticks = st.lists(st.integers(1, 2000), min_size=1, max_size=5)


@given(rates, ticks, st.integers(1, 5))
@example(0.3, [10_000], 1)
@example(1 / 3, [3000, 6000], 2)
def test_each_row_comes_once_with_the_first_batch_that_is_not_before_it(
    rate: float, steps: list[int], partitions: int
) -> None:
    exact = Fraction(str(rate)).limit_denominator(1000)
    times = [sum(steps[: i + 1]) for i in range(len(steps))]
    options = {"rows_per_second": rate, "num_partitions": partitions}
    value = 0
    for time, tables in zip(times, planned(options, times), strict=True):
        assert len(tables) <= partitions
        for table in tables:
            assert table.schema == SCHEMA
            for row in table.to_pylist():
                assert row == {"value": value, "timestamp": due(value, exact)}
                value += 1
        assert value == time * exact // 1000


@given(ticks)
def test_rows_do_not_depend_on_the_batches(steps: list[int]) -> None:
    times = [sum(steps[: i + 1]) for i in range(len(steps))]
    every = [table for batch in planned({"rows_per_second": 7}, times) for table in batch]
    once = planned({"rows_per_second": 7}, times[-1:])[0]
    assert pa.concat_tables(every or [SCHEMA.empty_table()]) == pa.concat_tables(
        once or [SCHEMA.empty_table()]
    )


def test_partitions_are_even() -> None:
    (tables,) = planned({"rows_per_second": 10, "num_partitions": 4}, [1000])
    assert [table.num_rows for table in tables] == [2, 3, 2, 3]


def test_times_of_the_fastest_stream_after_years() -> None:
    rate = 10**9
    year = 366 * 86_400_000
    made = source("rate_stream", {"rows_per_second": rate})
    assert isinstance(made, PullSource)
    begun = {"origin": START, "rows": (year - 1) * (rate // 1000)}
    (reader,), offsets = made.plan(begun, START + year)
    assert offsets == {"origin": START, "rows": year * (rate // 1000)}
    first, last, *rest = reader.args
    table = load(msgspec.structs.replace(reader, args=(last - 1, last, *rest)))()
    assert last - first == rate // 1000
    assert table["timestamp"].to_pylist() == [due(last - 1, Fraction(rate))]


def test_a_clock_that_stands_gives_nothing() -> None:
    assert planned({"rows_per_second": 1000}, [10, 10, 5, 11])[1:] == [[], [], planned(
        {"rows_per_second": 1000}, [10, 11])[1]]  # fmt: skip


@pytest.mark.parametrize("rate", [0, -1, 1e-4, 2e9, True, "1", None, float("nan")])
def test_what_is_no_rate_is_refused(rate: Any) -> None:
    with pytest.raises(DefinitionError, match="rows_per_second must be"):
        source("rate_stream", {"rows_per_second": rate})


@pytest.mark.parametrize("count", [0, 1.5, True, None])
def test_what_is_no_number_of_partitions_is_refused(count: Any) -> None:
    with pytest.raises(DefinitionError, match="num_partitions must be"):
        source("rate_stream", {"num_partitions": count})


def test_a_stream_under_a_manual_clock() -> None:
    with ManualContext("500ms") as ssc:
        stream = ssc.rate_stream(4, num_partitions=2)
        sums = collected(stream.map(lambda row: row["value"]).reduce(lambda a, b: a + b))
        ssc.start()
        ssc.advance("2s")
    assert sums == [[0 + 1], [2 + 3], [4 + 5], [6 + 7]]
