"""Streams defined, replaced and removed at random while batches run, against a plain dictionary."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from livebatch.engine.executors.inline import InlineExecutor
from livebatch.errors import DefinitionError, NotRunning
from livebatch.testing import ManualContext

NAMES = ["a", "b", "c", "d"]
names = st.sampled_from(NAMES)


class Notebook(RuleBasedStateMachine):
    """A user who edits cells. A cell adds a number to all rows of other cells' streams.

    Some cells hold windows, to see that nothing stops; what is in those is not compared, because
    it depends on when which cell was edited.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ssc = ManualContext("1s", executor=InlineExecutor(slots=1))
        self.source = self.ssc.register("source", self.ssc.queue_stream([[n] for n in range(99)]))
        self.ssc.start()
        self.cells: dict[str, tuple[int, list[str], bool]] = {}
        self.now = -1

    def teardown(self) -> None:
        self.ssc.stop()

    def upstream(self, name: str) -> set[str]:
        parents = self.cells[name][1] if name in self.cells else []
        return {name}.union(*map(self.upstream, parents))

    def rows(self, name: str) -> Counter[int] | None:
        """What the newest batch of a cell must be; None if there is a window in it."""
        if name == "source":
            return Counter([self.now])
        plus, parents, window = self.cells[name]
        inputs = [self.rows(parent) for parent in parents]
        if window or any(rows is None for rows in inputs):
            return None
        return Counter(n + plus for rows in inputs if rows for n in rows.elements())

    @rule(
        name=names,
        plus=st.integers(0, 9),
        parents=st.lists(names | st.just("source"), min_size=1, max_size=3),
        window=st.sampled_from([False, False, True]),
        twice=st.booleans(),
    )
    def run_cell(self, name: str, plus: int, parents: list[str], window: bool, twice: bool) -> None:
        parents = [p for p in parents if p in self.cells or p == "source"] or ["source"]
        first, *others = [self.ssc.streams[p] for p in parents]
        stream: Any = first.union(*others).map(lambda n: n + plus)
        if window:
            stream = stream.window(2)
        if name in self.cells and any(name in self.upstream(p) for p in parents):
            with pytest.raises(DefinitionError, match=f"{name} would be computed from itself"):
                self.ssc.register(name, stream)
            return
        for _ in range(1 + twice):
            self.ssc.register(name, stream)
        self.cells[name] = (plus, parents, window)

    @rule(name=names)
    def stop_cell(self, name: str) -> None:
        users = sorted(n for n in self.cells if n != name and name in self.upstream(n))
        if name not in self.cells:
            with pytest.raises(NotRunning):
                self.ssc.remove(name)
        elif users:
            with pytest.raises(DefinitionError, match=f"is used by {', '.join(users)}: stop"):
                self.ssc.remove(name)
        else:
            self.ssc.remove(name)
            del self.cells[name]

    @precondition(lambda self: self.now < 90)
    @rule(seconds=st.integers(1, 3))
    def wait(self, seconds: int) -> None:
        self.ssc.advance(seconds)
        self.now += seconds
        for name in self.cells:
            expected = self.rows(name)
            found = self.ssc.streams[name].latest().collect()
            assert expected is None or Counter(found) == expected

    @invariant()
    def nothing_failed(self) -> None:
        self.ssc.await_termination(timeout=0)

    @invariant()
    def only_what_is_used_is_there(self) -> None:
        graph = self.ssc.stepped.engine.graph
        assert {node.name for node in graph.nodes.values() if node.name} == {"source", *self.cells}
        assert len(graph.nodes) <= 1 + 4 * len(self.cells)


Notebook.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestNotebook = Notebook.TestCase
