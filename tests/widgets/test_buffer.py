from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from livebatch.widgets.buffer import Buffer, Frame, stretches, thin

WINDOW = 1000.0


class Page:
    """What the browser keeps, by the same rules as `static/line.js`."""

    def __init__(self) -> None:
        self.lines: dict[str, tuple[list[float], list[float]]] = {}

    def apply(self, frame: Frame, *, key: bool) -> None:
        if key:
            self.lines.clear()
        for name in frame.drop:
            self.lines.pop(name, None)
        for part in frame.parts:
            x, y = ([], []) if part.whole else self.lines.get(part.key, ([], []))
            self.lines[part.key] = ([*x, *part.x], [*y, *part.y])
        for name, (x, y) in self.lines.items():
            first = max(int(np.searchsorted(x, frame.end - WINDOW)) - 1, 0)
            self.lines[name] = (x[first:], y[first:])


def shown(frame: Frame) -> dict[str, list[float]]:
    return {part.key: part.y.tolist() for part in frame.parts}


def points(x: list[float], y: list[float]) -> tuple[np.ndarray, np.ndarray]:
    return np.array(x), np.array(y)


batches = st.lists(
    st.tuples(
        st.integers(0, 400),
        st.dictionaries(
            st.sampled_from("abcdef"),
            st.lists(st.tuples(st.integers(-900, 0), st.integers(1, 9)), max_size=4),
            max_size=4,
        ),
        st.booleans(),
    ),
    max_size=30,
)


@given(batches)
def test_deltas_lead_to_the_same_picture_as_a_keyframe(
    batches: list[tuple[int, dict[str, list[tuple[int, int]]], bool]],
) -> None:
    buffer, page, end = Buffer(WINDOW, lines=3, limit=40), Page(), 0.0
    for step, lines, look in batches:
        end += step
        added = {
            key: points([end + x for x, _ in sorted(rows)], [float(y) for _, y in sorted(rows)])
            for key, rows in lines.items()
        }
        buffer.add(added, end)
        if look:
            page.apply(buffer.delta(), key=False)
    page.apply(buffer.delta(), key=False)
    everything = buffer.keyframe()
    assert {key: y for key, (_, y) in page.lines.items()} == shown(everything)
    assert {part.slot for part in everything.parts} <= {0, 1, 2}
    assert len({part.slot for part in everything.parts}) == len(everything.parts)


def test_a_delta_says_each_point_once() -> None:
    buffer = Buffer(WINDOW)
    buffer.add({"a": points([1, 2], [5, 6])}, end=2)
    assert shown(buffer.delta()) == {"a": [5, 6]}
    buffer.add({"a": points([3], [7])}, end=3)
    delta = buffer.delta()
    assert shown(delta) == {"a": [7]}
    assert not delta.parts[0].whole
    assert buffer.delta().parts == []


def test_points_leave_with_the_window_and_one_stays_to_lead_in() -> None:
    buffer = Buffer(WINDOW)
    buffer.add({"a": points([0, 100, 900], [1, 2, 3])}, end=900)
    buffer.add({"a": points([1500], [4])}, end=1500)
    assert shown(buffer.keyframe()) == {"a": [2, 3, 4]}


def test_a_silent_line_is_dropped_when_its_last_point_has_left() -> None:
    buffer = Buffer(WINDOW)
    buffer.add({"a": points([0], [1]), "b": points([0], [1])}, end=0)
    buffer.delta()
    buffer.add({"b": points([1200], [2])}, end=1200)
    delta = buffer.delta()
    assert delta.drop == ["a"]
    assert shown(delta) == {"b": [2]}
    assert buffer.tracked == {"b"}


def test_empty_batches_move_the_window() -> None:
    buffer = Buffer(WINDOW)
    buffer.add({"a": points([0], [1])}, end=0)
    buffer.delta()
    buffer.add({}, end=5000)
    assert (buffer.delta().drop, buffer.tracked) == (["a"], set())


def test_a_late_point_is_put_in_its_place_and_the_line_sent_whole() -> None:
    buffer = Buffer(WINDOW)
    buffer.add({"a": points([100, 300], [1, 3])}, end=300)
    buffer.delta()
    buffer.add({"a": points([200], [2])}, end=300)
    delta = buffer.delta()
    assert shown(delta) == {"a": [1, 2, 3]}
    assert delta.parts[0].whole


def test_the_largest_lines_are_shown_and_keep_their_colour() -> None:
    buffer = Buffer(WINDOW, lines=2)
    buffer.add({key: points([0], [size]) for key, size in {"a": 9, "b": 5, "c": 1}.items()}, end=0)
    before = {part.key: part.slot for part in buffer.keyframe().parts}
    assert set(before) == {"a", "b"}
    buffer.add({"c": points([900], [50])}, end=900)
    assert set(shown(buffer.keyframe())) == {"a", "b"}, "places change once a second at most"
    buffer.add({"a": points([990], [1]), "c": points([1000], [50])}, end=1000)
    delta = buffer.delta()
    after = {part.key: part.slot for part in buffer.keyframe().parts}
    assert delta.drop == ["b"]
    assert shown(delta) == {"a": [1], "c": [1, 50, 50]}
    assert after == {"a": before["a"], "c": before["b"]}


def test_equals_do_not_take_turns() -> None:
    buffer = Buffer(1e6, lines=1)
    buffer.add({"a": points([0], [10]), "b": points([0], [10])}, end=0)
    for end in range(2000, 20_000, 2000):
        buffer.add({"b": points([end], [1])}, end)
        buffer.add({"a": points([end], [1])}, end)
    assert set(shown(buffer.keyframe())) == {"a"}


def test_memory_is_bounded_in_points_and_in_lines() -> None:
    buffer = Buffer(1e9, lines=2, limit=100)
    for i in range(500):
        buffer.add({f"k{i}": points([i], [i]), "big": points([i], [1e6])}, i)
        assert sum(len(part.x) for part in buffer.keyframe().parts) <= 100
    assert len(buffer.tracked) <= 6
    big = next(part for part in buffer.keyframe().parts if part.key == "big")
    assert big.x[0] == 0, "a full buffer gets coarser, not shorter"
    assert big.x[-1] == 499


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200), st.integers(2, 40))
def test_thinning_keeps_order_and_extremes(values: list[float], limit: int) -> None:
    y = np.array(values)
    x, kept = thin(np.arange(len(y), dtype=float), y, limit)
    assert len(kept) <= max(limit, 3)
    assert (kept.min(), kept.max()) == (y.min(), y.max())
    assert (x[-1], kept[-1]) == (len(y) - 1, y[-1])
    assert np.all(np.diff(x) > 0)
    assert x[-1] == len(y) - 1


@given(st.integers(0, 2**32), st.integers(500, 4000), st.integers(50, 200))
def test_thinning_keeps_the_outline_of_every_stretch(seed: int, n: int, limit: int) -> None:
    random = np.random.default_rng(seed)
    every, y = np.sort(random.uniform(0, 1e6, n)), random.normal(size=n)
    x, kept = thin(every, y, limit)
    whole = stretches(every, (limit - 1) // 2)
    rest = whole[np.searchsorted(every, x)]
    for i in np.unique(whole):
        before, after = y[whole == i], kept[rest == i]
        assert (after.min(), after.max()) == (before.min(), before.max())


def test_the_old_is_not_coarser_than_the_new() -> None:
    buffer = Buffer(1e9, limit=1000)
    for i in range(200):
        times = np.arange(100.0) + 100 * i
        buffer.add({"a": (times, np.sin(times))}, end=float(times[-1]))
    [part] = buffer.keyframe().parts
    assert np.diff(part.x[part.x < part.x[-1] / 2]).max() < 200


def test_points_are_known_without_being_taken_for_sent() -> None:
    buffer = Buffer(WINDOW)
    buffer.add({"a": points([1, 2], [5, 6])}, end=2)
    assert [(part.key, part.y.tolist()) for part in buffer.points()] == [("a", [5, 6])]
    assert shown(buffer.delta()) == {"a": [5, 6]}


def test_the_window_may_change() -> None:
    buffer = Buffer(WINDOW)
    buffer.add({"a": points([0, 100, 900], [1, 2, 3])}, end=900)
    buffer.window = 100.0
    buffer.add({"a": points([950], [4])}, end=950)
    assert shown(buffer.keyframe()) == {"a": [2, 3, 4]}
