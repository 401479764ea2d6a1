"""The running graph: which streams there are, and what is to be done with each batch.

Streams travel as records. Named streams are referred to by name (``@tags``), so that replacing
one takes its children along.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from livebatch.closures import Code, Function, rebound, revive
from livebatch.errors import DefinitionError, NotRunning
from livebatch.interval import Millis, check_multiple
from livebatch.rdd import RDD
from livebatch.stream import DStream, Input
from livebatch.succession import Pair, successors, take_over
from livebatch.upstream import states_of, upstream


class NodeRecord(msgspec.Struct, frozen=True):
    """One stream: its kind, its parents by id or ``@name``, its parameters, and how it is kept."""

    id: str
    kind: str
    parents: tuple[str, ...]
    slide: Millis
    params: tuple[Any, ...]
    persisted: bool = False
    checkpoint_every: Millis | None = None


class Output(msgspec.Struct, frozen=True):
    """What is done with every batch of a stream.

    Attributes:
        id: unique.
        stream: id of the stream, or ``@name``.
        function: called in the driver process with (time, rdd); None only keeps the batch.
        retain: how long settled batches are kept, in milliseconds.
        name: what the stream is called, if this output names it.
        owner: the named stream whose cell defined it; it is replaced and removed with that.
        notes: what clients want to know of the stream later, such as how it is shown.
        serves: the stream of errors for which it watches; it goes with that.
    """

    id: str
    stream: str
    function: Function | None = None
    retain: Millis = 0
    name: str | None = None
    owner: str = ""
    notes: dict[str, str] = {}
    serves: str = ""


class Job(NamedTuple):
    """What one output does with one batch."""

    output: Output
    time: Millis
    rdd: RDD[Any]


def records(stream: DStream[Any]) -> list[NodeRecord]:
    """Return the records of a stream and of all that it needs, up to named streams."""
    found: dict[str, NodeRecord] = {}

    def visit(node: DStream[Any]) -> None:
        if node.id in found:
            return
        for parent in node.parents:
            if parent.name is None:
                visit(parent)
        parents = tuple(f"@{p.name}" if p.name else p.id for p in node.parents)
        kind = type(node).__name__
        found[node.id] = NodeRecord(
            node.id, kind, parents, node.slide, node.params, node.persisted, node.checkpoint_every
        )

    visit(stream)
    return list(found.values())


class Graph:
    """All streams and outputs of an engine.

    Args:
        batch: the batch interval, in milliseconds.

    Attributes:
        recovered: names of streams that were restored and have not been defined anew since.
    """

    def __init__(self, batch: Millis) -> None:
        self.batch = batch
        self.version = 0
        self.least: Millis = 0
        self.zero: Millis | None = None
        self.nodes: dict[str, DStream[Any]] = {}
        self.outputs: dict[str, Output] = {}
        self.recovered: set[str] = set()
        self._orphans: list[RDD[Any]] = []

    # -- changing it -------------------------------------------------------------------------

    def add(self, nodes: Sequence[NodeRecord], outputs: Sequence[Output], now: Millis) -> None:
        """Add streams and outputs, which take part from the first batch after ``now``.

        An output with a name that is taken replaces that stream; its children follow.

        Raises:
            DefinitionError: a stream is not known, would depend on itself, or does not fit the
                slides of those that use it.
        """
        fresh = {r.id: r for r in nodes if r.id not in self.nodes}
        added = self._build(list(fresh.values()))
        names = {o.name: (added | self.nodes)[o.stream] for o in outputs if o.name}
        self._check(names, added)
        states = self._states_taken_over(names)
        self._amend([item for item in nodes if item.id in self.nodes])
        for name, node in names.items():
            self._replace(name, node)
            node.name, node.persisted = name, True
        self.nodes.update(added)
        self.outputs.update((output.id, output) for output in [*outputs, *watched(added)])
        for node in added.values():
            node.remember_for(self.least)
            if self.zero is not None:
                node.started(self.zero, now)
        take_over(states, now)
        self.recovered -= names.keys()
        self._drop_unused()
        self.version += 1

    def _states_taken_over(self, names: dict[str, DStream[Any]]) -> list[Pair]:
        """Return the states that go on where streams are defined anew for the first time since they
        were restored."""
        return [
            pair
            for name in names.keys() & self.recovered
            if (old := self._by_name(name)) is not None and old is not names[name]
            for pair in successors(name, names[name], old)
        ]

    def _build(self, fresh: Sequence[NodeRecord]) -> dict[str, DStream[Any]]:
        added: dict[str, DStream[Any]] = {}
        for item in fresh:
            parents = [self.named(p[1:]) if p[0] == "@" else (added | self.nodes)[p]
                       for p in item.parents]  # fmt: skip
            kind = DStream.kinds.get(item.kind)
            if kind is None:
                raise DefinitionError(f"this engine has no streams of the kind {item.kind}")
            node = kind(parents, item.slide, *revive(item.params))
            node.id, node.persisted = item.id, item.persisted or node.persisted
            node.checkpoint_every = item.checkpoint_every
            added[node.id] = node
        return added

    def restore(self, kept: Sequence[tuple[NodeRecord, str | None]], zero: Millis | None) -> None:
        """Have the streams of records, parents first, with their names."""
        self.zero = zero
        self.nodes = self._build([item for item, _ in kept])
        for item, name in kept:
            node = self.nodes[item.id]
            node.name, node.zero = name, zero or 0
        self.recovered = {name for _, name in kept if name}

    def _amend(self, known: Sequence[NodeRecord]) -> None:
        for item in known:
            node = self.nodes[item.id]
            node.persisted = node.persisted or item.persisted
            node.checkpoint_every = item.checkpoint_every or node.checkpoint_every
            node.remember_for(2 * (node.checkpoint_interval or 0))

    def _check(self, names: dict[str, DStream[Any]], added: dict[str, DStream[Any]]) -> None:
        for name, node in names.items():
            old = self._by_name(name)
            if old is None or old is node:
                continue
            if old in upstream(node):
                raise DefinitionError(
                    f"the stream {name} would be computed from itself: give it another name"
                )
            for child in self._children(old):
                child.check_parent(node.slide, name)
        for node in added.values():
            check_multiple(node.slide, self.batch, "the slide")

    def _replace(self, name: str, node: DStream[Any]) -> None:
        old = self._by_name(name)
        if old is None or old is node:
            return
        for child in self._children(old):
            child.parents = tuple(node if p is old else p for p in child.parents)
            node.persisted = node.persisted or old.persisted
        old.name = None
        self.outputs = {k: o for k, o in self.outputs.items() if name not in (o.name, o.owner)}

    def remove(self, name: str) -> None:
        """Remove a named stream, its outputs, and what nothing else needs.

        Raises:
            DefinitionError: other named streams are computed from it; the message names them.
        """
        node = self.named(name)
        users = sorted(
            other.name
            for other in self.nodes.values()
            if other.name and other is not node and node in upstream(other)
        )
        if users:
            raise DefinitionError(f"{name} is used by {', '.join(users)}: stop those first")
        self.outputs = {
            k: o
            for k, o in self.outputs.items()
            if self.stream_of(o) is not node and o.owner != name
        }
        node.name = None
        self._drop_unused()
        self.version += 1

    def pause(self, name: str, paused: bool, now: Millis) -> bool:
        """Pause a named stream from the first batch after ``now``, or have it go on; return
        whether that changes anything.

        Raises:
            NotRunning: there is no such stream.
        """
        pauses = self.named(name).pauses
        if pauses.now == paused:
            return False
        (pauses.begin if paused else pauses.end)(now)
        return True

    def rebind(self, newest: Mapping[str, Code]) -> None:
        """Have functions see the values that broadcast variables have now, from the next batch
        on."""
        for node in self.nodes.values():
            node.rebind(newest)
        for id, output in self.outputs.items():
            if output.function is not None:
                function = rebound(output.function, newest)
                self.outputs[id] = msgspec.structs.replace(output, function=function)

    def remember(self, duration: Millis) -> None:
        """Have every stream, those to come included, remember its batches at least so long."""
        self.least = max(self.least, duration)
        for node in self.nodes.values():
            node.remember_for(duration)

    def discard(self, output_id: str) -> None:
        """Remove one output, and what nothing else needs."""
        self.outputs.pop(output_id, None)
        self._drop_unused()
        self.version += 1

    def _drop_unused(self) -> None:
        wanted = [self.stream_of(o) for o in self.outputs.values() if not o.serves]
        used = {id(node) for stream in wanted for node in upstream(stream)}
        self.outputs = {
            k: o
            for k, o in self.outputs.items()
            if not o.serves or id(self.nodes.get(o.serves)) in used
        }
        dropped = [node for node in self.nodes.values() if id(node) not in used]
        for node in dropped:
            del self.nodes[node.id]
        held = {rdd.id for node in self.nodes.values() for rdd in node.held()} if dropped else ()
        self._orphans += [r for node in dropped for r in node.held() if r.id not in held]
        self.settle_memory()

    def settle_memory(self) -> None:
        """Have each stream remember what those that are there now need, and no more."""
        if self.zero is None:
            return
        for node in self.nodes.values():
            node.remember = max(node.slide, self.least)
        for node in self.nodes.values():
            node.started(node.zero, node.start)

    # -- asking it ---------------------------------------------------------------------------

    def named(self, name: str) -> DStream[Any]:
        """Return the stream of a name.

        Raises:
            NotRunning: there is none.
        """
        node = self._by_name(name)
        if node is None:
            raise NotRunning(f"there is no stream {name} on this engine; run its cell again")
        return node

    def _by_name(self, name: str) -> DStream[Any] | None:
        return next((node for node in self.nodes.values() if node.name == name), None)

    def stream_of(self, output: Output) -> DStream[Any]:
        """Return the stream that an output is of."""
        if output.stream[0] == "@":
            return self.named(output.stream[1:])
        return self.nodes[output.stream]

    def _children(self, node: DStream[Any]) -> list[DStream[Any]]:
        return [child for child in self.nodes.values() if node in child.parents]

    @property
    def inputs(self) -> Iterator[Input[Any]]:
        """The streams that are fed from outside."""
        return (node for node in self.nodes.values() if isinstance(node, Input))

    def inputs_at(self, time: Millis) -> list[Input[Any]]:
        """Return the inputs that have a batch at a time."""
        return [node for node in self.inputs if (time - node.zero) % node.slide == 0]

    def held_up_by(self, node: DStream[Any]) -> tuple[str, ...]:
        """Return the names of the paused streams for want of which a stream has no batches: its
        own, or those of streams it needs a batch of. A window goes on without."""
        found: set[str] = set()
        seen = {node.id}
        stack = [node]
        while stack:
            current = stack.pop()
            if current.pauses.now:
                found.add(current.name or current.id)
            elif not current.goes_on:
                fresh = [parent for parent in current.parents if parent.id not in seen]
                seen.update(parent.id for parent in fresh)
                stack.extend(fresh)
        return tuple(sorted(found))

    def state_of(self, name: str) -> DStream[Any]:
        """Return the stream whose state is that of a named stream.

        Raises:
            NotRunning: there is no such stream, or it has no state, or several.
        """
        found = [state for state in states_of(self.named(name)) if state.holds_state]
        if len(found) == 1:
            return found[0]
        if found:
            raise NotRunning(f"{name} is computed by several states: name them, and ask those")
        raise NotRunning(
            f"{name} has no state: update_state_by_key, map_with_state and session_window have"
        )

    # -- running it --------------------------------------------------------------------------

    def start(self, zero: Millis) -> None:
        """Begin: the first batch is at ``zero`` plus the batch interval."""
        self.zero = zero
        for node in self.nodes.values():
            node.started(zero, zero)

    def jobs_at(self, time: Millis) -> list[Job]:
        """Return what is to be done at a batch time."""
        jobs = []
        for output in self.outputs.values():
            owner = self._by_name(output.owner) if output.owner else None
            if owner is not None and time in owner.pauses:
                continue
            rdd = self.stream_of(output).rdd_at(time)
            if rdd is not None:
                jobs.append(Job(output, time, rdd))
        return jobs

    def took(self, time: Millis, costs: Mapping[str, float], stages: Mapping[str, float]) -> None:
        """Tell streams what a batch has cost; see `DStream.took`."""
        for node in self.nodes.values():
            node.took(time, costs, stages)

    def forget_before(self, time: Millis) -> list[RDD[Any]]:
        """Drop and return all batches that no stream remembers at a time."""
        retained = {self.stream_of(o).id: o.retain for o in self.outputs.values() if o.retain}
        dropped, self._orphans = self._orphans, []
        for node in self.nodes.values():
            node.remember = max(node.remember, retained.get(node.id, 0))
            for state in states_of(node) if node.id in retained else ():
                state.keep_states_for(retained[node.id])
        for node in self.nodes.values():
            dropped += node.forget_before(time)
        return dropped


def watched(nodes: dict[str, DStream[Any]]) -> list[Output]:
    """Return outputs of the streams whose errors are among some nodes: what of a stream is not
    computed for its own sake is not known to be its error."""
    return [
        Output(f"{node.id}.of", node.parents[0].id, serves=node.id)
        for node in nodes.values()
        if isinstance(node, Input) and node.parents and node.parents[0].name is None
    ]
