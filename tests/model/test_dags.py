"""Small programs made at random, of streams that are made of streams, against the oracle."""

from __future__ import annotations

from collections.abc import Callable
from operator import add, sub
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from livebatch.engine.executors.inline import InlineExecutor
from livebatch.interval import to_datetime
from livebatch.testing import START
from tests.model.conftest import Cluster
from tests.model.harness import Batches, bags, context, history, second, watch
from tests.model.strategies import batches_of, pairs


class Step(NamedTuple):
    """Makes one more stream of (key, number) records out of those there are."""

    operator: str
    source: int
    other: int
    windows: int
    slides: int
    partitions: int | None


OPERATORS: dict[str, Callable[[Any, Any, Step, int], Any]] = {
    "map": lambda s, o, p, t: s.map(lambda pair: (pair[0], pair[1] % 7 - 3)),
    "filter": lambda s, o, p, t: s.filter(lambda pair: pair[1] % 3),
    "flat_map": lambda s, o, p, t: s.flat_map(lambda pair: [pair] * (pair[1] % 3)),
    "map_values": lambda s, o, p, t: s.map_values(lambda n: n + 1),
    "union": lambda s, o, p, t: s.union(o),
    "repartition": lambda s, o, p, t: s.repartition(p.windows),
    "partition_by": lambda s, o, p, t: s.partition_by(p.partitions),
    "transform": lambda s, o, p, t: s.transform(lambda rdd: rdd.filter(all)),
    "transform_with": lambda s, o, p, t: s.transform_with(lambda one, two: two.union(one), o),
    "reduce_by_key": lambda s, o, p, t: s.reduce_by_key(add, p.partitions),
    "group_by_key": lambda s, o, p, t: s.group_by_key(p.partitions).map_values(len),
    "count_by_value": lambda s, o, p, t: s.count_by_value(p.partitions).map(
        lambda counted: (counted[0][0], counted[1])
    ),
    "window": lambda s, o, p, t: s.window(p.windows * t, p.slides * t),
    "reduce_by_key_and_window": lambda s, o, p, t: s.reduce_by_key_and_window(
        add, sub, p.windows * t, p.slides * t, p.partitions
    ),
    "reduce_by_key_and_window, no inverse": lambda s, o, p, t: s.reduce_by_key_and_window(
        max, None, 2 * p.windows * t, p.slides * t, p.partitions
    ),
    "group_by_key_and_window": lambda s, o, p, t: s.group_by_key_and_window(
        p.windows * t, p.slides * t, p.partitions
    ).map_values(sum),
    "update_state_by_key": lambda s, o, p, t: s.update_state_by_key(
        lambda new, n: (sum(new) + (n or 0)) % 5 or None, p.partitions
    ),
}

steps = st.builds(
    Step,
    operator=st.sampled_from(sorted(OPERATORS)),
    source=st.integers(0, 9),
    other=st.integers(0, 9),
    windows=st.integers(1, 3),
    slides=st.integers(1, 2),
    partitions=st.none() | st.integers(1, 3),
)


def streams_of(first: Any, program: list[Step], second: int) -> list[Any]:
    """Return all streams of a program; ``second`` is a second in the unit of ``slide``."""
    streams = [first]
    for step in program:
        source = streams[step.source % len(streams)]
        alike = [stream for stream in streams if stream.slide == source.slide]
        other = alike[step.other % len(alike)]
        made = OPERATORS[step.operator](source, other, step, source.slide // second)
        streams.append(made)
    return streams


def results(batches: list[list[Any]], program: list[Step], executor: Any) -> list[Batches]:
    with context(executor) as ssc:
        seen = [watch(s) for s in streams_of(ssc.queue_stream(batches), program, 1000)]
        ssc.start()
        ssc.advance(len(batches))
        ssc.await_termination(timeout=0)
    return seen


def test_a_random_program_agrees_with_the_oracle(cluster: Cluster) -> None:
    @settings(max_examples=3 * cluster.examples)
    @given(
        batches_of(pairs, most=6),
        st.lists(steps, min_size=1, max_size=5),
        st.integers(1, 3),
    )
    def check(batches: list[list[Any]], program: list[Step], slots: int) -> None:
        found = results(batches, program, cluster.executor(slots))
        expected = streams_of(history(batches), program, 1)
        assert [bags(b) for b in found] == [bags(stream.batches) for stream in expected]

    check()


@settings(max_examples=25)
@given(batches_of(pairs, most=6), st.lists(steps, min_size=1, max_size=4))
def test_the_number_of_slots_changes_no_result(
    batches: list[list[Any]], program: list[Step]
) -> None:
    one, four = (results(batches, program, InlineExecutor(slots)) for slots in (1, 4))
    assert [bags(b) for b in one] == [bags(b) for b in four]


@settings(max_examples=15)
@given(batches_of(pairs, most=6), st.lists(steps, min_size=1, max_size=4))
def test_a_rerun_gives_the_same_rows_in_the_same_order(
    batches: list[list[Any]], program: list[Step]
) -> None:
    assert results(batches, program, None) == results(batches, program, None)


def test_a_run_over_history_gives_what_the_live_run_gives(cluster: Cluster) -> None:
    @settings(max_examples=2 * cluster.examples)
    @given(
        batches_of(pairs, most=6),
        st.lists(steps, min_size=1, max_size=5),
        st.integers(1, 3),
    )
    def check(batches: list[list[Any]], program: list[Step], slots: int) -> None:
        executor = cluster.executor(slots)
        live = results(batches, program, executor)
        with context(executor) as ssc:
            streams = streams_of(ssc.queue_stream(), program, 1000)
            for stream, expected in zip(streams, live, strict=True):
                found = ssc.run_batch(stream, batches, start=to_datetime(START))
                assert {second(time): rows for time, rows in found} == expected

    check()
