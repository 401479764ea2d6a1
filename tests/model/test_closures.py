"""Functions on their way to the workers."""

from __future__ import annotations

import functools
import importlib
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from operator import add
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebatch.closures import Builtin, Code, builtin, codes, digests, load, revive, ship
from livebatch.engine.executors.local import LocalExecutor
from livebatch.errors import ClosureError
from livebatch.framing import Channel, unpack
from livebatch.rdd import RDD, to_lineage
from livebatch.rdd import functions as run
from livebatch.rdd.operation import Read
from livebatch.testing import ManualContext
from livebatch.wire import Define, Offer
from tests.model.conftest import Cluster
from tests.model.harness import context, play

GLOBAL = 5
LOCK = threading.Lock()


class Colour(Enum):
    RED = "r"
    BLUE = "b"


@dataclass(frozen=True)
class Page:
    site: str
    colour: Colour


class Scaler:
    def __init__(self, factor: int) -> None:
        self.factor = factor

    def scale(self, n: int) -> int:
        return n * self.factor

    def __call__(self, n: int) -> int:
        return -n * self.factor


# -- what can be sent ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda n: n + GLOBAL, 8),
        (abs, 3),
        (str, "3"),
        (functools.partial(max, 7), 7),
        (Scaler(2).scale, 6),
        (Scaler(2), -6),
    ],
    ids=["global", "builtin", "class", "partial", "method", "callable"],
)
def test_all_kinds_of_callables(function: Any, expected: Any, cluster: Cluster) -> None:
    assert play(lambda s: s.map(function), [[3]], cluster.executor(1)) == {1: [expected]}


def test_globals_are_captured_when_the_stream_is_defined(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(stream: Any) -> Any:
        made = stream.map(lambda n: n + GLOBAL)
        monkeypatch.setattr(sys.modules[__name__], "GLOBAL", 100)
        return made

    assert play(build, [[3]]) == {1: [8]}


@pytest.mark.process
def test_classes_of_the_notebook_are_keys_in_every_worker(local: LocalExecutor) -> None:
    pages = [Page(site, colour) for site in "abc" for colour in Colour]
    build = lambda s: s.map(lambda p: (p, p.colour)).group_by_key(4).reduce_by_key(add)  # noqa: E731
    assert sorted(play(build, [pages * 3], local)[1], key=repr) == sorted(
        ((page, [page.colour] * 3) for page in pages), key=repr
    )


def test_equal_code_is_known_by_one_hash_and_sent_once() -> None:
    first, second = (ship(lambda n: n + 1) for _ in range(2))
    assert first == second
    channel = Channel()
    rdd: RDD[Any] = RDD(Read((first, second)))
    offer = Offer("q", (to_lineage(rdd),))
    assert [len(channel.pack(offer)) for _ in range(2)] == [2, 1]


# -- what cannot -----------------------------------------------------------------------------


def test_a_lock_is_named() -> None:
    mutex = threading.Lock()

    def guarded(n: int) -> int:
        with mutex:
            return n

    with pytest.raises(ClosureError, match=r"guarded cannot be sent.*'mutex' \(_thread\.lock\)"):
        ship(guarded)
    with pytest.raises(ClosureError, match="'LOCK'"):
        ship(lambda n: LOCK.acquire())
    with pytest.raises(ClosureError, match="'mutex'"):
        ship(lambda n, mutex=mutex: n)
    with pytest.raises(ClosureError, match="'LOCK'"):
        ship(functools.partial(lambda n, LOCK: n, LOCK=LOCK))
    scaler = Scaler(1)
    scaler.lock = mutex  # type: ignore[attr-defined]
    with pytest.raises(ClosureError, match="'lock'"):
        ship(scaler)
    with pytest.raises(ClosureError, match=r"'self'.*Scaler"):
        ship(scaler.scale)


def test_streams_and_rdds_inside_functions_are_explained() -> None:
    with ManualContext("1s") as ssc:
        stream, rdd = ssc.queue_stream(), ssc.parallelize([1])
        ssc.register("words", stream)
        with pytest.raises(ClosureError, match=r"the stream words is used inside a function.*unio"):
            stream.map(lambda n: stream)
        with pytest.raises(ClosureError, match=r"an RDD is used inside a function.*collect\(\)"):
            stream.filter(lambda n: n in rdd.collect())


def test_a_context_inside_a_function_is_named() -> None:
    with ManualContext("1s") as ssc, pytest.raises(ClosureError, match="'ssc'"):
        ssc.queue_stream().map(lambda n: ssc.parallelize([n]))


def test_a_context_with_streams_inside_a_function_is_named() -> None:
    with ManualContext("1s") as ssc:
        words = ssc.register("words", ssc.queue_stream())
        with pytest.raises(ClosureError, match="ssc"):
            words.map(lambda n: ssc.parallelize([n]))


def test_only_functions_are_functions() -> None:
    with pytest.raises(ClosureError, match="a function is needed here, not 3"):
        ship(3)  # type: ignore[arg-type]


def test_large_captures_are_warned_about_by_name(caplog: pytest.LogCaptureFixture) -> None:
    table, few = list(range(500_000)), [1, 2]
    with caplog.at_level(logging.WARNING):
        ship(lambda n: n in few)
        assert not caplog.messages
        ship(lambda n: n in few or table[n])
    (message,) = caplog.messages
    assert "captures 'table': " in message
    assert "MB travel to every worker" in message
    assert "few" not in message


# -- modules that are not installed ----------------------------------------------------------


@pytest.fixture
def write_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Writes a module's source, imports or reloads it, and returns it."""
    name, path = f"edited_{tmp_path.name}", tmp_path / f"edited_{tmp_path.name}.py"
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    # Two edits within a second look alike to the cache of compiled modules.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(source: str) -> ModuleType:
        path.write_text(f"from __future__ import annotations\n{source}")
        importlib.invalidate_caches()
        known = sys.modules.get(name)
        return importlib.reload(known) if known else importlib.import_module(name)

    yield write
    sys.modules.pop(name, None)


def test_an_edited_module_takes_effect_when_reloaded(
    write_module: Callable[[str], Any], cluster: Cluster
) -> None:
    module = write_module("def inner(n): return n + 1\ndef f(n): return inner(n)")
    executor = cluster.executor(2)
    assert play(lambda s: s.map(module.f), [[1]], executor) == {1: [2]}
    module = write_module("def inner(n): return n * 10\ndef f(n): return inner(n)")
    assert play(lambda s: s.map(module.f), [[1]], executor) == {1: [10]}
    assert play(lambda s: s.map(lambda n: module.f(n)), [[1]], executor) == {1: [10]}


@pytest.mark.process
def test_rows_of_classes_in_such_a_module_come_back_as_they_were(
    write_module: Callable[[str], Any], local: LocalExecutor
) -> None:
    module = write_module(
        "from dataclasses import dataclass\n"
        "@dataclass(frozen=True)\nclass Row:\n    n: int\n"
        "def make(n): return Row(n), n"
    )
    build = lambda s: s.map(module.make).reduce_by_key(add, 3)  # noqa: E731
    found = dict(play(build, [[1, 2, 1, 3, 2, 1]], local)[1])
    assert found == {module.Row(1): 3, module.Row(2): 4, module.Row(3): 3}


def test_installed_modules_are_sent_by_name() -> None:
    from hypothesis.strategies import integers

    assert isinstance(shipped := ship(integers), Code)
    assert len(codes.blob(shipped.digest)) < 200


# -- livebatch's own functions ---------------------------------------------------------------

plain = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(
    allow_nan=False) | st.text(max_size=5)  # fmt: skip
functions = st.sampled_from([ship(lambda n: n + 1), ship(str), ship(lambda rows: list(rows))])
bound = st.recursive(
    plain | functions,
    lambda inner: st.lists(inner, max_size=3).map(
        lambda args: builtin(run.largest, *args)
    ) | st.lists(inner, max_size=3).map(tuple),
    max_leaves=5,
)  # fmt: skip


def whole(value: Any) -> Any:
    """What came over the wire, with the types of functions at every depth."""
    value = revive(value)
    if isinstance(value, Builtin):
        return Builtin(value.target, whole(value.args))
    return tuple(map(whole, value)) if isinstance(value, tuple) else value


@given(st.lists(bound, max_size=3))
def test_builtins_with_functions_for_arguments_travel(args: list[Any]) -> None:
    made = builtin(run.reduce_rows, *args)
    rdd: RDD[Any] = RDD(Read((made,)))
    message = Offer("q", (to_lineage(rdd),))
    received = unpack(Channel().pack(message))
    assert isinstance(received, Offer)
    operation = received.rdds[0][0].operation
    assert isinstance(operation, Read)
    (function,) = operation.readers
    assert isinstance(function, Builtin)
    assert whole(function) == made
    assert set(digests(received)) == set(digests(message))


def test_parameters_of_streams_travel() -> None:
    with context() as ssc:
        sent: list[Define] = []
        request = ssc.stepped.request

        def listen(message: Any) -> Any:
            sent.extend([message] if isinstance(message, Define) else [])
            return request(message)

        ssc.stepped.request = listen  # type: ignore[method-assign]
        stream = ssc.queue_stream().top(3, key=lambda n: -n).map_values(str)
        ssc.register("ranked", stream.update_state_by_key(lambda new, n: n, 2, [("a", 1)]))
    (define,) = sent
    received = unpack(Channel().pack(define))
    assert isinstance(received, Define)
    assert [whole(node.params) for node in received.nodes] == [n.params for n in define.nodes]


def test_only_functions_of_livebatchs_are_builtins() -> None:
    with pytest.raises(ClosureError, match="not a function of livebatch's"):
        load(Builtin("os:system", ("true",)))


def test_a_module_under_another_name_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("its_own_name")
    module.__file__ = str(tmp_path / "module.py")
    monkeypatch.setitem(sys.modules, "an_alias", module)
    ship(lambda n: n)
