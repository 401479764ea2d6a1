"""A real engine with its processes, and what happens when one of them is killed."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

import livebatch as lb
from livebatch.engine.driver_host import TRIES
from livebatch.engine.log import Allocated, Settled, read_log
from livebatch.engine.runtime import ConnectionFile, clean_stale, find_engine
from livebatch.errors import EngineLost, NotRunning
from livebatch.events import BatchFailed, Event, SourceChanged
from livebatch.wire import Stop
from tests.helpers import eventually, leftovers, line_server, processes, script

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def ssc() -> Iterator[lb.StreamingContext]:
    """A context that runs all the time; tests take their streams away again."""
    with lb.StreamingContext("100ms", workers=2) as ssc:
        ssc.start()
        yield ssc


def wait_at(gate: Path, value: Any) -> Any:
    """Say that this process has come to a gate, and wait until it is open."""
    Path(f"{gate}.{os.getpid()}").touch()
    while not gate.exists():
        threading.Event().wait(0.01)
    return value


def waiting_at(gate: Path) -> list[int]:
    """The processes that have come to a gate."""
    return [int(path.suffix[1:]) for path in gate.parent.glob(f"{gate.name}.*")]


def found(ssc: lb.StreamingContext) -> ConnectionFile:
    """How others reach the engine of a context."""
    connection: Any = ssc.connection
    assert isinstance(connection.found, ConnectionFile)
    return connection.found


def heard(ssc: lb.StreamingContext) -> list[Event]:
    """A list to which every event is added."""
    events: list[Event] = []
    ssc.connection.listen(events.append)
    return events


def collected(stream: lb.DStream[Any]) -> list[Any]:
    """A list to which every record that settles is added."""
    rows: list[Any] = []
    stream.foreach_rdd(lambda rdd: rows.extend(rdd.collect()), on="kernel")
    return rows


# -- killed one by one -----------------------------------------------------------------------


def test_a_killed_workers_tasks_run_elsewhere(ssc: lb.StreamingContext, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    rdd = ssc.parallelize(range(8), 4).map(partial(wait_at, gate))
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(rdd.collect)
        killed = eventually(lambda: waiting_at(gate))[0]
        assert killed in ssc.status().workers
        os.kill(killed, signal.SIGKILL)
        gate.touch()
        assert result.result(20) == list(range(8))
    eventually(lambda: killed not in ssc.status().workers)
    assert len(ssc.status().workers) == 2


def test_a_batch_whose_worker_is_killed_settles(ssc: lb.StreamingContext, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    numbers = ssc.queue_stream()
    squares = ssc.register("squares", numbers.map(partial(wait_at, gate)).map(lambda n: n * n))
    rows = collected(squares)
    ssc.put(numbers, range(100))
    os.kill(eventually(lambda: waiting_at(gate))[0], signal.SIGKILL)
    gate.touch()
    eventually(lambda: len(rows) >= 100)
    (status,) = (stream for stream in ssc.status().streams if stream.name == "squares")
    assert (sorted(rows), status.error) == ([n * n for n in range(100)], None)
    ssc.remove("squares")


def test_an_interrupt_does_not_cut_off_an_import(ssc: lb.StreamingContext, tmp_path: Path) -> None:
    module = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nwhole = True\n"
    (tmp_path / "interrupted.py").write_text(module)

    def import_it(folder: str) -> Any:
        sys.path.insert(0, folder)
        return importlib.import_module("interrupted").whole

    assert ssc.parallelize([str(tmp_path)], 1).map(import_it).collect() == [True]


def test_a_call_is_made_again_when_the_driver_is_killed_but_not_for_ever(
    ssc: lb.StreamingContext, tmp_path: Path
) -> None:
    gate, events = tmp_path / "gate", heard(ssc)
    numbers = ssc.register("called", ssc.queue_stream(default=[1]))
    with ssc.defining("called"):
        numbers.foreach_rdd(lambda rdd: wait_at(gate, rdd.count()))
    killed: set[int] = set()
    for _ in range(TRIES):
        assert not any(isinstance(event, BatchFailed) for event in events)
        (driver,) = eventually(lambda: set(waiting_at(gate)) - killed)
        assert processes(ssc.status().pid, "livebatch.driver") == [driver]
        os.kill(driver, signal.SIGKILL)
        killed.add(driver)
    failed = eventually(lambda: [e for e in events if isinstance(e, BatchFailed)])[0]
    assert (failed.failure.kind, failed.name) == ("DriverDied", "called")
    eventually(lambda: set(waiting_at(gate)) - killed)
    gate.touch()
    before = events.count(failed)
    eventually(lambda: ssc.status().pending <= 1)
    assert events.count(failed) == before
    ssc.remove("called")


def test_a_killed_receiver_is_replaced(ssc: lb.StreamingContext) -> None:
    events = heard(ssc)
    with line_server() as server:
        lines = ssc.register("lines", ssc.socket_text_stream("127.0.0.1", server.port))
        rows = collected(lines)
        eventually(lambda: len(server.connections) == 1)
        server.send("a", "b")
        eventually(lambda: rows == ["a", "b"])
        (killed,) = processes(ssc.status().pid, "livebatch.engine.receiver")
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: len(server.connections) == 2)
        server.send("c")
        eventually(lambda: rows == ["a", "b", "c"])
        assert processes(ssc.status().pid, "livebatch.engine.receiver") != [killed]
        said = [event.state.detail for event in events if isinstance(event, SourceChanged)]
        assert "its process died; starting again" in said
        ssc.remove("lines")
    eventually(lambda: not processes(ssc.status().pid, "livebatch.engine.receiver"))


def test_a_killed_engine_takes_its_processes_with_it(tmp_path: Path) -> None:
    with lb.StreamingContext("100ms", workers=2) as ssc:
        ssc.queue_stream(default=[1]).foreach_rdd(lambda rdd: wait_at(tmp_path / "gate", None))
        ssc.start()
        eventually(lambda: waiting_at(tmp_path / "gate"))
        engine = psutil.Process(ssc.status().pid)
        eventually(lambda: len(engine.children()) == 4)
        others = engine.children()
        engine.kill()
        with pytest.raises(EngineLost):
            ssc.parallelize([1]).count()
        _, alive = psutil.wait_procs(others, timeout=10)
        assert alive == []
        name = found(ssc).name
    clean_stale()
    assert leftovers(name) == []


def test_waiting_for_an_engine_that_is_killed_ends() -> None:
    with lb.StreamingContext("100ms", workers=1) as ssc:
        ssc.start()
        psutil.Process(ssc.status().pid).kill()
        with pytest.raises(EngineLost):
            ssc.await_termination(3)


# -- clients that are killed -----------------------------------------------------------------

LEAVES_A_STREAM = """
    import sys
    import livebatch as lb
    ssc = lb.StreamingContext(
        "100ms", workers=2, linger=sys.argv[2], name=sys.argv[1], checkpoint=sys.argv[3]
    )
    ssc.register("squares", ssc.queue_stream(default=[1, 2, 3]).map(lambda n: n * n))
    ssc.streams["squares"].foreach_rdd(lambda rdd: rdd.count())
    ssc.start()
    print("started")
    ssc.await_termination()
"""


def settled(name: str) -> list[int]:
    """The times of the batches that have settled, as the engine's log has them."""
    return [e.time for e in read_log(find_engine(name).checkpoint) if isinstance(e, Settled)]


@contextmanager
def client_killed(folder: Path, name: str, linger: str) -> Iterator[psutil.Process]:
    """Start an engine, kill its client, and give the engine; it is stopped at the end."""
    with script(folder, LEAVES_A_STREAM, name, linger, str(folder / "checkpoint")) as client:
        assert client.line() == "started"
        eventually(lambda: len(settled(name)) >= 3)
        engine = psutil.Process(find_engine(name).owner.pid)
    try:
        yield engine
    finally:
        with suppress(psutil.NoSuchProcess):
            engine.terminate()
            engine.wait(10)


def test_no_batch_is_missing_when_the_client_is_killed(tmp_path: Path) -> None:
    with client_killed(tmp_path, "orphan", "30s") as engine:
        before = len(settled("orphan"))
        eventually(lambda: len(settled("orphan")) >= before + 5)
        ssc = lb.StreamingContext.attach("orphan")
        times = settled("orphan")
        assert {b - a for a, b in pairwise(times)} == {100}
        assert sorted(ssc.streams["squares"].latest().collect()) == [1, 4, 9]
        ssc.stop()
        engine.wait(10)
    assert leftovers("orphan") == []


def test_an_engine_without_clients_ends_after_a_while(tmp_path: Path) -> None:
    with client_killed(tmp_path, "lonely", "500ms") as engine:
        engine.wait(5)
    with pytest.raises(NotRunning):
        lb.StreamingContext.attach("lonely")
    assert leftovers("lonely") == []


# -- stopping --------------------------------------------------------------------------------


def test_an_engine_waits_for_a_client_that_asks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livebatch.launch.ORPHANED", 0.3)
    with lb.StreamingContext("100ms", workers=1) as ssc:
        threading.Event().wait(1.0)
        assert not ssc.status().running


@pytest.mark.parametrize("engine", ["process", "embedded"])
def test_nothing_is_left_after_stop(engine: Any, tmp_path: Path) -> None:
    before, threads = set(psutil.Process().children(recursive=True)), threading.active_count()
    with (
        line_server() as server,
        lb.StreamingContext("100ms", engine=engine, workers=2) as ssc,
    ):
        lines = ssc.register("lines", ssc.socket_text_stream("127.0.0.1", server.port))
        lines.foreach_rdd(lambda rdd: (tmp_path / "rows").write_text(f"{rdd.count()}"))
        ssc.start()
        eventually(lambda: server.connections and (tmp_path / "rows").exists())
        count = {"process": 6, "embedded": 4}[engine]
        eventually(lambda: len(set(psutil.Process().children(True)) - before) == count)
        name, started = found(ssc).name, set(psutil.Process().children(True)) - before
        assert len(leftovers(name)) >= 4
    assert leftovers(name) == []
    assert [process for process in started if process.is_running()] == []
    eventually(lambda: threading.active_count() <= threads)


def test_a_graceful_stop_finishes_the_batches_that_have_begun(tmp_path: Path) -> None:
    gate, said = tmp_path / "gate", tmp_path / "said"

    def write(time: Any, rdd: lb.RDD[int]) -> None:
        wait_at(gate, None)
        with said.open("a") as file:
            file.write(f"{round(time.timestamp() * 1000)} {rdd.count()}\n")

    with lb.StreamingContext(
        "100ms", workers=1, checkpoint=tmp_path / "checkpoint", supervised=False
    ) as ssc:
        ssc.queue_stream(default=[1, 2]).foreach_rdd(write)
        ssc.start()
        log = found(ssc).checkpoint
        eventually(lambda: waiting_at(gate) and len(list(read_log(log))) >= 3)
        ssc.connection.request(Stop(graceful=True))
        begun = [entry.time for entry in read_log(log) if isinstance(entry, Allocated)]
        engine = psutil.Process(found(ssc).owner.pid)
        gate.touch()
        engine.wait(20)
    assert said.read_text().splitlines() == [f"{time} 2" for time in begun]


def test_a_graceful_stop_processes_all_that_was_received(tmp_path: Path) -> None:
    rows = tmp_path / "rows"

    def write(rdd: lb.RDD[str]) -> None:
        with rows.open("a") as file:
            file.writelines(f"{line}\n" for line in rdd.collect())

    with line_server() as server, lb.StreamingContext("5s", engine="embedded", workers=1) as ssc:
        ssc.socket_text_stream("127.0.0.1", server.port).foreach_rdd(write)
        ssc.start()
        eventually(lambda: server.connections)
        server.send(*map(str, range(100)))
        received = ssc.connection._server.engine.allocator.received_blocks  # type: ignore[attr-defined]
        eventually(lambda: sum(b.rows for blocks in received.values() for b in blocks) == 100)
        ssc.stop(stop_gracefully=True)
    assert rows.read_text().split() == [str(n) for n in range(100)]


# -- scripts ---------------------------------------------------------------------------------

ENGINES = pytest.mark.parametrize("engine", ["process", "embedded"])
UNGUARDED = """
    import sys
    import threading
    import livebatch as lb
    last = threading.Event()
    def write(text):
        print(text)
        if "('be', 1)" in text:
            last.set()
    ssc = lb.StreamingContext("100ms", workers=2, engine=sys.argv[1])
    print(ssc.connection.found.name)
    words = ssc.queue_stream([["to be or", "not to be"], ["be"]]).flat_map(str.split)
    words.count_by_value().transform(lambda rdd: rdd.filter(lambda kv: kv[0] == "be")).pprint()
    ssc.write = write
    ssc.start()
    last.wait(60)
"""


@ENGINES
def test_a_script_without_a_guard_works_and_leaves_nothing(engine: str, tmp_path: Path) -> None:
    with script(tmp_path, UNGUARDED, engine) as running:
        name, said = running.line(), running.finish()
    assert "('be', 2)" in said
    assert "('be', 1)" in said
    assert "Traceback" not in said
    assert leftovers(name) == []


INTERRUPTED = """
    import sys
    from pathlib import Path
    import livebatch as lb
    folder = sys.argv[2]

    def interrupted(what):
        try:
            what()
        except KeyboardInterrupt:
            print("interrupted")
        print(ssc.parallelize(range(3)).count())

    def spin(n):
        Path(folder, "spin").touch()
        while True:
            pass

    def deafly(n):
        Path(folder, "deafly").touch()
        return sum(iter(int, 1))

    ssc = lb.StreamingContext("100ms", workers=2, engine=sys.argv[1])
    interrupted(ssc.parallelize([1], 1).map(spin).collect)
    interrupted(ssc.parallelize([1], 1).map(deafly).collect)
    ssc.queue_stream(default=[1]).foreach_rdd(lambda rdd: Path(folder, "wait").touch())
    ssc.start()
    interrupted(ssc.await_termination)
    ssc.stop()
    print("stopped")
"""


@ENGINES
def test_an_interrupt_gives_up_what_is_done_and_no_more(engine: str, tmp_path: Path) -> None:
    with script(tmp_path, INTERRUPTED, engine, str(tmp_path)) as running:
        for moment in ("spin", "deafly", "wait"):
            eventually((tmp_path / moment).exists)
            assert within(2, running.interrupt, running.line) == "interrupted"
            assert running.line() == "3"
        assert running.finish().strip() == "stopped"


def within(seconds: float, act: Callable[[], None], then: Callable[[], str]) -> str:
    """Do something, and return what comes of it in so many seconds."""
    with ThreadPoolExecutor(1) as pool:
        act()
        return pool.submit(then).result(seconds)
