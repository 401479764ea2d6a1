"""How streams are computed, in words: labels, the tree, and what stages cost."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import add, sub
from typing import Any

import pytest

from livebatch.errors import NotRunning
from livebatch.explain import debug_text, label_of
from livebatch.lambdas import called
from livebatch.testing import ManualContext


def named(word: str) -> str:
    return word


class Caller:
    def __call__(self, word: str) -> str:
        return word

    def method(self, word: str) -> str:
        return word


def local() -> Callable[[str], str]:
    def inner(word: str) -> str:
        return word

    return inner


# fmt: off
@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (named, "named"),
        (str.split, "str.split"),
        (len, "len"),
        (local(), "inner"),
        (Caller(), "Caller"),
        (Caller().method, "Caller.method"),
        (partial(named), "partial"),
        (lambda word: (word, 1), "lambda word: (word, 1)"),
        (lambda: 1, "lambda: 1"),
        (lambda a, b=2, *rest, c: a, "lambda a, b=2, *rest, c: a"),
        ((lambda a: a + 1, lambda b: b - 1)[1], "lambda b: b - 1"),
        (lambda word: word + "é" + str(
            len(word)), 'lambda word: word + "é" + str( len(word))'),
        (lambda words: [w for w in words if w], "lambda words: [w for w in words if w]"),
        (lambda word: lambda other: word + other, "lambda word: lambda other: word + other"),
        (lambda a: "one", 'lambda a: "one"'),
    ],
)
def test_what_functions_are_called(function: Callable[..., Any], expected: str) -> None:
    assert called(function) == expected
# fmt: on


def test_a_lambda_without_a_source_and_a_long_one() -> None:
    assert called(eval("lambda word: word")) == "lambda"
    long = called(lambda word: word + "01234567890123456789012345678901234567890123456789012345")
    assert len(long) == 60
    assert long.endswith("…")


def test_labels() -> None:
    with ManualContext("1s") as ssc:
        words = ssc.queue_stream()
        pairs = words.map(lambda word: (word, 1))
        found = [
            ssc.rate_stream(50),
            words.top(3, key=len),
            words.window("10s", "2s"),
            pairs.reduce_by_key_and_window(add, sub, "10s"),
            pairs.update_state_by_key(named),
            words.transform(lambda time, rdd: rdd),
            words.repartition(4),
            pairs.map_with_state(named, timeout="10s").parents[0],
            pairs.update_state_by_key(named, initial_rdd=ssc.parallelize([])),
        ]
        labels = [label_of(stream) for stream in found]
        assert labels[0].startswith("rate_stream(")
        assert labels[1:] == [
            "map_partitions(largest(3, len))",
            "window(10s)",
            "reduce_by_key_and_window(10s, add, sub)",
            "update_state_by_key(named)",
            "transform(lambda time, rdd: rdd)",
            "repartition(4)",
            "map_with_state(named)",
            "update_state_by_key(named)",
        ]


def test_a_running_stream_says_what_its_stages_cost() -> None:
    with ManualContext("1s") as ssc:
        lines = ssc.register("lines", ssc.queue_stream(default=["a b", "b c a"]))
        counts = lines.flat_map(str.split).count_by_value()
        counts = ssc.register("counts", counts)
        unmoved = ssc.explained("counts")
        assert {(node.cost, node.rows) for node in unmoved.nodes} == {(None, None)}
        ssc.start()
        ssc.advance("2s")
        found = ssc.explained("counts")
        nodes = {node.label.partition("(")[0]: node for node in found.nodes}
        assert nodes["queue_stream"].name == "lines"
        assert nodes["queue_stream"].rows == 2
        assert found.nodes[-1].name == "counts"
        assert found.nodes[-1].rows == 3
        assert found.nodes[-1].time == ssc.clock.now()
        split, first, last = (
            nodes["flat_map"].cost,
            nodes["queue_stream"].cost,
            found.nodes[-1].cost,
        )
        assert split is not None
        assert first is not None
        assert last is not None
        assert (first.stage, split.stage, last.stage) == ("1", "2", "3")
        assert (split.tasks, split.rows) == (1, 2)
        assert nodes["flat_map"].rows is None, "its rows pass through"
        assert last.tasks == 2
        assert last.seconds > 0


def test_costs_go_with_their_streams() -> None:
    with ManualContext("1s") as ssc:
        ssc.register("numbers", ssc.queue_stream(default=[1]).map(str))
        ssc.start()
        ssc.advance("1s")
        engine = ssc.stepped.engine
        assert set(engine._costs) == set(engine.graph.nodes)
        ssc.remove("numbers")
        assert engine._costs == {}


def test_a_stream_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    with ManualContext("1s") as ssc:
        lines = ssc.register("lines", ssc.queue_stream())
        both = lines.map(str.upper).union(lines)
        both.explain()
        assert capsys.readouterr().out == (
            "union()\n├─ map(str.upper)\n│  └─ lines = queue_stream()\n└─ lines (see above)\n"
        )
        ssc.register("both", both)
        ssc.pause("lines")
        both.explain()
        assert capsys.readouterr().out.startswith("both = union()\n├─ map(str.upper)\n│  └─ lines")
        assert "[paused]" in ssc.explain("both")
        assert debug_text(ssc.explained("both")) == ssc.explain(both)
        with pytest.raises(NotRunning, match="there is no stream nothing"):
            ssc.explain("nothing")


def test_the_lineage_of_an_rdd() -> None:
    with ManualContext("1s") as ssc:
        pairs = ssc.parallelize(["to", "be", "or"], 3).key_by(len).persist()
        grouped = pairs.group_by_key(2)
        text = grouped.union(pairs).to_debug_string().replace(grouped.id.partition(".")[0], "")
        union, shuffle, mapped, read, again = text.splitlines()
        assert union.startswith("(5) unioned ")
        assert shuffle.startswith("├─ (2) shuffled ")
        assert shuffle.endswith("[a stage begins here]")
        assert mapped.startswith("│  └─ (3) partitionsmapped ")
        assert mapped.endswith("[persisted]")
        assert read.startswith("│     └─ (3) read ")
        assert again.startswith("└─ partitionsmapped ")
        assert again.endswith("(see above)")
