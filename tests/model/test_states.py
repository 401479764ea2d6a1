"""States in layers: whenever layers are merged, whatever is lost, what is held is the same."""

from __future__ import annotations

import gc
from collections.abc import Callable
from operator import add
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livebatch.engine.executors.base import Executor
from livebatch.engine.executors.inline import InlineExecutor
from livebatch.engine.executors.local import LocalExecutor
from livebatch.errors import DefinitionError, JobFailed, NotRunning
from livebatch.failure import Failure
from livebatch.interval import to_datetime
from livebatch.operators import layered
from livebatch.rdd import RDD, ancestors
from livebatch.stream import DStream
from livebatch.tasks import Failed, Outcome, Task
from livebatch.testing import START, ManualContext, run
from tests.model.catalogue import _count_or_drop, _with_length
from tests.model.conftest import Cluster
from tests.model.harness import bags, context, frozen, history, second, watch
from tests.model.killing import KillingExecutor
from tests.model.strategies import batches_of, pairs

EXPRESSIONS: list[Callable[[Any], Any]] = [
    lambda s: s.map_with_state(_count_or_drop, timeout=3, num_partitions=2),
    lambda s: s.map_with_state(_count_or_drop, initial=[("a", 5), (1, 7)]).state_snapshots(),
    lambda s: s.session_window(2, 100, add).map(_with_length),
]

long_histories = batches_of(pairs, most=14)


def at(number: int) -> Any:
    return to_datetime(START + number * 1000)


class Hindered:
    """Passes everything on, but fails some of the tasks that merge layers.

    Args:
        executor: that carries out the others.
        fails: says of the n-th such task whether it fails.
    """

    def __init__(self, executor: Executor, fails: Callable[[int], bool]) -> None:
        self._executor, self._fails = executor, fails
        self._failed: list[Outcome] = []
        self._merging: set[str] = set()
        for name in ("slots", "spares", "store", "kill", "resize", "pids", "timesheet", "close"):
            setattr(self, name, getattr(executor, name))

    def submit(self, task: Task) -> None:
        made = task.id.partition(".keep")[0]
        if "-" in made and made not in self._merging:
            self._merging.add(made)
            if not made.endswith("-first") and self._fails(len(self._merging)):
                self._failed.append(Failed(task.id, Failure("Hindered", "no merging now")))
                return
        self._executor.submit(task)

    def poll(self, timeout: float) -> list[Outcome]:
        failed, self._failed = self._failed, []
        return failed or self._executor.poll(timeout)


@pytest.fixture(params=[(2, 64), (3, 4), (8, 64)], ids=["eager", "crowded", "as it is"])
def merging(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers are merged early, or as part of batches, or as they are by default."""
    for name, value in zip(("FEWEST", "MOST"), request.param, strict=True):
        monkeypatch.setattr(layered, name, value)


@pytest.mark.usefixtures("merging", "every_block_stored")
def test_no_answer_depends_on_merging_or_on_lost_blocks() -> None:
    @settings(max_examples=8)
    @given(
        long_histories,
        st.lists(st.booleans(), max_size=30),
        st.lists(st.tuples(st.integers(1, 14), st.integers(0, 99)), max_size=10),
    )
    def check(batches: list[list[Any]], failing: list[bool], losses: list[tuple[int, int]]) -> None:
        hinders = layered.MOST > 20  # what batches merge themselves has to be merged
        fails = dict(enumerate(failing, 1)) if hinders else {}
        executor = Hindered(InlineExecutor(2), lambda n: fails.get(n, False))
        with context(executor) as ssc:
            stream = ssc.queue_stream(batches)
            seen = [watch(build(stream)) for build in EXPRESSIONS]
            ssc.start()
            for number in range(1, len(batches) + 1):
                ssc.advance(1)
                blocks = sorted(executor.store.ids()) or ["none"]  # type: ignore[attr-defined]
                for when, which in losses:
                    if when == number:
                        executor.store.delete(blocks[which % len(blocks)])  # type: ignore[attr-defined]
            ssc.await_termination(timeout=0)
        expected = [build(history(batches)).batches for build in EXPRESSIONS]
        assert [bags(found) for found in seen] == [bags(wanted) for wanted in expected]

    check()


@pytest.mark.process
def test_killed_workers_change_no_state(
    local: LocalExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layered, "FEWEST", 2)

    @settings(max_examples=3)
    @given(batches_of(pairs, most=12), st.lists(st.integers(1, 60), max_size=3, unique=True))
    def check(batches: list[list[Any]], moments: list[int]) -> None:
        with context(KillingExecutor(local, moments)) as ssc:
            stream = ssc.queue_stream(batches)
            seen = [watch(build(stream)) for build in EXPRESSIONS]
            ssc.start()
            ssc.advance(len(batches))
            ssc.await_termination(timeout=0)
        expected = [build(history(batches)).batches for build in EXPRESSIONS]
        assert [bags(found) for found in seen] == [bags(wanted) for wanted in expected]

    check()


@pytest.mark.usefixtures("merging")
def test_batches_that_pile_up_agree_too() -> None:
    batches = [[(n % 7, n), ("a", n)] for n in range(40)]
    with context() as ssc:
        seen = [watch(build(ssc.queue_stream(batches))) for build in EXPRESSIONS]
        ssc.start()
        ssc.clock.advance(40_000)
        ssc.stepped.run()
        ssc.await_termination(timeout=0)
    expected = [build(history(batches)).batches for build in EXPRESSIONS]
    assert [bags(found) for found in seen] == [bags(wanted) for wanted in expected]


# -- asking for states -----------------------------------------------------------------------


STATEFUL: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    "update_state_by_key": lambda s: 2 * (
        s.update_state_by_key(lambda new, n: None if sum(new) > 7 else sum(new) + (n or 0), 3),),
    "map_with_state": lambda s: (
        mapped := s.map_with_state(_count_or_drop, timeout=3, num_partitions=3),
        mapped.state_snapshots()),
}  # fmt: skip


@pytest.mark.parametrize("name", STATEFUL)
@pytest.mark.usefixtures("merging")
def test_states_are_those_of_the_oracle(name: str, cluster: Cluster) -> None:
    @settings(max_examples=cluster.examples // 3 + 1)
    @given(batches_of(pairs, most=12), st.integers(1, 3))
    def check(batches: list[list[Any]], slots: int) -> None:
        states = {t: dict(rows) for t, rows in STATEFUL[name](history(batches))[1].batches.items()}
        last = len(batches)
        keys = {key for rows in states.values() for key in rows} | {"never"}
        with context(cluster.executor(slots)) as ssc:
            made = STATEFUL[name](ssc.queue_stream(batches))[0]
            stream = ssc.register("s", made.map(lambda row: row))
            ssc.start()
            ssc.advance(last)
            for key in keys:
                expected = [(t, rows[key]) for t, rows in states.items() if key in rows]
                found = stream.state.history(key)
                assert [(second(time), value) for time, value in found] == expected
                assert stream.state.get(key, "none") == states[last].get(key, "none")
            for t in range(1, last + 1):
                assert stream.state.at(at(t)).collect_as_map() == states[t]
            assert stream.state.latest().count() == len(states[last])
            (status,) = ssc.status().streams
            assert status.keys == len(states[last])

    check()


def test_a_key_is_asked_for_in_its_partition_alone() -> None:
    batches = [[(n, n) for n in range(40)]]
    with context() as ssc:
        counts = ssc.queue_stream(batches).map_with_state(_count_or_drop, num_partitions=4)
        ssc.register("counts", counts)
        ssc.start()
        ssc.advance(1)
        submit, tasks = ssc.stepped.executor.submit, []
        ssc.stepped.executor.submit = lambda task: (tasks.append(task), submit(task))  # type: ignore[method-assign]
        assert counts.state[7] == 7
        assert len(tasks) == 1
        attached: DStream[Any] = DStream((), 1000)
        attached.name, attached.context = "counts", ssc
        assert attached.state[7] == 7
        assert counts.state.get("no") is None
        with pytest.raises(KeyError, match="no"):
            counts.state["no"]


def test_a_state_that_cannot_be_asked_for_says_why() -> None:
    with context() as ssc:
        numbers = ssc.queue_stream([[1]])
        ssc.register("numbers", numbers)
        both = numbers.map(lambda n: (n, n)).session_window(2)
        ssc.register("both", both.union(numbers.map(lambda n: (n, 1)).session_window(3)))
        ssc.register("sessions", numbers.map(lambda n: (n, n)).session_window(2))
        with pytest.raises(NotRunning, match="no state of sessions from then is kept"):
            ssc.streams["sessions"].state.latest()
        with pytest.raises(NotRunning, match="numbers has no state"):
            numbers.state["a"]
        with pytest.raises(NotRunning, match="both is computed by several states"):
            ssc.streams["both"].state["a"]
        with pytest.raises(NotRunning, match="only a stream with a name is kept"):
            numbers.map(abs).state["a"]
        with pytest.raises(NotRunning, match="not made by map_with_state here"):
            numbers.state_snapshots()


def test_states_are_kept_as_long_as_the_batches_of_the_stream() -> None:
    with context() as ssc:
        pairs = ssc.queue_stream(default=[("a", 1)])
        counts = ssc.register("counts", pairs.map_with_state(_count_or_drop), retain="40s")
        ssc.start()
        ssc.advance(100)
        times = [second(time) for time, _ in counts.state.history("a")]
        assert len(counts.last("40s").collect()) == 40
        assert set(range(61, 101)) - set(times) == {t for t in range(61, 101) if not t % 13}
        assert min(times) >= 60


# -- what functions may do -------------------------------------------------------------------


def test_what_is_changed_in_place_is_kept_only_by_update() -> None:
    def note(key: str, value: int, state: Any) -> list[int]:
        noted = state.get([])
        noted.append(value)
        if value % 2:
            state.update(noted)
        return list(noted)

    batches = [[("a", 1)], [("a", 2), ("a", 4)], [("a", 3)]]
    assert run(lambda s: s.map_with_state(note), batches) == [
        [[1]], [[1, 2], [1, 4]], [[1, 3]],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("misuse", "message"),
    [
        (lambda state: state.get(), "the key has no state"),
        (lambda state: state.is_timing_out() and state.update(1), None),
    ],
)
def test_misuse_of_a_state_says_what_to_do(misuse: Any, message: str | None) -> None:
    def function(key: str, value: int, state: Any) -> Any:
        return misuse(state)

    with context() as ssc:
        watch(ssc.queue_stream([[("a", 1)]]).map_with_state(function, timeout=1))
        ssc.start()
        ssc.advance(3)
        if message is None:
            ssc.await_termination(timeout=0)
        else:
            with pytest.raises(JobFailed, match=message):
                ssc.await_termination(timeout=0)


@pytest.mark.parametrize("use", ["update", "remove"])
def test_a_state_that_times_out_is_beyond_help(use: str) -> None:
    def function(key: str, value: int, state: Any) -> None:
        if state.is_timing_out():
            state.update(1) if use == "update" else state.remove()
        else:
            state.update(value)

    with context() as ssc:
        watch(ssc.queue_stream([[("a", 1)]]).map_with_state(function, timeout=1))
        ssc.start()
        ssc.advance(4)
        with pytest.raises(JobFailed, match="while it times out; it is dropped anyway"):
            ssc.await_termination(timeout=0)


def test_a_failed_batch_leaves_the_state_as_it_was() -> None:
    def total(key: str, value: int, state: Any) -> int:
        state.update(state.get(0) + value)
        return 60 // value and state.get()

    with context() as ssc:
        seen = watch(
            ssc.queue_stream([[("a", n)] for n in (1, 2, 0, 3, 0, 4)]).map_with_state(total)
        )
        ssc.start()
        ssc.advance(6)
    assert seen == {1: [1], 2: [3], 4: [6], 6: [10]}


def test_an_initial_state_may_be_an_rdd() -> None:
    with context() as ssc:
        given = ssc.parallelize(range(5), 3).map(lambda n: (n, n * 10))
        numbers = ssc.queue_stream([[(3, 1), (9, 1)]])
        mapped = watch(numbers.map_with_state(_count_or_drop, initial=given).state_snapshots())
        updated = watch(numbers.update_state_by_key(
            lambda new, n: sum(new) + (n or 0), 2, given))  # fmt: skip
        ssc.start()
        ssc.advance(1)
    assert bags(updated) == bags({1: [(0, 0), (1, 10), (2, 20), (3, 31), (4, 40), (9, 1)]})
    assert bags(mapped) == bags({1: [(0, 0), (1, 10), (2, 20), (4, 40), (9, 1)]})


def test_sessions_tell_when_they_were() -> None:
    (closed,) = [batch for batch in run(
        lambda s: s.session_window("2s"), [[], [("a", 1)], [("a", 2), ("a", 3)], [], [], []]
    ) if batch]  # fmt: skip
    assert closed == [("a", [1, 2, 3], at(2), at(5))]
    assert closed[0].value == [1, 2, 3]


def test_a_zero_value_without_a_function_is_refused() -> None:
    with ManualContext() as ssc, pytest.raises(DefinitionError, match="function to fold"):
        ssc.queue_stream().session_window("2s", 0)


# -- for a long time -------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [1, 3])
@pytest.mark.parametrize(
    "build",
    [
        lambda s: s.update_state_by_key(lambda new, n: sum(new) + (n or 0)),
        lambda s: s.map_with_state(lambda key, new, state: state.update(new)),
    ],
    ids=["update_state_by_key", "map_with_state"],
)
def test_rule_07_states_cut_their_lineage(build: Any, seconds: int) -> None:
    with ManualContext(seconds) as ssc:
        pairs = ssc.queue_stream(default=[("a", 1), ("b", 2)])
        ssc.register("state", build(pairs), retain="3s")
        ssc.start()
        ssc.advance(57)
        state = ssc.stepped.engine.graph.state_of("state")
        assert state.checkpoint_interval == {1: 10_000, 3: 12_000}[seconds]
        assert state.remember == 2 * state.checkpoint_interval
        stack, uncut = list(state.state_at(max(state.generated))), set()
        while stack:
            rdd = stack.pop()
            parents = [parent for _, parents in rdd.origins() for parent in parents]
            if parents and rdd.id.startswith(f"{state.id}@"):
                uncut.add(int(rdd.id.partition("@")[2].partition("-")[0]))
            stack += parents
        assert min(uncut) > START + 57_000 - state.remember


def weigh(ssc: ManualContext) -> tuple[int, int, int, int]:
    """Return the blocks and bytes stored, the RDDs there are, and those in the deepest lineage."""
    gc.collect()
    store = ssc.stepped.executor.store
    nodes = ssc.stepped.engine.graph.nodes.values()
    every = [rdd for node in nodes for rdd in node.held()]
    origins = [parent for rdd in every for _, parents in rdd.origins() for parent in parents]
    return (
        len(store.ids()),  # type: ignore[attr-defined]
        store.used(),
        sum(isinstance(thing, RDD) for thing in gc.get_objects()),
        len({node.id for rdd in (*every, *origins) for node in ancestors(rdd)}),
    )


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("every_block_stored")
@pytest.mark.parametrize("batches", [900])
def test_memory_and_lineage_are_flat_over_many_batches(batches: int) -> None:
    rows = [[(n * step % 50, 1) for n in range(5)] for step in (1, 3, 7)]
    with context(InlineExecutor(slots=1)) as ssc:
        source = ssc.queue_stream(default=rows[0]).union(ssc.queue_stream(rows * 9))
        mapped = source.map_with_state(_count_or_drop, timeout=5)
        ssc.register("mapped", mapped, retain="30s")
        ssc.register("sessions", source.session_window(2, 0, add), retain="5s")
        ssc.start()
        ssc.advance(100)
        early = [(ssc.advance(2), weigh(ssc))[1] for _ in range(50)]
        ssc.advance(batches - 300)
        late = [(ssc.advance(2), weigh(ssc))[1] for _ in range(50)]
        ssc.await_termination(timeout=0)
    assert all(max(b) <= 1.1 * max(a) for a, b in zip(zip(*early), zip(*late), strict=True))  # noqa: B905


def test_equal_keys_are_one_whatever_they_are() -> None:
    batches = [[(1, 1)], [(True, 1)], [(1.0, 1)], [(frozen([1]), 2), (("list", 1.0), 2)]]
    last = run(lambda s: s.map_with_state(_count_or_drop).state_snapshots(), batches)[-1]
    assert sorted(last, key=str) == sorted([(1, 3), (("list", 1), 4)], key=str)
