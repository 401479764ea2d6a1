"""Adding, replacing and removing streams while the others run."""

from __future__ import annotations

from collections.abc import Iterator
from operator import add, sub
from pathlib import Path
from typing import Any

import pytest

import livebatch.operators  # noqa: F401  (streams get their methods)
from livebatch.errors import DefinitionError, NotRunning
from livebatch.graph import Graph
from livebatch.stream import DStream
from livebatch.testing import ManualContext
from tests.model.harness import context, watch


@pytest.fixture
def ssc() -> Iterator[ManualContext]:
    with context() as ssc:
        yield ssc


@pytest.fixture
def numbers(ssc: ManualContext) -> DStream[int]:
    """A stream called ``numbers``: [1], [2], [3], … once the context is started."""
    return ssc.register("numbers", ssc.queue_stream([[n] for n in range(1, 31)]))


def value_of(pair: tuple[Any, Any]) -> Any:
    return pair[1]


def graph_of(ssc: ManualContext) -> Graph:
    return ssc.stepped.engine.graph


# -- adding ----------------------------------------------------------------------------------


def test_a_stream_takes_part_from_the_next_batch_on(ssc: Any, numbers: Any) -> None:
    ssc.start()
    ssc.advance(2)
    doubled = watch(numbers.map(lambda n: n * 2))
    ssc.advance(2)
    assert doubled == {3: [6], 4: [8]}


def test_nothing_happens_between_two_batches(ssc: Any, numbers: Any) -> None:
    ssc.start()
    ssc.advance(1.5)
    seen = watch(numbers)
    ssc.advance(0.25)
    assert seen == {}
    ssc.advance(0.25)
    assert seen == {2: [2]}


def test_a_window_defined_late_starts_with_what_is_remembered(ssc: Any, numbers: Any) -> None:
    ssc.start()
    ssc.advance(4)
    windows = watch(numbers.window(3))
    ssc.advance(2)
    assert {at: sorted(rows) for at, rows in windows.items()} == {5: [3, 4, 5], 6: [4, 5, 6]}


def test_late_windows_slide_in_step_with_early_ones(ssc: Any, numbers: Any) -> None:
    early = watch(numbers.window(4, 2))
    ssc.start()
    ssc.advance(3)
    late = watch(numbers.window(4, 2))
    ssc.advance(4)
    assert list(late) == [4, 6]
    assert sorted(late[6]) == sorted(early[6]) == [3, 4, 5, 6]


def test_a_late_state_begins_from_its_initial_state(ssc: Any, numbers: Any) -> None:
    ssc.start()
    ssc.advance(2)
    sums = numbers.map(lambda n: ("sum", n)).update_state_by_key(
        lambda new, total: sum(new) + (total or 0), initial_rdd=[("sum", 100)]
    )
    seen = watch(sums)
    ssc.advance(2)
    assert seen == {3: [("sum", 103)], 4: [("sum", 107)]}


def test_a_second_name_is_a_stream_of_its_own(ssc: Any, numbers: Any) -> None:
    ssc.register("figures", numbers)
    figures = watch(ssc.streams["figures"])
    ssc.start()
    ssc.advance(1)
    ssc.register("numbers", ssc.queue_stream([[-1], [-2]]))
    ssc.advance(1)
    assert figures == {1: [1], 2: [-1]}
    ssc.remove("figures")
    assert numbers.latest().collect() == [-1]


# -- replacing -------------------------------------------------------------------------------


def test_children_follow_a_stream_that_is_replaced(ssc: Any, numbers: Any) -> None:
    direct = watch(numbers.map(str))
    named = ssc.register("doubled", numbers.map(lambda n: n * 2))
    indirect = watch(named.union(numbers))
    ssc.start()
    ssc.advance(2)
    ssc.register("numbers", ssc.queue_stream([[n] for n in (70, 80, 90)]))
    ssc.advance(2)
    assert direct == {1: ["1"], 2: ["2"], 3: ["70"], 4: ["80"]}
    assert {at: sorted(r) for at, r in indirect.items()} == {
        1: [1, 2], 2: [2, 4], 3: [70, 140], 4: [80, 160],
    }  # fmt: skip


def test_windows_turn_over_to_a_replacement(ssc: Any, numbers: Any) -> None:
    windows = watch(numbers.window(2))
    keyed = numbers.map(lambda n: ("sum", n))
    sliding = watch(keyed.reduce_by_key_and_window(add, sub, 2))
    total = watch(keyed.update_state_by_key(lambda new, n: sum(new) + (n or 0)))
    ssc.start()
    ssc.advance(3)
    ssc.register("numbers", ssc.queue_stream([[70], [80]]))
    ssc.advance(2)
    assert sorted(windows[5]) == [70, 80]
    assert sliding == {1: [("sum", 1)], 2: [("sum", 3)], 3: [("sum", 5)],
                       4: [("sum", 73)], 5: [("sum", 150)]}  # fmt: skip
    assert total[5] == [("sum", 1 + 2 + 3 + 70 + 80)]


def test_a_replaced_stream_takes_its_own_outputs_along(ssc: Any, numbers: Any) -> None:
    with ssc.defining("tags"):
        tags = ssc.register("tags", numbers.map(str))
        mine = watch(tags)
    others = watch(tags)
    ssc.start()
    ssc.advance(1)
    ssc.register("tags", numbers.map(lambda n: -n))
    ssc.advance(1)
    assert mine == {1: ["1"]}
    assert others == {1: ["1"], 2: [-2]}


def test_an_input_that_nobody_uses_any_more_is_gone(ssc: Any, numbers: Any) -> None:
    ssc.register("numbers", ssc.queue_stream([[1]]))
    assert len(list(graph_of(ssc).inputs)) == len(graph_of(ssc).nodes) == 1


def test_a_stream_cannot_be_computed_from_itself(ssc: Any, numbers: Any) -> None:
    doubled = ssc.register("doubled", numbers.map(lambda n: n * 2))
    version = graph_of(ssc).version
    for stream in (numbers.map(abs), doubled, doubled.window(2).union(numbers)):
        with pytest.raises(DefinitionError, match="numbers would be computed from itself"):
            ssc.register("numbers", stream)
    assert graph_of(ssc).version == version
    seen = watch(doubled)
    ssc.start()
    ssc.advance(2)
    assert seen == {1: [2], 2: [4]}


def test_a_replacement_must_fit_those_who_use_the_stream(ssc: Any, numbers: Any) -> None:
    ssc.register("recent", numbers.window(2))
    with pytest.raises(DefinitionError, match="numbers is used by a stream whose slide 1s must"):
        ssc.register("numbers", ssc.queue_stream().window(2, 2))


@pytest.mark.parametrize("name", ["", "a b", "1st", "a-b", "@a", "a.b"])
def test_a_name_is_a_python_name(ssc: Any, name: str) -> None:
    with pytest.raises(DefinitionError, match="must be a Python name such as word_counts"):
        ssc.register(name, ssc.queue_stream())
    assert not graph_of(ssc).nodes


# -- removing --------------------------------------------------------------------------------


def test_a_stream_that_others_use_is_not_removed(ssc: Any, numbers: Any) -> None:
    ssc.register("doubled", numbers.map(lambda n: n * 2))
    ssc.register("recent", ssc.streams["doubled"].window(2))
    with pytest.raises(DefinitionError, match=r"numbers is used by doubled, recent: stop those"):
        ssc.remove("numbers")
    with pytest.raises(DefinitionError, match=r"doubled is used by recent: stop"):
        ssc.remove("doubled")
    ssc.start()
    ssc.advance(2)
    assert sorted(ssc.streams["recent"].latest().collect()) == [2, 4]


def test_removing_goes_from_the_end(ssc: Any, numbers: Any) -> None:
    doubled = ssc.register("doubled", numbers.map(lambda n: n * 2))
    seen = watch(doubled)
    ssc.start()
    ssc.advance(1)
    ssc.remove("doubled")
    ssc.advance(1)
    assert seen == {1: [2]}
    assert numbers.latest().collect() == [2]
    ssc.remove("numbers")
    assert not graph_of(ssc).nodes
    assert not graph_of(ssc).outputs
    ssc.advance(1)


def test_what_was_removed_is_not_there(ssc: Any, numbers: Any) -> None:
    ssc.remove("numbers")
    for use in (lambda: ssc.remove("numbers"), numbers.latest, lambda: watch(numbers.map(abs))):
        with pytest.raises(NotRunning, match=r"there is no stream numbers .* run its cell again"):
            use()


def test_a_removed_stream_can_come_back(ssc: Any) -> None:
    stream = ssc.register("again", ssc.queue_stream([[1], [2]]).map(abs))
    ssc.start()
    ssc.advance(1)
    ssc.remove("again")
    ssc.advance(1)
    ssc.register("again", stream)
    seen = watch(stream)
    ssc.advance(1)
    assert list(seen) == [3]


# -- what is defined late, or does not fit ---------------------------------------------------


@pytest.mark.parametrize(
    "build",
    [
        lambda s: s.map(lambda n: 1).window(3).count(),
        lambda s: s.count_by_window(3),
        lambda s: s.map(lambda n: ("n", 1)).reduce_by_key_and_window(add, None, 3).map(value_of),
        lambda s: s.map(lambda n: ("n", 1)).reduce_by_key_and_window(add, sub, 3).map(value_of),
    ],
)
def test_all_windows_defined_late_start_with_what_is_remembered(
    ssc: Any, numbers: Any, build: Any
) -> None:
    ssc.start()
    ssc.advance(4)
    counts = watch(build(numbers))
    ssc.advance(1)
    assert counts == {5: [3]}


@pytest.mark.parametrize("build", [lambda s: s, lambda s: s.map(abs)], ids=["input", "mapped"])
def test_a_late_window_may_reach_back_further_than_what_is_remembered(ssc: Any, build: Any) -> None:
    source = ssc.queue_stream([[n] for n in range(1, 31)])
    numbers = ssc.register("numbers", build(source), retain="2s")
    ssc.start()
    ssc.advance(10)
    windows = watch(numbers.window(20))
    ssc.advance(1)
    assert set(windows[11]) <= set(range(1, 12))
    assert set(windows[11]) >= {10, 11}


def test_a_replacement_must_have_the_slide_of_those_who_do_not_collect(ssc: Any) -> None:
    numbers = ssc.register("numbers", ssc.queue_stream().window(2, 2))
    seen = watch(numbers.map(abs))
    ssc.start()
    ssc.advance(2)
    try:
        ssc.register("numbers", ssc.queue_stream([[1], [2], [3], [4]]))
    except DefinitionError:
        return
    ssc.advance(4)
    assert sorted(n for rows in seen.values() for n in rows) == [1, 2, 3, 4]


def test_a_replacement_must_fit_the_lengths_of_windows(ssc: Any, numbers: Any) -> None:
    ssc.register("recent", numbers.window(3, 2))
    with pytest.raises(DefinitionError, match="window 3s must be a multiple of 2s"):
        ssc.register("numbers", ssc.queue_stream().window(2, 2))


def test_no_kind_of_stream_hides_an_operator(ssc: Any, tmp_path: Path) -> None:
    operators = {name for name, value in vars(DStream).items() if callable(value)}
    stream = ssc.queue_stream()
    dataset = ssc.refreshed(lambda: None, every=2)
    made = stream.count_by_value_and_window(2).union(stream).transform(lambda rdd: dataset)
    mapped = made.map_with_state(max)
    made = mapped.union(mapped.state_snapshots()).window(2).update_state_by_key(max)
    made = made.reduce_by_key_and_window(add, None, 9).errors.to_text(tmp_path)
    kinds, todo = set(), [made]
    while todo:
        node = todo.pop()
        kinds.update(kind for kind in type(node).__mro__ if issubclass(kind, DStream))
        todo.extend(node.parents)
        assert not operators & set(vars(node)), type(node)
    found = {kind for kind in DStream.kinds.values() if kind.__module__[:9] == "livebatch"}
    assert kinds == {kind for kind in found if ".frames." not in kind.__module__} | {DStream}


def test_a_keyword_is_no_name(ssc: Any) -> None:
    with pytest.raises(DefinitionError):
        ssc.register("class", ssc.queue_stream())


@pytest.mark.parametrize(
    "build",
    [
        lambda s: s.repartition(0),
        lambda s: s.reduce_by_key(add, -1),
        lambda s: s.group_by_key("four"),
        lambda s: s.top("ten"),
        lambda s: s.update_state_by_key(max, num_partitions=-1),
    ],
)
def test_wrong_numbers_are_refused_where_they_are_written(ssc: Any, build: Any) -> None:
    with pytest.raises(DefinitionError):
        build(ssc.queue_stream())
