"""What becomes of states where a notebook has changed before it goes on from a checkpoint."""

from __future__ import annotations

from operator import add
from pathlib import Path
from typing import Any

import pytest

from livebatch.engine.executors.inline import InlineExecutor
from livebatch.errors import DefinitionError
from tests.recovery.harness import Reborn

BATCHES = [["a", "b"], ["a"], ["c", "a"], ["b"], ["a", "c"]]


def total(new: list[int], before: int | None) -> int:
    return sum(new) + (before or 0)


def doubled(new: list[int], before: int | None) -> int:
    return 2 * sum(new) + (before or 0)


def counted(key: Any, value: int, state: Any) -> Any:
    state.update(state.get(0) + value)
    return key, state.get(0)


@pytest.fixture
def life(tmp_path: Path) -> Reborn:
    return Reborn(str(tmp_path), 2, lambda: InlineExecutor(2))


def words_of(life: Reborn) -> Any:
    return life.ssc.streams["words"]


def begin(life: Reborn, build: Any) -> None:
    words = life.ssc.queue_stream(BATCHES).map(lambda word: (word, 1))
    life.ssc.register("words", words)
    life.ssc.register("out", build(words))
    life.ssc.start()
    life.advance_to(3)
    life.crash()


def test_a_state_goes_on_with_another_function(life: Reborn, every_block_stored: None) -> None:
    begin(life, lambda words: words.update_state_by_key(total))
    life.ssc.register("out", words_of(life).update_state_by_key(doubled))
    life.advance_to(5)
    found = life.results("out")
    assert dict(found[3]) == {"a": 3, "b": 1, "c": 1}
    assert dict(found[4]) == {"a": 3, "b": 3, "c": 1}
    assert dict(found[5]) == {"a": 5, "b": 3, "c": 3}


def test_layers_of_a_state_go_on_and_the_past_can_be_asked(
    life: Reborn, every_block_stored: None
) -> None:
    begin(life, lambda words: words.map_with_state(counted))
    life.ssc.register("out", words_of(life).filter(any).map_with_state(counted))
    life.advance_to(5)
    assert dict(life.results("out")[5]) == {"a": 4, "c": 2}
    assert life.ssc.streams["out"].state["b"] == 2


def test_a_second_definition_begins_anew_as_it_does_without_a_restart(life: Reborn) -> None:
    begin(life, lambda words: words.update_state_by_key(total))
    for function in (total, doubled):
        life.ssc.register("out", words_of(life).update_state_by_key(function))
    life.advance_to(4)
    assert dict(life.results("out")[4]) == {"b": 2}


@pytest.mark.parametrize(
    "build",
    [
        lambda words: words.map_with_state(counted),
        lambda words: words.update_state_by_key(total, 7),
        lambda words: words.reduce_by_key(add),
    ],
)
def test_what_does_not_agree_is_refused_with_what_to_do(life: Reborn, build: Any) -> None:
    begin(life, lambda words: words.update_state_by_key(total))
    with pytest.raises(DefinitionError, match=r"state of out.*another name.*ssc\.remove\('out'\)"):
        life.ssc.register("out", build(words_of(life)))
    life.advance_to(4)
    assert dict(life.results("out")[4]) == {"a": 3, "b": 2, "c": 1}, "it goes on as it was"
    life.ssc.remove("out")
    life.ssc.register("out", build(words_of(life)))
    life.advance_to(5)
    assert dict(life.results("out")[5]) in ({"a": 1, "c": 1}, {"a": 2, "c": 1})


def test_a_window_may_become_another_one(life: Reborn) -> None:
    begin(life, lambda words: words.reduce_by_key_and_window(add, None, "2s", "1s"))
    life.ssc.register("out", words_of(life).reduce_by_key_and_window(add, None, "3s", "1s"))
    life.advance_to(5)
    assert dict(life.results("out")[5]) == {"a": 2, "b": 1, "c": 2}


def test_batches_from_before_a_definition_are_made_with_what_was_then(life: Reborn) -> None:
    words = life.ssc.queue_stream(BATCHES)
    life.ssc.register("words", words)
    out = life.ssc.register("out", words.map(str.upper))
    life.ssc.register("kids", out.map(lambda word: word * 2))
    life.ssc.start()
    life.advance_to(2)
    life.ssc.stepped.engine.advance()  # and nothing of it is done
    life.ssc.register("out", words.map(lambda word: f"({word})"))
    life.advance_to(3)
    life.crash(0)
    assert life.results("kids") == {1: ["AA", "BB"], 2: ["AA"], 3: ["(c)(c)", "(a)(a)"]}
