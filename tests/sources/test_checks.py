"""Every source keeps the rules, and sources that break one are found out."""

from __future__ import annotations

import itertools
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from livebatch.checks import sources as checks
from livebatch.checks.sources import check_source
from livebatch.closures import Builtin, builtin, ship
from livebatch.errors import SourceError
from livebatch.interval import Millis
from livebatch.sources import kinds, source
from livebatch.sources.base import Receiver
from livebatch.sources.rate_stream import rows
from tests.helpers import eventually, line_server

CASES: dict[str, Callable[[Path, ExitStack], dict[str, Any]]] = {}
"""For each kind of source what makes it, feeds it, and lets it fail."""


def case(function: Callable[[Path, ExitStack], dict[str, Any]]) -> None:
    CASES[function.__name__] = function


@pytest.mark.parametrize("kind", kinds())
def test_every_source_that_ships(kind: str, tmp_path: Path) -> None:
    assert kind in CASES, f"{kind} needs a case in this file"
    with ExitStack() as stack:
        check_source(**CASES[kind](tmp_path, stack))


def put_new(folder: Path, text: str) -> Callable[[], object]:
    """What puts one more file into a folder."""
    numbers = itertools.count()
    return lambda: (folder / f"{next(numbers)}.txt").write_text(text)


@case
def text_file_stream(folder: Path, stack: ExitStack) -> dict[str, Any]:
    return {
        "make": lambda: source("text_file_stream", {"directory": folder}),
        "feed": put_new(folder, "to be\nor not\n"),
    }


@case
def binary_records_stream(folder: Path, stack: ExitStack) -> dict[str, Any]:
    options = {"directory": folder, "record_length": 3}
    return {
        "make": lambda: source("binary_records_stream", options),
        "feed": put_new(folder, "to be "),
    }


@case
def file_stream(folder: Path, stack: ExitStack) -> dict[str, Any]:
    return {
        "make": lambda: source("file_stream", {"directory": folder, "schema": {"n": "BIGINT"}}),
        "feed": put_new(folder, "n\n1\n2\n"),
    }


@case
def rate_stream(folder: Path, stack: ExitStack) -> dict[str, Any]:
    options = {"rows_per_second": 10, "num_partitions": 3}
    return {"make": lambda: source("rate_stream", options), "batch": "700ms"}


@case
def replay(folder: Path, stack: ExitStack) -> dict[str, Any]:
    options = {"data": {"at": [1, 2.5, 2.5, 4]}, "time_column": "at", "loop": True}
    return {"make": lambda: source("replay", options), "batches": 10}


@case
def socket_text_stream(folder: Path, stack: ExitStack) -> dict[str, Any]:
    server = stack.enter_context(line_server())

    def feed() -> None:
        connected = eventually(lambda: list(filter(is_connected, server.connections)))
        connected[-1].sendall(b"one\ntwo\n")

    def fail() -> None:
        for connection in server.connections:
            connection.close()

    options = {"hostname": "127.0.0.1", "port": server.port}
    return {"make": lambda: source("socket_text_stream", options), "feed": feed, "fail": fail}


def is_connected(connection: socket.socket) -> bool:
    """Whether the other side has not closed a connection."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


@case
def system_metrics(folder: Path, stack: ExitStack) -> dict[str, Any]:
    return {"make": lambda: source("system_metrics", {"every": "100ms"})}


# -- pull sources that break a rule ---------------------------------------------------------------


class Pull(msgspec.Struct):
    """Keeps all rules; the broken ones below differ in one thing."""

    step: int = 2

    def plan(self, offsets: Any, time: Millis, limit: int | None = None) -> tuple[list[Any], Any]:
        if offsets is None:
            return [], {"at": 0}
        at = offsets["at"]
        end = at + min(self.step, limit or self.step)
        return [builtin(rows, at, end, 0, 1, 1)], {"at": end}


PULLS: list[Any] = []


def breaks(rule: str) -> Callable[[Callable[..., Any]], None]:
    """Add a source with another plan, which breaks a rule."""

    def add(plan: Callable[..., Any]) -> None:
        made = msgspec.defstruct(plan.__name__, [], bases=(Pull,), namespace={"plan": plan})
        PULLS.append(pytest.param(made, rule, id=plan.__name__))

    return add


@breaks("changed the offsets it was given, from {'at': 0} to {'at': 2}")
def mutates(self: Pull, offsets: Any, time: Millis, limit: int | None = None) -> Any:
    readers, after = Pull.plan(self, offsets, time)
    if offsets is not None:
        offsets.update(after)
    return readers, after


@breaks("planned something else from the same offsets")
def remembers(self: Pull, offsets: Any, time: Millis, limit: int | None = None) -> Any:
    self.step += 1
    return Pull.plan(self, offsets, time)


@breaks("planned something else from the same offsets")
def differs_from_its_like(self: Pull, offsets: Any, time: Millis, limit: int | None = None) -> Any:
    readers, after = Pull.plan(self, offsets, time)
    return readers, {**after, "by": id(self)}


@breaks("has the same read twice")
def repeats(self: Pull, offsets: Any, time: Millis, limit: int | None = None) -> Any:
    return [builtin(rows, 0, 1, 0, 1, 1)], {"at": time}


@breaks("gave nothing in 3 batches: is there a feed?")
def gives_nothing(self: Pull, offsets: Any, time: Millis, limit: int | None = None) -> Any:
    return [], {"at": time}


@breaks("has offsets that are no plain data")
def has_objects(self: Pull, offsets: Any, time: Millis, limit: int | None = None) -> Any:
    return [], {"at": object()}


@breaks("gave the reader <built-in function print>: use livebatch.closures.builtin")
def has_bare_functions(self: Pull, offsets: Any, time: Millis, limit: int | None = None) -> Any:
    return [print], {"at": time}


@breaks("has a reader that does not travel")
def has_foreign_functions(self: Pull, offsets: Any, time: Millis, limit: int | None = None) -> Any:
    return [Builtin("os:listdir")], {"at": time}


@breaks("has a reader that gives other rows the second time")
def counts(self: Pull, offsets: Any, time: Millis, limit: int | None = None) -> Any:
    return [counter], {"at": time}


@breaks("gave str, not a list of records")
def gives_text(self: Pull, offsets: Any, time: Millis, limit: int | None = None) -> Any:
    return [hello], {"at": time}


@breaks("does not get on when it is limited to one record")
def stands_still(self: Pull, offsets: Any, time: Millis, limit: int | None = None) -> Any:
    return ([], offsets) if limit else Pull.plan(self, offsets, time)


@breaks("gave other rows when it was limited to one record and then not")
def leaves_out(self: Pull, offsets: Any, time: Millis, limit: int | None = None) -> Any:
    readers, after = Pull.plan(self, offsets, time, limit)
    return readers, {"at": 99} if limit else after


_numbers = itertools.count()
counter = ship(lambda: [next(_numbers)])
hello = ship(lambda: "hello")


@pytest.mark.parametrize(("make", "rule"), PULLS)
def test_broken_pull_sources_are_found_out(make: Callable[[], Any], rule: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(rule)):
        check_source(make)


def test_a_pull_source_that_keeps_all_rules() -> None:
    check_source(Pull)


class OtherColumns(Pull):
    @property
    def schema(self) -> pa.Schema:
        return pa.schema([("other", pa.int64())])


class Neither(msgspec.Struct):
    """Is no source."""


class Unplain:
    """Has no options that travel."""

    plan = Pull.plan


class Unlike(Pull):
    """Is another one whenever it is made of its options."""

    def __post_init__(self) -> None:
        self.step += 1


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (OtherColumns, "gave a table of other columns than its schema"),
        (Neither, "has to have either plan"),
        (Unplain, "does not travel, as its options are no plain data"),
        (Unlike, "is another one after it travelled"),
    ],
)
def test_other_broken_sources_are_found_out(make: Callable[[], Any], rule: str) -> None:
    with pytest.raises(AssertionError, match=rule):
        check_source(make)


# -- push sources that break a rule ---------------------------------------------------------------


def emit_evenly(receiver: Receiver) -> None:
    """What a push source should do."""
    receiver.report("receiving")
    while not receiver.stopping(0.001):
        receiver.emit(["record"])


PUSHES: list[Any] = []


def spoils(rule: str) -> Callable[[Callable[..., Any]], None]:
    """Add a source that runs otherwise, and so breaks a rule."""

    def add(run: Callable[..., Any]) -> None:
        made = msgspec.defstruct(run.__name__, [], namespace={"run": lambda self, r: run(r)})
        PUSHES.append(pytest.param(made, rule, id=run.__name__))

    return add


@spoils('emitted before it reported "receiving"')
def does_not_report(receiver: Receiver) -> None:
    receiver.emit(["record"])


@spoils("reported 'happy'; there are connecting, receiving, stopped")
def reports_something_else(receiver: Receiver) -> None:
    receiver.report("happy")


@spoils("did not report that it is receiving")
def does_nothing(receiver: Receiver) -> None:
    receiver.stopping(60)


@spoils("emitted nothing")
def emits_nothing(receiver: Receiver) -> None:
    receiver.report("receiving")
    receiver.stopping(60)


@spoils("emitted nothing more")
def emits_once(receiver: Receiver) -> None:
    receiver.report("receiving")
    receiver.emit(["record"])
    receiver.stopping(60)


@spoils("ended by itself, and would be started again")
def ends(receiver: Receiver) -> None:
    receiver.report("receiving")
    receiver.emit(["record"])


@spoils("raised ZeroDivisionError")
def raises(receiver: Receiver) -> None:
    receiver.report("receiving")
    receiver.emit([1 / 0])


@spoils("did not stop within 1 s when it is told to")
def does_not_stop(receiver: Receiver) -> None:
    receiver.report("receiving")
    ended = threading.Event()
    ALIVE.append(ended)
    while not ended.wait(0.01):
        receiver.emit(["record"])


@spoils("raised KeyError('stop') when it was stopped")
def raises_at_its_end(receiver: Receiver) -> None:
    emit_evenly(receiver)
    raise KeyError("stop")


@spoils("gave dict, not a list of records")
def emits_one_record(receiver: Receiver) -> None:
    receiver.report("receiving")
    receiver.emit({"no": "list"})  # type: ignore[arg-type]


ALIVE: list[threading.Event] = []
"""What ends the sources that do not end when they should."""


@pytest.fixture(autouse=True)
def end_all() -> Iterator[None]:
    yield
    while ALIVE:
        ALIVE.pop().set()


@pytest.mark.parametrize(("make", "rule"), PUSHES)
def test_broken_push_sources_are_found_out(
    make: Callable[[], Any], rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "PATIENCE_S", 1.0)
    with pytest.raises(AssertionError, match=re.escape(rule)):
        check_source(make)


class Push(msgspec.Struct):
    """Keeps all rules; ends as a test says."""

    def run(self, receiver: Receiver) -> None:
        receiver.report("receiving")
        while not receiver.stopping(0.001):
            receiver.emit(["record"])
            if FAILURES:
                raise FAILURES.pop()


FAILURES: list[Exception] = []


def test_a_push_source_that_keeps_all_rules() -> None:
    check_source(Push, fail=lambda: FAILURES.append(SourceError("gone")))


def test_a_source_must_fail_with_a_source_error() -> None:
    with pytest.raises(AssertionError, match=r"raised OSError\('gone'\) when it failed"):
        check_source(Push, fail=lambda: FAILURES.append(OSError("gone")))


def test_a_source_must_fail_when_it_has_nothing_to_read_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checks, "PATIENCE_S", 1.0)
    with pytest.raises(AssertionError, match="raised nothing when it failed"):
        check_source(Push, fail=lambda: None)
