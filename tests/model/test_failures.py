"""What becomes of a batch in which a function of the user's raises."""

from __future__ import annotations

import sys
from collections.abc import Callable
from operator import add, sub
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livebatch.engine.executors.inline import InlineExecutor
from livebatch.errors import JobFailed
from livebatch.events import BadRecords, BatchFailed, BatchSettled
from livebatch.testing import ManualContext
from tests.model.conftest import Cluster
from tests.model.harness import context, watch


class Events:
    """What an engine says, by the second of the batch it says it of."""

    def __init__(self, ssc: ManualContext) -> None:
        self.bad: dict[int, BadRecords] = {}
        self.failed: dict[int, BatchFailed] = {}
        self._zero = ssc.clock.now()
        ssc.connection.listen(self._heard)

    def _heard(self, event: Any) -> None:
        if isinstance(event, BatchSettled) and event.batch.bad:
            self.bad[(event.batch.time - self._zero) // 1000] = event.batch.bad
        if isinstance(event, BatchFailed):
            self.failed[(event.time - self._zero) // 1000] = event


def picky(number: int) -> int:
    """A user's function."""
    if number < 0:
        raise ValueError(f"{number} is below 0")
    return number


RAISES_AT = picky.__code__.co_firstlineno + 3


def outcome(
    build: Callable[[Any], Any], batches: list[list[Any]], executor: Any = None, **options: Any
) -> tuple[dict[int, list[Any]], Events]:
    with context(executor, **options) as ssc:
        events, seen = Events(ssc), watch(build(ssc.queue_stream(batches)))
        ssc.start()
        ssc.advance(len(batches))
    return seen, events


# -- a bad record ----------------------------------------------------------------------------

ELEMENTWISE: dict[str, Callable[[Any], Any]] = {
    "map": lambda s: s.map(picky),
    "filter": lambda s: s.filter(lambda n: picky(n) >= 0),
    "flat_map": lambda s: s.flat_map(lambda n: (picky(m) for m in [abs(n), n][n >= 0:])),
    "map_values": lambda s: s.map(lambda n: (n, n)).map_values(picky).map(lambda pair: pair[0]),
    "flat_map_values": lambda s: s.map(lambda n: (0, n)).flat_map_values(
        lambda n: [picky(n)]).map(lambda pair: pair[1]),
    "in a chain": lambda s: s.filter(lambda n: n < 999).map(picky).flat_map(lambda n: [n]),
}  # fmt: skip


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_a_bad_record_is_left_out_and_counted(name: str, cluster: Cluster) -> None:
    batches = [[*range(150), -7, *range(150, 300)], [1]]
    seen, events = outcome(ELEMENTWISE[name], batches, cluster.executor(2))
    assert seen == {1: list(range(300)), 2: [1]}
    assert list(events.bad) == [1]
    assert events.bad[1].count == 1
    (sample,) = events.bad[1].samples
    assert (sample.kind, sample.message) == ("ValueError", "-7 is below 0")
    assert "-7" in (sample.record or "")
    assert sample.frames[-1].function == "picky"


def test_bad_records_are_counted_in_the_status() -> None:
    with context() as ssc:
        stream = ssc.queue_stream([[*range(200), -1], [-2, *range(200), -3], [1]])
        ssc.register("numbers", stream.map(picky))
        ssc.start()
        ssc.advance(3)
        (status,) = ssc.status().streams
    assert (status.batches, status.bad, status.error) == (3, 3, None)


def test_what_comes_after_never_sees_a_bad_record(cluster: Cluster) -> None:
    batches = [[*[1] * 150, -1], [*[1] * 150, -2], [1]]
    seen, _ = outcome(
        lambda s: s.map(picky).map(lambda n: ("n", n)).reduce_by_key_and_window(add, None, 2),
        batches,
        cluster.executor(1),
    )
    assert seen == {1: [("n", 150)], 2: [("n", 300)], 3: [("n", 151)]}


@settings(max_examples=60)
@given(
    st.integers(1, 350).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n // 60 + 1))),
    st.randoms(use_true_random=False),
)
def test_up_to_one_percent_may_be_bad(size: tuple[int, int], random: Any) -> None:
    count, bad = size[0], min(size)
    rows = [*range(count - bad), *range(-bad, 0)]
    random.shuffle(rows)
    seen, events = outcome(lambda s: s.map(picky), [rows], InlineExecutor(slots=1))
    if bad <= max(count * 0.01, 1 if count > 1 else 0):
        assert seen == {1: [n for n in rows if n >= 0]}
    else:
        assert (seen, list(events.failed)) == ({}, [1])


# -- a failed batch --------------------------------------------------------------------------


def assert_only_second_failed(
    seen: dict[int, list[Any]], events: Events, expected: dict[int, list[Any]]
) -> None:
    assert seen == expected
    assert list(events.failed) == [2]


def test_a_batch_with_many_bad_records_fails_with_the_users_traceback(cluster: Cluster) -> None:
    with context(cluster.executor(2)) as ssc:
        seen = watch(ssc.queue_stream([[1], [2, -2, -3], [3]]).map(picky))
        ssc.start()
        ssc.advance(3)
        with pytest.raises(JobFailed) as error:
            ssc.await_termination(timeout=0)
        assert ssc.await_termination(timeout=0) is False
    assert seen == {1: [1], 3: [3]}
    message = str(error.value)
    assert f'File "{__file__}", line {RAISES_AT}, in picky\n    raise ValueError' in message
    assert "ValueError: -2 is below 0\nfor the record -2" in message
    assert "livebatch/" not in message.replace(str(Path(__file__).parent), "")


class Above:
    """Whether a number is above another."""

    def __init__(self, low: int) -> None:
        self.low = low

    def __call__(self, number: int) -> bool:
        return number > self.low


REDUCED: dict[str, Callable[[Any], Any]] = {
    "reduce": lambda s: s.reduce(lambda a, b: picky(a) + picky(b)),
    "map_partitions": lambda s: s.map_partitions(lambda rows: [sum(map(picky, rows))]).reduce(add),
    "reduce_by_key": lambda s: s.map(lambda n: ("n", n)).reduce_by_key(
        lambda a, b: picky(a) + picky(b)).map(lambda pair: pair[1]),
    "foreach_rdd": lambda s: s.foreach_rdd(
        lambda rdd: [picky(n) for n in rdd.collect()]) or s.reduce(add),
    "transform": lambda s: s.transform(
        lambda rdd: rdd.filter(Above(picky(min(rdd.collect()) - 1)))).reduce(add),
}  # fmt: skip


@pytest.mark.parametrize("name", REDUCED)
def test_a_batch_in_which_a_reduction_or_an_rdd_function_raises_fails(
    name: str, cluster: Cluster
) -> None:
    batches = [[1, 2], [-1] * 4, [3, 4]]
    seen, events = outcome(REDUCED[name], batches, cluster.executor(2))
    expected = {1: [3], 3: [7]} | ({2: [-4]} if name == "foreach_rdd" else {})
    assert_only_second_failed(seen, events, expected)
    failure = events.failed[2].failure
    assert failure.kind == "ValueError"
    assert "is below 0" in failure.message
    assert failure.frames[-1].function == "picky"


@pytest.mark.parametrize("result", [None, [1], 3, "rdd"])
def test_a_transform_that_returns_no_rdd_fails_its_batch(result: Any) -> None:
    def function(rdd: Any) -> Any:
        return result if rdd.count() == 2 else rdd

    seen, events = outcome(lambda s: s.transform(function), [[1], [2, 2], [3]])
    assert_only_second_failed(seen, events, {1: [1], 3: [3]})
    assert events.failed[2].failure.message == (
        f"the function of a transform must return an RDD, not {type(result).__name__}"
    )


def test_strictly_the_first_bad_record_fails_the_batch(cluster: Cluster) -> None:
    batches = [[1], [*range(200), -1], [3]]
    seen, events = outcome(lambda s: s.map(picky), batches, cluster.executor(2), on_error="raise")
    assert_only_second_failed(seen, events, {1: [1], 3: [3]})
    assert events.failed[2].failure.frames[-1].function == "picky"


def test_one_streams_failure_is_no_business_of_the_others() -> None:
    with context() as ssc:
        events, stream = Events(ssc), ssc.queue_stream([[1], [-2], [3]])
        ssc.register("broken", stream.map(picky))
        fine = watch(stream.map(abs))
        also_broken = watch(ssc.streams["broken"].map(abs))
        ssc.start()
        ssc.advance(3)
        assert ssc.streams["broken"].latest().collect() == [3]
    assert fine == {1: [1], 2: [2], 3: [3]}
    assert also_broken == {1: [1], 3: [3]}
    assert events.failed[2].failure.message == "-2 is below 0"


def test_a_window_fails_as_long_as_a_failed_batch_is_in_it() -> None:
    batches = [[1], [-2], [3], [4], [5]]
    seen, events = outcome(lambda s: s.map(picky).window(2).map(abs), batches)
    assert {at: sorted(rows) for at, rows in seen.items()} == {1: [1], 4: [3, 4], 5: [4, 5]}
    assert list(events.failed) == [2, 3]


def test_the_status_says_what_went_wrong_until_it_goes_well_again() -> None:
    with context() as ssc:
        ssc.register("numbers", ssc.queue_stream([[-1], [1]]).map(picky))
        ssc.start()
        ssc.advance(1)
        assert ssc.status().streams[0].error == "ValueError: -1 is below 0"
        ssc.advance(1)
        assert ssc.status().streams[0].error is None


def test_a_failed_query_harms_no_batch() -> None:
    with context() as ssc:
        numbers = ssc.register("numbers", ssc.queue_stream([[-1], [2]]))
        ssc.start()
        ssc.advance(1)
        with pytest.raises(JobFailed, match="ValueError: -1 is below 0"):
            numbers.latest().map(picky).collect()
        ssc.advance(1)
        assert numbers.latest().map(picky).collect() == [2]


def test_the_share_is_that_of_the_whole_batch() -> None:
    seen, _ = outcome(lambda s: s.map(picky), [[-1, -2, *range(298)]], InlineExecutor(slots=2))
    assert seen == {1: list(range(298))}


def test_a_state_goes_on_after_a_failed_batch() -> None:
    seen, events = outcome(
        lambda s: s.map(lambda n: ("n", n)).update_state_by_key(
            lambda new, n: sum(map(picky, new)) + (n or 0)
        ),
        [[1], [-2], [3], [4]],
    )
    assert list(events.failed) == [2]
    assert seen == {1: [("n", 1)], 3: [("n", 4)], 4: [("n", 8)]}


def test_an_inverse_window_goes_on_when_a_failed_batch_has_left_it() -> None:
    def sums(stream: Any) -> Any:
        return stream.map(lambda n: ("n", picky(n))).reduce_by_key_and_window(add, sub, 2)

    seen, _ = outcome(sums, [[1], [-2], [3], [4], [5]])
    assert seen == {1: [("n", 1)], 4: [("n", 7)], 5: [("n", 9)]}


def test_an_unhashable_key_is_explained_by_reductions_too() -> None:
    _, events = outcome(lambda s: s.reduce_by_key(add), [[([1], 1), ([1], 2)]])
    assert "use a tuple" in events.failed[1].failure.message


def totals(stream: Any) -> Any:
    return stream.map(lambda n: ("n", n)).update_state_by_key(
        lambda new, n: sum(map(picky, new)) + (n or 0)
    )


@settings(max_examples=30)
@given(st.lists(st.lists(st.integers(1, 9), max_size=3), min_size=1, max_size=9), st.data())
def test_failures_at_random_leave_the_rest_as_it_would_be(
    batches: list[list[int]], data: st.DataObject
) -> None:
    poisoned = data.draw(st.sets(st.integers(1, len(batches))))
    window = data.draw(st.integers(1, 4))
    given = [[*rows, -1, -1] if at in poisoned else rows for at, rows in enumerate(batches, 1)]

    def build(stream: Any) -> list[Any]:
        pairs = stream.map(lambda n: ("n", picky(n)))
        return [
            pairs.update_state_by_key(lambda new, n: sum(new) + (n or 0)),
            pairs.reduce_by_key_and_window(add, sub, window, 1, None, all),
            pairs.reduce_by_key_and_window(add, None, window, 1, None, all),
        ]

    with context() as ssc:
        state, incremental, recomputed = map(watch, build(ssc.queue_stream(given)))
        ssc.start()
        ssc.advance(len(batches))
    good = {at: rows for at, rows in enumerate(batches, 1) if at not in poisoned}
    spans = {at: range(max(1, at - window + 1), at + 1) for at in range(1, len(batches) + 1)}
    sums = {
        at: sum(n for t in span for n in good[t])
        for at, span in spans.items()
        if not poisoned.intersection(span)
    }
    assert recomputed == incremental == {at: [("n", n)] if n else [] for at, n in sums.items()}
    so_far = {at: [n for t, rows in good.items() if t <= at for n in rows] for at in good}
    assert state == {at: [("n", sum(all_))] if all_ else [] for at, all_ in so_far.items()}


def test_a_state_survives_however_long_its_batches_fail() -> None:
    batches = [[5], *[[-1]] * 70, [6]]
    seen, events = outcome(totals, batches)
    assert list(events.failed) == list(range(2, 72))
    assert seen == {1: [("n", 5)], 72: [("n", 11)]}


def test_a_state_goes_on_after_a_failed_batch_that_others_had_waited_for() -> None:
    with context() as ssc:
        seen = watch(totals(ssc.queue_stream([[1], [-2], [3], [4], [5]])))
        ssc.start()
        ssc.clock.advance(4_000)
        ssc.stepped.run()
        ssc.advance(2)
    assert seen[1] == [("n", 1)]
    assert list(seen)[-2:] == [5, 6]


def test_a_window_that_failed_for_long_forgets_what_has_left_it() -> None:
    batches = [[1], [2], *[[-1]] * 30, [3], [4], [5]]
    seen, _ = outcome(
        lambda s: s.map(lambda n: ("n", picky(n))).reduce_by_key_and_window(add, sub, 2), batches
    )
    assert seen == {1: [("n", 1)], 2: [("n", 3)], 34: [("n", 7)], 35: [("n", 9)]}


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Shy:
    def __repr__(self) -> str:
        raise RuntimeError("not to be seen")


def mute(row: Any) -> Any:
    if row == -1:
        raise Mute
    return row


def no_shy_ones(row: Any) -> Any:
    if isinstance(row, Shy):
        raise ValueError
    return row


@pytest.mark.parametrize(
    "build",
    [
        lambda s: s.map(mute),
        lambda s: s.map(lambda n: Shy() if n == -1 else n).map(no_shy_ones),
    ],
    ids=["error", "record"],
)
def test_a_failure_that_cannot_be_described_is_one_all_the_same(build: Any) -> None:
    seen, events = outcome(build, [[*range(200), -1]])
    assert seen == {1: list(range(200))}
    assert events.bad[1].count == 1


@pytest.mark.process
def test_a_function_that_exits_is_shown_as_such(local: Any) -> None:
    seen, events = outcome(lambda s: s.map(lambda n: sys.exit("enough")), [[1], []], local)
    assert seen == {2: []}
    assert (events.failed[1].failure.kind, events.failed[1].failure.message) == (
        "SystemExit",
        "enough",
    )
