"""One function, several streams."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livebatch import Tagged
from livebatch.errors import DefinitionError, JobFailed
from tests.model.conftest import Cluster
from tests.model.harness import bags, context, history, watch
from tests.model.strategies import batches_of, numbers


def sorted_out(n: int) -> list[Any]:
    return [n, Tagged("odd", str(n))] if n % 2 else [Tagged("even", n), Tagged("even", -n)]


def test_each_output_has_what_is_its_own(cluster: Cluster) -> None:
    @settings(max_examples=cluster.examples)
    @given(batches_of(numbers), st.integers(1, 3))
    def check(batches: list[list[int]], slots: int) -> None:
        with context(cluster.executor(slots)) as ssc:
            outs = ssc.queue_stream(batches).flat_map(sorted_out).with_outputs("odd", "even")
            found = [watch(stream) for stream in outs]
            ssc.start()
            ssc.advance(len(batches))
        past = history(batches)
        odd = past.filter(lambda n: n % 2)
        even = past.filter(lambda n: n % 2 == 0).flat_map(lambda n: [n, -n])
        for seen, expected in zip(found, [odd, odd.map(str), even], strict=True):
            assert bags(seen) == bags(expected.batches)

    check()


def test_the_function_runs_once_for_each_record(tmp_path: Path) -> None:
    calls = tmp_path / "calls"

    def note(n: int) -> Any:
        with calls.open("a") as file:
            file.write(f"{n}\n")
        return n if n < 2 else Tagged("large", n)

    with context() as ssc:
        outs = ssc.queue_stream([[1, 2, 3]]).map(note).with_outputs("large")
        assert outs._fields == ("main", "large")
        seen = [watch(outs.main), watch(outs.large), watch(outs.large.count())]
        ssc.start()
        ssc.advance("1s")
    assert [batches[1] for batches in seen] == [[1], [2, 3], [2]]
    assert sorted(calls.read_text().split()) == ["1", "2", "3"]


def test_a_tag_that_is_not_declared_fails_the_batch_and_names_those_that_are() -> None:
    with context() as ssc:
        stream = ssc.queue_stream([[Tagged("lates", 1)]]).map(lambda row: row)
        watch(stream.with_outputs("late", "invalid").main)
        ssc.start()
        ssc.advance("1s")
        with pytest.raises(JobFailed, match="no output 'lates' for 1; with_outputs has late, inv"):
            ssc.await_termination(timeout=0)


@pytest.mark.parametrize("tags", [("a", "a"), ("main",), ("_a",), ("two words",)])
def test_what_is_no_tag_is_refused(tags: tuple[str, ...]) -> None:
    with context() as ssc, pytest.raises(DefinitionError):
        ssc.queue_stream().with_outputs(*tags)
