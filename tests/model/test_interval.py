"""Durations, batch times, and the ticks between them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebatch.errors import DefinitionError
from livebatch.interval import (
    Interval,
    check_multiple,
    format_millis,
    from_datetime,
    to_datetime,
    to_millis,
)

UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


@pytest.mark.parametrize(
    ("duration", "millis"),
    [
        ("500ms", 500), ("1s", 1_000), ("1.5s", 1_500), ("0.001s", 1), ("10m", 600_000),
        ("10min", 600_000), ("2h", 7_200_000), ("1d", 86_400_000), ("1h30m", 5_400_000),
        ("1h 30m", 5_400_000), (" 5 s ", 5_000), ("1m1s1ms", 61_001), ("0.1s", 100),
        (2, 2_000), (0.5, 500), (0.001, 1), (0.1, 100), (1.005, 1_005),
        (timedelta(milliseconds=20), 20), (timedelta(hours=1), 3_600_000),
    ],
)  # fmt: skip
def test_durations(duration: Any, millis: int) -> None:
    assert to_millis(duration) == millis


@given(st.integers(1, 10**6), st.sampled_from(sorted(UNITS)))
def test_every_number_of_every_unit(number: int, unit: str) -> None:
    assert to_millis(f"{number}{unit}") == number * UNITS[unit]


@given(st.integers(1, 10**12))
def test_what_is_written_is_what_is_read(millis: int) -> None:
    assert to_millis(format_millis(millis)) == millis
    assert to_millis(timedelta(milliseconds=millis)) == millis


@pytest.mark.parametrize(
    "wrong",
    ["", " ", "10", "s", "5 fortnights", "5S", "-5s", "1h-5m", "1,5s", "1e3s", "5ss", "s5", "5s!",
     None, True, b"5s", [5], 5j],
)  # fmt: skip
def test_what_is_no_duration_is_refused(wrong: Any) -> None:
    with pytest.raises(DefinitionError) as error:
        to_millis(wrong, "the window")
    assert str(error.value) == (
        'the window is written like "500ms", "10s", "5m" or "1h", or given as a timedelta or a '
        f"number of seconds, not {wrong!r}"
    )


@pytest.mark.parametrize(
    "wrong", ["0s", 0, -1, -0.5, "0.5ms", 0.0005, "1.0005s", timedelta(0), timedelta(days=-1),
              timedelta(microseconds=10)],
)  # fmt: skip
def test_what_is_no_whole_number_of_milliseconds_is_refused(wrong: Any) -> None:
    with pytest.raises(DefinitionError) as error:
        to_millis(wrong, "the slide")
    assert str(error.value) == f"the slide must be at least 1ms and in whole ms, not {wrong!r}"


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused(wrong: float) -> None:
    with pytest.raises(DefinitionError):
        to_millis(wrong)


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_multiples_pass_and_others_are_told_the_next(duration: int, slide: int) -> None:
    if duration % slide == 0:
        assert check_multiple(duration, slide, "the window") == duration
        return
    with pytest.raises(DefinitionError, match=r"the window .* must be a multiple of") as error:
        check_multiple(duration, slide, "the window")
    suggested = str(error.value).rpartition("; ")[2].removesuffix(" would do")
    assert to_millis(suggested) % slide == 0
    assert 0 < to_millis(suggested) - duration < slide


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(-50, 50), st.integers(1, 9))
def test_ticks_are_the_batch_times_in_the_interval(
    start: int, end: int, zero: int, slide: int
) -> None:
    naive = [t for t in range(-60, 60) if start < t <= end and t > zero and (t - zero) % slide == 0]
    assert list(Interval(start, end).ticks(zero, slide)) == naive


@given(st.integers(0, 4 * 10**12))
def test_times_are_local_and_aware_and_come_back(millis: int) -> None:
    time = to_datetime(millis)
    assert time.tzinfo is not None
    assert time == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=millis)
    assert time.utcoffset() == time.replace(tzinfo=None).astimezone().utcoffset() or time.fold
    assert from_datetime(time) == millis


def test_naive_times_are_local() -> None:
    local = datetime(2024, 6, 1, 12)
    assert from_datetime(local) == from_datetime(local.astimezone(UTC))
