"""What every source must do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeAlias

import msgspec
import pyarrow as pa

from livebatch.clock import SystemClock
from livebatch.closures import Builtin, Code, load
from livebatch.errors import SourceError
from livebatch.interval import Duration, Millis, to_millis
from livebatch.rowtables import table_rows
from livebatch.sources import PullSource, PushSource

PATIENCE_S = 20.0
"""So long a push source may take until it emits something."""

STOPPED_S = 1.0
"""So long a push source may take to stop."""

STATES = {"connecting", "receiving", "stopped"}

Source: TypeAlias = PullSource | PushSource


def check_source(
    make: Callable[[], Source],
    *,
    feed: Callable[[], object] | None = None,
    fail: Callable[[], object] | None = None,
    acknowledged: Callable[[], int] | None = None,
    batch: Duration = "1s",
    batches: int = 3,
) -> None:
    """Make sure that a source keeps the rules that the engine relies on.

    Of every source: its options travel, and make the same source again; it gives records, either
    lists or tables, the latter of the source's ``schema`` if it has one.

    Of a pull source: the first plan only says where it begins; offsets are plain data and left
    as they are; to plan again from the same offsets, even by another instance, gives the same
    readers; readers travel, give the same whenever they are called, and are not given twice; a
    limit leaves nothing out, repeats nothing, and does not bring it to a halt.

    Of a push source: it reports ``receiving`` before it emits; it waits while the receiver takes
    nothing, and goes on afterwards; it ends within a second of being told to stop, also while it
    waits, and not by itself; what it raises is a `SourceError`; it acknowledges only what has been
    flushed, and does so.

    Args:
        make: makes the source, each time anew.
        feed: makes something new available; called before each batch of a pull source, and
            whenever something is expected of a push source. Not needed if it comes by itself.
        fail: takes away what a push source reads from; it must then raise.
        acknowledged: tells how many records a push source has acknowledged so far, if it does,
            to where they come from.
        batch: the time between the batches of a pull source, which begin now.
        batches: how many.

    Raises:
        AssertionError: it breaks a rule; the message says which.

    Example:
        >>> from livebatch.sources import source
        >>> check_source(lambda: source("rate_stream", {"rows_per_second": 5}))
    """
    made = make()
    _check_travels(made)
    is_pull, is_push = isinstance(made, PullSource), isinstance(made, PushSource)
    if is_pull == is_push:
        _broken(made, "has to have either plan(offsets, time) or run(receiver)")
    if is_pull:
        _PullCheck(make, feed).run(SystemClock().now(), to_millis(batch), batches)
    else:
        _check_push(make, feed, fail)
        if acknowledged is not None:
            _check_acknowledges(make, feed, acknowledged)


def _check_travels(made: Source) -> None:
    try:
        options = msgspec.to_builtins(made)
        again = type(made)(**_travel(options))
    except Exception as error:
        _broken(made, f"does not travel, as its options are no plain data: {error!r}")
    if msgspec.to_builtins(again) != options:
        _broken(made, f"is another one after it travelled: {again!r}, not {made!r}")


class _PullCheck:
    """Plans batch after batch, each several times."""

    def __init__(self, make: Callable[[], Source], feed: Callable[[], object] | None) -> None:
        self._make, self._feed = make, feed
        self._source = self._new()
        self._planned: list[Builtin | Code] = []
        self._rows = 0

    def run(self, begin: Millis, batch: Millis, batches: int) -> None:
        _, offsets = self._plan(self._source, None, begin)
        for number in range(1, batches + 1):
            if self._feed is not None:
                self._feed()
            offsets = self._batch(offsets, begin + number * batch)
        if not self._rows:
            _broken(self._source, f"gave nothing in {batches} batches: is there a feed?")

    def _new(self) -> PullSource:
        made = self._make()
        assert isinstance(made, PullSource)
        return made

    def _plan(self, source: PullSource, offsets: Any, time: Millis) -> tuple[list[Any], Any]:
        readers, after = source.plan(offsets, time)
        for reader in readers:
            if not isinstance(reader, (Builtin, Code)):
                _broken(source, f"gave the reader {reader!r}: use livebatch.closures.builtin")
        try:
            _travel(after)
        except (TypeError, ValueError, OverflowError, msgspec.MsgspecError) as error:
            _broken(source, f"has offsets that are no plain data: {after!r} ({error})", error)
        return readers, after

    def _batch(self, offsets: Any, time: Millis) -> Any:
        before = _travel(offsets)
        readers, after = self._plan(self._source, offsets, time)
        if _travel(offsets) != before:
            _broken(self._source, f"changed the offsets it was given, from {before} to {offsets}")
        for source in (self._source, self._new()):
            again, then = self._plan(source, _travel(offsets), time)
            if (_travel(again), _travel(then)) != (_travel(readers), _travel(after)):
                _broken(
                    source,
                    "planned something else from the same offsets, so that a batch could not be "
                    f"computed again: {again} and {then}, not {readers} and {after}",
                )
        self._check_limit(offsets, time, [row for reader in readers for row in self._read(reader)])
        return after

    def _check_limit(self, offsets: Any, time: Millis, rows: list[Any]) -> None:
        some, after = self._source.plan(_travel(offsets), time, 1)
        rest, _ = self._source.plan(_travel(after), time, None)
        if rows and _travel(after) == offsets:
            _broken(self._source, "does not get on when it is limited to one record")
        found = [row for r in (*some, *rest) for row in _rows(self._source, load(r)())]
        if found[: len(rows)] != rows:
            _broken(
                self._source,
                "gave other rows when it was limited to one record and then not: "
                f"{found}, not {rows}",
            )

    def _read(self, reader: Any) -> list[Any]:
        if reader in self._planned:
            _broken(self._source, f"has the same read twice: {reader}")
        self._planned.append(reader)
        try:
            came = msgspec.msgpack.decode(msgspec.msgpack.encode(reader), type=Builtin | Code)
            function = load(came)
        except (TypeError, msgspec.MsgspecError) as error:
            _broken(self._source, f"has a reader that does not travel: {error}", error)
        first, second = (_rows(self._source, function()) for _ in range(2))
        if first != second:
            _broken(self._source, f"has a reader that gives other rows the second time: {reader}")
        self._rows += len(first)
        return first


def _check_push(
    make: Callable[[], Source],
    feed: Callable[[], object] | None,
    fail: Callable[[], object] | None,
) -> None:
    with _Run(make(), feed) as run:
        run.expect_records()
        run.receiver.hold()
        run.expect("emitted nothing more", lambda receiver: receiver.holding)
        run.receiver.release()
        run.expect_records()
        run.stop("when it is told to")
    with _Run(make(), feed) as run:
        run.receiver.hold()
        run.expect("emitted nothing when it ran again", lambda receiver: receiver.holding)
        run.stop("while the receiver takes nothing")
    if fail is not None:
        with _Run(make(), feed) as run:
            run.expect_records()
            fail()
            run.expect_failure()


def _check_acknowledges(
    make: Callable[[], Source],
    feed: Callable[[], object] | None,
    acknowledged: Callable[[], int],
) -> None:
    with _Run(make(), feed) as run:
        before = acknowledged()
        run.receiver.keep()
        run.expect("emitted, but did not flush", lambda receiver: receiver.flushing)
        if acknowledged() > before:
            _broken(run.source, "acknowledged records before they had been flushed")
        run.receiver.release()
        run.expect(
            "did not acknowledge what it had flushed",
            lambda receiver: receiver.flushed > 0 and acknowledged() > before,
        )
        run.stop("after it acknowledged")


class _Receiver:
    """Counts what a push source emits, and can keep it waiting."""

    def __init__(self, source: Source) -> None:
        self.changed = threading.Condition()
        self.records = 0
        self.receiving = self.holding = self.ended = False
        self.error: Exception | None = None
        self._source = source
        self.flushing, self.flushed = False, 0
        self._held = self._kept = False
        self._stop = threading.Event()

    def emit(self, records: Sequence[Any] | pa.Table) -> None:
        rows = _rows(self._source, records)
        with self.changed:
            if not self.receiving:
                _broken(self._source, 'emitted before it reported "receiving"')
            self.holding = self._held
            self.changed.notify_all()
            self.changed.wait_for(lambda: not self._held or self._stop.is_set())
            self.holding = False
            self.records += len(rows)
            self.changed.notify_all()

    def report(self, state: str, detail: str = "") -> None:
        if state not in STATES:
            _broken(self._source, f"reported {state!r}; there are {', '.join(sorted(STATES))}")
        with self.changed:
            self.receiving |= state == "receiving"
            self.changed.notify_all()

    def flush(self) -> None:
        with self.changed:
            records, self.flushing = self.records, True
            self.changed.notify_all()
            self.changed.wait_for(lambda: not self._kept or self._stop.is_set())
            self.flushing, self.flushed = False, records
            self.changed.notify_all()

    def keep(self) -> None:
        """Have flushes wait until this is released."""
        with self.changed:
            self._kept = True

    def stopping(self, seconds: float = 0.0) -> bool:
        return self._stop.wait(seconds)

    def hold(self) -> None:
        with self.changed:
            self._held = True

    def release(self) -> None:
        with self.changed:
            self._held = self._kept = False
            self.changed.notify_all()

    def stop(self) -> None:
        with self.changed:
            self._stop.set()
            self.changed.notify_all()


class _Run:
    """A push source that runs in a thread."""

    def __init__(self, source: Source, feed: Callable[[], object] | None) -> None:
        assert isinstance(source, PushSource)
        self.receiver = _Receiver(source)
        self.source, self._feed, self._seen = source, feed, 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> _Run:
        self._thread.start()
        self._wait("did not report that it is receiving", lambda receiver: receiver.receiving)
        return self

    def __exit__(self, *_: object) -> None:
        self.receiver.stop()
        self._thread.join(STOPPED_S)

    def expect(self, otherwise: str, condition: Callable[[_Receiver], bool]) -> None:
        """Wait for something that follows from new records."""
        if self._feed is not None:
            self._feed()
        self._wait(otherwise, condition)

    def expect_records(self) -> None:
        self.expect("emitted nothing", lambda receiver: receiver.records > self._seen)
        self._seen = self.receiver.records

    def expect_failure(self) -> None:
        """Wait for the error that the source must raise now."""
        with self.receiver.changed:
            self.receiver.changed.wait_for(lambda: self.receiver.ended, PATIENCE_S)
        error = self.receiver.error
        if not isinstance(error, SourceError):
            raised = "nothing" if error is None else repr(error)
            _broken(self.source, f"raised {raised} when it failed, not a SourceError", error)

    def stop(self, when: str) -> None:
        self.receiver.stop()
        self._thread.join(STOPPED_S)
        if self._thread.is_alive():
            _broken(self.source, f"did not stop within {STOPPED_S:g} s {when}")
        if (error := self.receiver.error) is not None:
            _broken(self.source, f"raised {error!r} when it was stopped", error)

    def _run(self) -> None:
        assert isinstance(self.source, PushSource)
        try:
            self.source.run(self.receiver)
        except Exception as error:
            self.receiver.error = error
        with self.receiver.changed:
            self.receiver.ended = True
            self.receiver.changed.notify_all()

    def _wait(self, otherwise: str, condition: Callable[[_Receiver], bool]) -> None:
        receiver = self.receiver
        with receiver.changed:
            receiver.changed.wait_for(lambda: condition(receiver) or receiver.ended, PATIENCE_S)
            if condition(receiver):
                return
        if isinstance(receiver.error, AssertionError):
            raise receiver.error
        if receiver.error is not None:
            _broken(self.source, f"raised {receiver.error!r}", receiver.error)
        if receiver.ended:
            otherwise = "ended by itself, and would be started again: raise a SourceError"
        _broken(self.source, otherwise)


def _rows(source: Source, records: Any) -> list[Any]:
    """Return records as a list, if they are such as a source may give."""
    if isinstance(records, pa.Table):
        schema = getattr(source, "schema", None)
        if isinstance(schema, pa.Schema) and not records.schema.equals(schema):
            _broken(source, f"gave a table of other columns than its schema: {records.schema}")
        return table_rows(records)
    if isinstance(records, (str, bytes, dict)):
        _broken(source, f"gave {type(records).__name__}, not a list of records")
    return list(records)


def _travel(value: Any) -> Any:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(value))


def _broken(source: object, rule: str, cause: BaseException | None = None) -> NoReturn:
    raise AssertionError(f"{type(source).__module__}: this source {rule}") from cause
