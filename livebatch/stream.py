"""DStream: a live stream as a series of RDDs, one for each batch time."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, NoReturn, Protocol, TypeVar

import pyarrow as pa

from livebatch.closures import Builtin, Code, Function, rebound
from livebatch.errors import ClosureError, DefinitionError, NotRunning
from livebatch.interval import Duration, Millis, format_millis, to_millis
from livebatch.pauses import Pauses
from livebatch.rdd import RDD, JobRunner
from livebatch.rdd.operation import Stored, Unioned

T = TypeVar("T")

_process = secrets.token_hex(3)
_numbers = count(1)


class Context(Protocol):
    """What a stream asks of the `StreamingContext` it belongs to."""

    write: Callable[[str], None]

    def add_output(self, stream: DStream[Any], function: Function | None) -> None:
        """Have a function called with every batch of a stream, in the driver process; None: have
        every batch computed."""

    def amend(self, stream: DStream[Any]) -> None:
        """Take note that a stream is to be kept otherwise than when it was made."""

    def explain(self, stream: DStream[Any]) -> str:
        """Return how a stream is computed, as text."""

    def state_of(
        self, stream: DStream[Any], until: Millis | None = None, limit: int | None = None
    ) -> StateLayers:
        """Return the layers of the states of a named stream that are still kept."""

    def subscribe(
        self, stream: DStream[Any], function: Callable[[datetime, RDD[Any]], None]
    ) -> object:
        """Have a function called with every settled batch of a stream, in this process."""

    def settled(
        self,
        stream: DStream[Any],
        after: Millis = 0,
        until: Millis | None = None,
        limit: int | None = None,
    ) -> list[RDD[Any]]:
        """Return settled batches of ``(after, until]`` of a named stream, oldest first."""

    def await_settled(
        self, stream: DStream[Any], wanted: Callable[[RDD[Any]], object], timeout: Duration | None
    ) -> RDD[Any]:
        """Wait for a batch of a named stream that is wanted."""


class StateLayers(NamedTuple):
    """Where the states of some batches lie.

    Attributes:
        times: of the batches, in order.
        first: the layers of the first batch's state, the newest first.
        later: the layer that each further batch has put on top.
    """

    times: tuple[Millis, ...]
    first: tuple[RDD[Any], ...]
    later: tuple[RDD[Any], ...]


class DStream(Generic[T]):
    """A live stream, chopped into batches: for each batch time an RDD.

    Streams come from a `StreamingContext`'s sources and from the operators of other streams.
    A kind of stream implements three things: its ``parents`` and its ``slide`` (in its
    ``__init__``), and ``compute``. All else - remembering, persisting, forgetting, travelling -
    is here, once.

    Attributes:
        parents: the streams it is computed from.
        slide: it gives a batch every so many milliseconds.
        params: what its ``__init__`` takes after the parents, able to travel.
        lookback: how far behind a batch time the parents' batches are that it uses.
        cuts_lineage: whether each batch is computed from the one before.
        holds_state: whether that is a state by key, which can be asked for.
        exports_states: whether its batches hold states or hashes of DuckDB's, which another version
            may not understand.
        reaches_back: whether batches from before it was defined can be had, where its parents
            still remember theirs.
        goes_on: whether it has batches even where its parents have none.
        shared: streams made of this one that several operators use, by how they were made.
        name: what the user calls it.
        schema: the columns of its batches, where they are known.
        label: what it does to its parents, as one would write it; None: as its parameters tell.
        pauses: when it computes no batches.
    """

    kinds: ClassVar[dict[str, type[DStream[Any]]]] = {}
    plotting: ClassVar[Callable[[DStream[Any]], Any] | None] = None
    label: str | None = None
    lookback: Millis = 0
    cuts_lineage = False
    holds_state = False
    exports_states = False
    reaches_back = False
    goes_on = False

    def __init_subclass__(cls) -> None:
        DStream.kinds[cls.__name__] = cls

    def __init__(self, parents: Sequence[DStream[Any]], slide: Millis, *params: Any) -> None:
        self.id = f"{_process}{next(_numbers)}"
        self.parents = tuple(parents)
        self.slide = slide
        self.params = params
        self.name: str | None = None
        self.schema: pa.Schema | None = None
        self.context: Context | None = next((p.context for p in parents if p.context), None)
        self.runner: JobRunner | None = None
        self.persisted = self.cuts_lineage
        self.checkpoint_every: Millis | None = None
        self.zero: Millis = 0
        self.start: Millis = 0
        self.remember: Millis = slide
        self.generated: dict[Millis, RDD[T]] = {}
        self.pauses = Pauses()
        self.shared: dict[Any, DStream[Any]] = {}

    @property
    def plot(self) -> Any:
        """Live views of a named stream, in a notebook: ``s.plot()``, ``s.plot.line(y="ms")``, ….

        Raises:
            NotRunning: livebatch has not been loaded in a notebook.
        """
        if DStream.plotting is None:
            raise NotRunning("views are for notebooks: run %load_ext livebatch first")
        return DStream.plotting(self)

    def compute(self, time: Millis) -> RDD[T] | None:
        """Return the RDD of a batch time."""
        raise TypeError(f"{type(self).__name__} computes no RDDs")

    def rdd_at(self, time: Millis) -> RDD[T] | None:
        """Return the RDD of a batch time; None where the stream has no batch then."""
        if time in self.generated:
            return self.generated[time]
        if (time <= self.start and not self.reaches_back) or (time - self.zero) % self.slide:
            return None
        if time in self.pauses:
            return None
        rdd = self.compute(time)
        if rdd is not None:
            if "@" in rdd.id:  # it is another stream's
                rdd = RDD(Unioned(), [rdd])
            rdd.id = f"{self.id}@{time}"
            rdd.persisted = rdd.persisted or self.persisted
            rdd.cuts_lineage = self.cuts_at(time)
            self.generated[time] = rdd
        return rdd

    def check_parent(self, slide: Millis, name: str) -> None:
        """Check that a parent could have this slide.

        Raises:
            DefinitionError: it could not.
        """
        if slide != self.slide:
            raise DefinitionError(
                f"{name} is used by a stream that needs its batches every "
                f"{format_millis(self.slide)}, not every {format_millis(slide)}"
            )

    def slide_over(self, slide: Millis) -> Millis:
        """Return the slide it would have over a first parent with this slide: one that follows its
        parent's goes on to do so."""
        return slide if self.slide == self.parents[0].slide else self.slide

    def newest_before(self, time: Millis) -> Millis | None:
        """Return the time of the newest batch before a time that is remembered."""
        return max((t for t in self.generated if t < time), default=None)

    @property
    def checkpoint_interval(self) -> Millis | None:
        """How often lineage is cut; if it must be and nobody has said: the slide times
        ceil(10 s / slide), as in Spark. None: never."""
        if self.checkpoint_every is None and self.cuts_lineage:
            return self.slide * -(-10_000 // self.slide)
        return self.checkpoint_every

    def cuts_at(self, time: Millis) -> bool:
        """Return whether to forget how a batch was computed once it is stored."""
        interval = self.checkpoint_interval
        return interval is not None and not (time - self.start) % interval

    def started(self, zero: Millis, start: Millis) -> None:
        """Take part in a running graph from ``start`` on."""
        self.zero, self.start = zero, start
        self.remember_for(2 * (self.checkpoint_interval or 0) or self.slide)

    def remember_for(self, duration: Millis) -> None:
        """Keep batches at least so long, and the parents' as long as that needs."""
        self.remember = max(self.remember, duration)
        for parent in self.parents:
            parent.remember_for(self.remember + self.lookback)

    def held(self) -> list[RDD[Any]]:
        """Return all RDDs that it remembers."""
        return list(self.generated.values())

    def forget_before(self, time: Millis) -> list[RDD[Any]]:
        """Drop and return the batches that are no longer remembered at a time."""
        self.pauses.forget_before(time - self.remember)
        old = [t for t in self.generated if t <= time - self.remember]
        if self.cuts_lineage and not self._stored_after(time - self.remember):
            del old[-1:]  # the next batch goes on from it, however long ago it was
        return [self.generated.pop(t) for t in old]

    def memory(self) -> dict[str, Any]:
        """Return what `recall` must be told after a restart: plain values, and RDDs as values of
        mappings. Of those, what is stored nowhere and not `needed_after` is left out."""
        return {"start": self.start, "pauses": self.pauses.spans, "generated": dict(self.generated)}

    def recall(self, memory: dict[str, Any]) -> None:
        """Go on from what was remembered before a restart."""
        self.start, self.generated = memory["start"], memory["generated"]
        self.pauses.spans = [(begin, end) for begin, end in memory["pauses"]]

    def needed_after(self, time: Millis) -> list[RDD[Any]]:
        """Return the RDDs without which it could not go on, where only batches after a time are
        looked back to."""
        newest = max(self.generated, default=None)
        return [rdd for t, rdd in self.generated.items() if t > time or t == newest]

    def rebind(self, newest: Mapping[str, Code]) -> None:
        """Have its functions see the values that broadcast variables have now."""
        for name, value in list(vars(self).items()):
            if isinstance(value, (Code, Builtin, tuple)) and name != "parents":
                setattr(self, name, rebound(value, newest))

    def _stored_after(self, time: Millis) -> bool:
        return any(t > time and isinstance(rdd.operation, Stored)
                   for t, rdd in self.generated.items())  # fmt: skip

    def give_up(self, time: Millis) -> None:
        """Go on without a batch that failed."""
        del self.generated[time]

    def upkeep(self) -> RDD[Any] | None:
        """Return an RDD to be kept as blocks when there is time, if that saves later batches work.

        It is asked for at every batch, but not before the last one is kept, or has failed.
        """
        return None

    def keep_states_for(self, duration: Millis) -> None:
        """Keep states of the past so long, where that costs what batches have changed."""

    def state_at(self, time: Millis) -> list[RDD[Any]]:
        """Return the layers of the state that a batch leaves, the newest first; one, which is
        complete, where each batch is its own state."""
        return [self.generated[time]]

    def took(self, time: Millis, costs: Mapping[str, float], stages: Mapping[str, float]) -> None:
        """Take note of what a batch has cost, where that decides how later ones are computed.

        Args:
            time: of the batch.
            costs: seconds that tasks ran, by the ids of the streams that they computed.
            stages: the same, by the names of stages.
        """

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name or self.id}>"

    def __reduce__(self) -> NoReturn:
        raise ClosureError(
            f"the stream {self.name or self.id} is used inside a function that runs in the "
            "workers, where there are no streams. Combine streams with union, join or "
            "transform_with; to use values of its newest batch, take them out first: "
            "values = stream.latest().collect()"
        )

    if TYPE_CHECKING:  # operators add themselves

        def __getattr__(self, name: str) -> Any: ...


def context_of(stream: DStream[Any]) -> Context:
    """Return the context that a stream belongs to.

    Raises:
        NotRunning: it belongs to none.
    """
    if stream.context is None:
        raise NotRunning(f"{stream!r} belongs to no StreamingContext")
    return stream.context


class Input(DStream[T]):
    """A stream that has no parents: its batches are allocated from a source's blocks or splits.

    Params: the kind of source and its options, see `livebatch.sources`.
    """

    def __init__(self, parents: Sequence[DStream[Any]], slide: Millis, source: str, options: Any):
        super().__init__(parents, slide, source, options)
        self.source, self.options = source, options
        self.allocated: dict[Millis, RDD[T]] = {}

    def compute(self, time: Millis) -> RDD[T] | None:
        return self.allocated.pop(time, None)  # None: forgotten


class Lifted(DStream[T]):
    """An RDD method applied to each batch (of several parents: to the first with the others)."""

    reaches_back = True

    def __init__(self, parents: Sequence[DStream[Any]], slide: Millis, method: str, *args: Any):
        super().__init__(parents, slide, method, *args)
        self.method, self.args = method, args

    def compute(self, time: Millis) -> RDD[T] | None:
        rdds = [rdd for parent in self.parents if (rdd := parent.rdd_at(time)) is not None]
        if len(rdds) < len(self.parents):
            return None
        return getattr(rdds[0], self.method)(*rdds[1:], *self.args)  # type: ignore[no-any-return]


def lift(stream: DStream[Any], method: str, *args: Any) -> Lifted[Any]:
    """Return the stream that has an RDD method applied to each batch."""
    return Lifted([stream], stream.slide, method, *args)


def lift_two(stream: DStream[Any], other: DStream[Any], method: str, *args: Any) -> Lifted[Any]:
    """Return the stream that has an RDD method applied to each batch with the other's of that time.

    Raises:
        DefinitionError: the streams have different slides.
    """
    return Lifted([stream, other], same_slide([stream, other], method), method, *args)


F = TypeVar("F", bound=Callable[..., Any])


def operator(function: F) -> F:
    """Make a function whose first argument is a stream a method of every stream.

    Raises:
        DefinitionError: there is a method of this name already.
    """
    return _add(function, function)


def attribute(function: F) -> F:
    """Make a function of a stream a property of every stream; see `operator`."""
    return _add(function, property(function))


def _add(function: F, member: Any) -> F:
    name = function.__name__
    if hasattr(DStream, name):
        raise DefinitionError(f"streams have a method {name} already")
    setattr(DStream, name, member)
    return function


def same_slide(streams: Iterable[DStream[Any]], what: str) -> Millis:
    """Return the slide that streams have in common.

    Raises:
        DefinitionError: there are none, or they differ.
    """
    slides = sorted({stream.slide for stream in streams})
    if not slides:
        raise DefinitionError(f"{what} needs streams of one slide, not no streams")
    if len(slides) > 1:
        found, slowest = ", ".join(map(format_millis, slides)), format_millis(slides[-1])
        raise DefinitionError(
            f"{what} needs streams of one slide, not {found}, for it puts together batches of one "
            f'time: bring the faster to the slower\'s with .window("{slowest}", "{slowest}")'
        )
    return slides[0]


def slide_of(stream: DStream[Any], duration: Duration | None, what: str) -> Millis:
    """Return a slide duration in milliseconds; None is the stream's own."""
    return stream.slide if duration is None else to_millis(duration, what)
