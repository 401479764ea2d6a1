"""Runs streams whose engine dies now and then, and says what came of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from hypothesis import strategies as st

from livebatch.client import batch_rdd
from livebatch.engine.executors.base import Executor
from livebatch.engine.executors.inline import InlineExecutor
from livebatch.interval import Millis
from livebatch.testing import START, ManualContext
from livebatch.wire import Settled
from tests.model.harness import Batches, bags


class Crash(NamedTuple):
    """When an engine dies: so many seconds after the start, when so many steps of the work on the
    newest batch have been done (or all, if there are fewer)."""

    second: int
    steps: int


crashes = st.lists(
    st.builds(Crash, st.integers(0, 7), st.sampled_from([0, 1, 2, 3, 5, 99])),
    min_size=1,
    max_size=3,
    unique_by=lambda crash: crash.second,
).map(sorted)


class Reborn:
    """A context whose engine can be let die, after which another goes on.

    Args:
        folder: of the checkpoints.
        every: how often a snapshot is taken, in seconds.
        executor: makes the next one's.
    """

    def __init__(self, folder: str, every: int, executor: Callable[[], Executor]) -> None:
        self._folder, self._every, self._executor = folder, every, executor
        self.ssc = self._made(START)
        self.seen: dict[str, Batches] = {}

    def _made(self, now: Millis) -> ManualContext:
        every = f"{self._every}s"
        return ManualContext("1s", self._executor(), checkpoint=self._folder, every=every, at=now)

    def crash(self, steps: int = 99, before: Callable[[], None] = lambda: None) -> None:
        """Die after so many steps of the work that there is, and go on; something may happen to the
        files ``before`` that."""
        stepped = self.ssc.stepped
        stepped.engine.advance()
        for _ in range(steps):
            if stepped.engine.idle or not stepped.engine.poll(0):
                break
        self.note()
        before()
        self.ssc = self._made(self.ssc.clock.now())
        self.ssc.stepped.run()

    def advance_to(self, second: int) -> None:
        """Let time pass, but leave the work of the last batch to be done."""
        while (left := START + 1000 * second - self.ssc.clock.now()) > 0:
            self.ssc.stepped.run()
            self.ssc.clock.advance(min(left, 1000))

    def note(self) -> None:
        """See what has settled; a batch that is seen again must be as it was."""
        for name in self.ssc.streams:
            seen = self.seen.setdefault(name, {})
            for at, rows in settled_rows(self.ssc, name).items():
                assert bags({at: seen.setdefault(at, rows)}) == bags({at: rows})

    def results(self, name: str) -> Batches:
        """Return the rows of the batches of a named stream, by the second."""
        self.ssc.stepped.run()
        self.note()
        return self.seen[name]


def settled_rows(ssc: ManualContext, name: str) -> Batches:
    """Return the rows of the settled batches that are kept of a stream, by the second."""
    found: Any = ssc.connection.request(Settled(name))
    return {
        (batch.time - START) // 1000: batch_rdd(batch, ssc.runner).collect()
        for batch in found.batches
    }


def play(
    build: Callable[[Any], Any],
    batches: Sequence[Sequence[Any]],
    deaths: Sequence[Crash],
    every: int = 2,
    slots: int = 2,
) -> Batches:
    """Return what ``build(input stream)`` gives while its engine dies."""
    with TemporaryDirectory() as folder:
        life = Reborn(folder, every, lambda: InlineExecutor(slots))
        life.ssc.register("out", build(life.ssc.queue_stream(batches)))
        life.ssc.start()
        for death in deaths:
            if death.second <= len(batches):
                life.advance_to(death.second)
                life.crash(death.steps)
        life.advance_to(len(batches))
        return life.results("out")
