"""What must have been written, computed in plain Python from the input of each batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any

from tests.chaos.outputs import Output, Rows
from tests.chaos.program import BATCH, KEYS, LENGTH, SLIDE

WHOLE = "noted"
"""The output in which one sees batches without rows too; sinks do not write those."""


def check_records(sent: dict[str, int], found: dict[str, Output]) -> None:
    """Compare what batches had of each source with what it has sent.

    Args:
        sent: how many numbers each has sent, from 0 on; of the ticks, at least so many.
        found: all outputs.

    Raises:
        AssertionError: a record is missing, or is there twice.
    """
    for name, count in sent.items():
        records = Counter[tuple[Any, ...]]()
        for batch in found[name].values():
            records += batch
        twice = [record for record, times in records.items() if times > 1]
        assert not twice, f"duplicated {len(twice)} of {name}: {sorted(twice)[:20]}"
        numbers = {record[0] for record in records}
        count = max(numbers, default=0) + 1 if name == "ticks" else count
        lost = set(range(count)) - numbers
        assert not lost, f"lost {len(lost)} of {name}: {sorted(lost)[:20]}"
        assert not numbers - set(range(count)), f"made up {name}"


def check_results(found: dict[str, Output], until: int) -> int:
    """Compare all outputs with what comes of the batches' input; return how many batches there are.

    Args:
        until: the time of a batch up to which all outputs have settled. Of later ones an engine
            that is stopped while it is behind may have made some outputs and not others.

    Raises:
        AssertionError: they differ.
    """
    found = {
        name: {time: rows for time, rows in batches.items() if time <= until}
        for name, batches in found.items()
    }
    times = sorted(found[WHOLE])
    assert until in times, f"the batch {until} is missing"
    assert times == list(range(times[0], times[-1] + 1, BATCH)), f"batches are missing: {times}"
    for name, wanted in _expected(found, times).items():
        _compare(name, found[name], wanted)
    return len(times)


def _compare(name: str, found: Output, wanted: Output) -> None:
    extra = sorted(set(found) - set(wanted))
    assert not extra, f"{name} has batches that it should not have: {extra}"
    for time, rows in sorted(wanted.items()):
        if time not in found and name != WHOLE and not rows:
            continue
        assert time in found, f"{name} lacks the batch {time}"
        less, more = rows - found[time], found[time] - rows
        assert rows == found[time], f"{name} at {time} lacks {less}, has {more} too much"


def _expected(found: dict[str, Output], times: list[int]) -> dict[str, Output]:
    zero = times[0] - BATCH
    none: Rows = Counter()
    ticks, files, lines = (
        {time: sorted(row[0] for row in found[name].get(time, none).elements()) for time in times}
        for name in ("ticks", "files", "lines")
    )

    def windowed(numbers: dict[int, list[int]], row: Callable[[list[int]], Any]) -> Output:
        slides = [time for time in times if (time - zero) % SLIDE == 0]
        spans = {
            t: [n for at in times if t - LENGTH < at <= t for n in numbers[at]] for t in slides
        }
        return {time: _by_key(span, row) for time, span in spans.items()}

    return {
        "files": {time: found["files"].get(time, none) for time in times},
        "lines": {time: found["lines"].get(time, none) for time in times},
        "noted": {time: Counter([(len(ticks[time]),)]) for time in times},
        "counts": windowed(ticks, lambda numbers: (len(numbers),)),
        "largest": windowed(lines, lambda numbers: (max(numbers),)),
        "summed": windowed(lines, lambda numbers: (sum(numbers), len(numbers), max(numbers))),
        "totals": _totals(lines),
        "running": _running(files),
        "joined": {time: _joined(ticks[time], lines[time]) for time in times},
    }


def _by_key(numbers: Iterable[int], row: Callable[[list[int]], Any]) -> Rows:
    ordered = sorted(numbers, key=_key)
    return Counter((key, *row(list(group))) for key, group in groupby(ordered, _key))


def _key(number: int) -> int:
    return number % KEYS


def _totals(batches: dict[int, list[int]]) -> Output:
    found: Output = {}
    seen: list[int] = []
    for time, numbers in batches.items():
        seen += numbers
        found[time] = _by_key(seen, lambda all_: (len(all_), sum(all_)))
    return found


def _joined(ticks: list[int], lines: list[int]) -> Rows:
    left, right = Counter(map(_key, ticks)), Counter(map(_key, lines))
    return Counter((key, left[key], right[key]) for key in left.keys() & right.keys())


def _running(batches: dict[int, list[int]]) -> Output:
    found: Output = {}
    seen = Counter[int]()
    for time, numbers in batches.items():
        found[time] = Counter()
        for key in map(_key, numbers):
            seen[key] += 1
            found[time][key, seen[key]] += 1
    return found
