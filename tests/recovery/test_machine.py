"""Whatever happens in whatever order, an engine that dies is as one that does not."""

from __future__ import annotations

from operator import add, sub
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from livebatch.engine.executors.inline import InlineExecutor
from livebatch.testing import START, ManualContext
from tests.model.harness import Batches, bags
from tests.recovery.harness import Reborn, settled_rows

ROWS = st.lists(st.sampled_from("abc"), max_size=4)
STEPS = st.sampled_from([0, 1, 2, 4, 99])


def total(new: list[int], before: int | None) -> int | None:
    value = (before or 0) + sum(new)
    return None if value > 20 else value


def counted(key: str, value: int | None, state: Any) -> Any:
    if state.is_timing_out():
        return key, -1
    state.update(state.get(0) + (value or 0))
    return key, state.get(0)


def define_all(ssc: ManualContext, batches: list[list[str]]) -> None:
    """Define streams that remember in every way there is, all made of ``words``."""
    words = ssc.register("words", ssc.queue_stream(batches).map(lambda word: (word, 1)))
    ssc.register("totals", words.update_state_by_key(total))
    ssc.register("counted", words.map_with_state(counted, timeout="3s"))
    ssc.register("slid", words.reduce_by_key_and_window(add, sub, "3s", "1s"))
    ssc.register("merged", words.reduce_by_key_and_window(add, None, "7s", "1s"))
    ssc.register("joined", words.window("2s").join(ssc.streams["totals"]))


class Engines(RuleBasedStateMachine):
    """Two engines to which the same is done, but that one of them dies now and then."""

    @initialize(batches=st.lists(ROWS, min_size=12, max_size=12), every=st.integers(1, 4))
    def begin(self, batches: list[list[str]], every: int) -> None:
        self.folder = TemporaryDirectory()
        self.mortal = Reborn(self.folder.name, every, lambda: InlineExecutor(2))
        self.steady = ManualContext("1s", InlineExecutor(2))
        self.seen: dict[str, Batches] = {}
        self.second, self.made = 0, 0
        self.paused = False
        for ssc in (self.mortal.ssc, self.steady):
            define_all(ssc, batches)
            ssc.start()

    @rule(seconds=st.integers(1, 3))
    def time_passes(self, seconds: int) -> None:
        self.second += seconds
        self.mortal.advance_to(self.second)
        while self.steady.clock.now() < START + 1000 * self.second:
            self.steady.stepped.run()
            self.steady.clock.advance(1000)

    @rule(steps=STEPS)
    def it_dies(self, steps: int) -> None:
        self.mortal.crash(steps)

    @precondition(lambda self: len(self._files("snapshots")) > 1)
    @rule(steps=STEPS, cut=st.integers(0, 40))
    def it_dies_and_the_newest_snapshot_is_damaged(self, steps: int, cut: int) -> None:
        self.mortal.crash(steps, before=lambda: self._damage("snapshots", cut))

    @precondition(lambda self: self._files("log"))
    @rule(steps=STEPS, cut=st.integers(0, 40), which=st.sampled_from(["log", "copies"]))
    def it_dies_and_the_newest_entry_is_damaged(self, steps: int, cut: int, which: str) -> None:
        self.mortal.crash(steps, before=lambda: self._damage(which, cut))

    @rule(times=st.integers(1, 3))
    def a_stream_is_added(self, times: int) -> None:
        self._work()
        for ssc in (self.mortal.ssc, self.steady):
            words = ssc.streams["words"]
            ssc.register(f"more{self.made}", words.flat_map(lambda pair: [pair] * times))
        self.made += 1

    @precondition(lambda self: self.made)
    @rule(times=st.integers(4, 6))
    def a_stream_is_defined_anew(self, times: int) -> None:
        self._work()
        for ssc in (self.mortal.ssc, self.steady):
            ssc.register("more0", ssc.streams["words"].map_values(lambda n: n * times))

    @rule()
    def it_is_paused_or_goes_on(self) -> None:
        self._work()
        for ssc in (self.mortal.ssc, self.steady):
            (ssc.resume if self.paused else ssc.pause)("totals")
        self.paused = not self.paused

    @precondition(lambda self: self.made)
    @rule()
    def a_stream_is_removed(self) -> None:
        self._work()
        self.made -= 1
        for ssc in (self.mortal.ssc, self.steady):
            ssc.remove(f"more{self.made}")
        self.mortal.seen.pop(f"more{self.made}", None)
        self.seen.pop(f"more{self.made}", None)

    def teardown(self) -> None:
        if not hasattr(self, "mortal"):
            return
        self.time_passes(2)
        self._work()
        for name in self.steady.streams:
            assert bags(self.mortal.results(name)) == bags(self._seen(name)), name
        self.folder.cleanup()

    def _work(self) -> None:
        """Do what there is to do: a change is from the next batch on for both."""
        self.mortal.ssc.stepped.run()
        self.mortal.note()
        self.steady.stepped.run()
        for name in self.steady.streams:
            self._seen(name)

    def _seen(self, name: str) -> Batches:
        found = self.seen.setdefault(name, {})
        found.update(settled_rows(self.steady, name))
        return found

    def _files(self, folder: str) -> list[Path]:
        return sorted(Path(self.folder.name, folder).iterdir())

    def _damage(self, folder: str, cut: int) -> None:
        for newest in self._files(folder)[-1:]:
            data = newest.read_bytes()
            newest.write_bytes(data[: max(0, len(data) - cut)] + (b"x" if cut == 0 else b""))


@pytest.mark.usefixtures("every_block_stored")
class TestEngines(Engines.TestCase):
    settings = settings(max_examples=8, stateful_step_count=12)
