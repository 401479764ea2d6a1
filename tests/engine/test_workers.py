"""Workers that die, hang, dawdle and starve, as real processes; nothing is lost, or late."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import psutil
import pytest

import livebatch as lb
from livebatch.engine.child import Child, State
from livebatch.engine.executors.local import SPARES, LocalExecutor
from livebatch.engine.speculation import ENOUGH
from livebatch.errors import EngineError, JobFailed
from livebatch.events import BatchFailed, BatchSettled
from livebatch.testing import ManualContext, local_executor
from tests.helpers import eventually

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def executor() -> Iterator[LocalExecutor]:
    """Two workers, and one to spare."""
    with local_executor(2) as executor:
        yield executor


@pytest.fixture
def ssc(executor: LocalExecutor) -> Iterator[ManualContext]:
    with ManualContext("1s", executor) as ssc:
        complete(executor)
        yield ssc


def complete(executor: LocalExecutor) -> list[int]:
    """Wait until all workers are there, the spare one too; return their process ids."""

    def there() -> bool:
        executor.poll(0.01)
        return len(executor._workers) == executor.slots + SPARES and all(
            worker.peer is not None and worker.idle for worker in executor._workers
        )

    eventually(there)
    return [worker.child.pid for worker in executor._workers]


def first_time(marker: Path, act: Callable[[], Any], row: Any) -> Any:
    """Do something the first time that anybody comes here, in whichever process."""
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return row
    act()
    return row


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def stopped() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def stuck() -> None:
    """Wait for ever, deaf to interrupts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Event().wait()


def with_children() -> None:
    """Die, and leave a child that holds all pipes open."""
    if os.fork() == 0:
        Event().wait()
    killed()


@pytest.mark.parametrize("act", [killed, stopped, with_children])
def test_what_a_worker_was_at_another_does(
    act: Callable[[], None], ssc: ManualContext, tmp_path: Path
) -> None:
    function = partial(first_time, tmp_path / "marker", act)
    rdd = ssc.parallelize(range(10), 2).map(function)
    assert rdd.collect() == list(range(10))
    assert (tmp_path / "marker").exists()


def test_what_a_worker_forked_dies_with_it(
    ssc: ManualContext, executor: LocalExecutor, tmp_path: Path
) -> None:
    before = set(psutil.Process().children(recursive=True))
    test_what_a_worker_was_at_another_does(with_children, ssc, tmp_path)
    complete(executor)
    alive = {p for p in psutil.Process().children(recursive=True) if p.is_running()}
    assert len(alive) == len(before)


def test_a_spare_worker_takes_a_dead_ones_task(
    ssc: ManualContext, executor: LocalExecutor, tmp_path: Path
) -> None:
    before = complete(executor)
    function = partial(first_time, tmp_path / "marker", killed)
    pids = ssc.parallelize([1], 1).map(function).map(lambda n: os.getpid()).collect()
    assert set(pids) < set(before)
    assert executor.pids() == (before[1], before[2])
    assert complete(executor)[:2] == before[1:]


def test_a_late_task_of_a_job_runs_a_second_time(ssc: ManualContext, tmp_path: Path) -> None:
    function = partial(first_time, tmp_path / "marker", stuck)
    rdd = ssc.parallelize(range(20), 2).map(function)
    assert rdd.collect() == list(range(20))


def test_a_late_task_of_a_batch_is_told_by_the_batches_before(
    ssc: ManualContext, executor: LocalExecutor, tmp_path: Path
) -> None:
    """The one partition there is hangs: only what it took before tells that this is not as ever."""
    marker = tmp_path / "marker"

    def hang_in_the_last(row: int) -> int:
        return first_time(marker, stuck, row) if row == ENOUGH else row

    stream = ssc.queue_stream([[n] for n in range(ENOUGH + 1)]).map(hang_in_the_last)
    rows: list[int] = []
    stream.foreach_rdd(lambda rdd: rows.extend(rdd.collect()), on="kernel")
    ssc.start()
    ssc.advance(f"{ENOUGH + 1}s")
    assert rows == list(range(ENOUGH + 1))
    assert marker.exists()


def test_both_attempts_may_write(
    ssc: ManualContext, executor: LocalExecutor, tmp_path: Path
) -> None:
    """Large blocks, shuffled: what the loser has written, half or whole, is deleted."""
    kept = executor.store.ids()
    function = partial(first_time, tmp_path / "marker", stuck)
    rdd = ssc.parallelize(range(20), 2).map(function).map(lambda n: (n, "x" * 100_000))
    assert sorted(rdd.repartition(2).map(lambda row: row[0]).collect()) == list(range(20))
    complete(executor)
    assert executor.store.ids() == kept


def test_map_outputs_outlive_the_workers_that_wrote_them(
    ssc: ManualContext, executor: LocalExecutor, tmp_path: Path
) -> None:
    log = tmp_path / "log"

    def note(row: int) -> tuple[int, str]:
        with log.open("a") as file:
            file.write(f"{row} {os.getpid()}\n")
        return row, "x" * 100_000

    def kill_the_writers(row: Any) -> Any:
        for pid in {int(line.split()[1]) for line in log.read_text().splitlines()} - {os.getpid()}:
            os.kill(pid, signal.SIGKILL)
        killed()

    shuffled = ssc.parallelize(range(8), 2).map(note).repartition(2)
    first = partial(first_time, tmp_path / "marker", partial(kill_the_writers, None))
    assert sorted(row for row, _ in shuffled.map(first).collect()) == list(range(8))
    assert len(log.read_text().splitlines()) == 8, "no map task ran twice"


# -- poison ----------------------------------------------------------------------------------


def exits(row: Any) -> Any:
    os._exit(3)


def dies(number: int, row: Any) -> Any:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("poison", "said"),
    [
        (exits, "ended with exit code 3"),
        (partial(dies, signal.SIGSEGV), "was killed by SIGSEGV"),
    ],
)
def test_a_task_that_kills_every_worker_says_which_function_and_how(
    poison: Any, said: str, ssc: ManualContext
) -> None:
    with pytest.raises(JobFailed, match=f"4 workers died .*{said}") as error:
        ssc.parallelize([1, 2], 2).map(poison).collect()
    assert ("exits" if poison is exits else "partial") in str(error.value)
    assert ssc.parallelize([1, 2]).count() == 2


def test_poison_fails_its_own_streams_batch_only() -> None:
    settled: list[str | None] = []
    failed: list[BatchFailed] = []

    def heard(event: object) -> None:
        if isinstance(event, BatchSettled):
            settled.append(event.batch.name)
        elif isinstance(event, BatchFailed):
            failed.append(event)

    with lb.StreamingContext("500ms", workers=2) as ssc:
        ssc.connection.listen(heard)
        good = ssc.queue_stream(default=[1])
        ssc.register("good", good)
        poisoned = ssc.queue_stream([[1]])
        with ssc.defining("bad"):
            ssc.register("bad", poisoned.map(exits))
        ssc.start()
        eventually(lambda: failed)
        before = settled.count("good")
        eventually(lambda: settled.count("good") > before + 1)
    assert {event.name for event in failed} == {"bad"}
    assert "exits" in failed[0].failure.message
    assert "exit code 3" in failed[0].failure.message


# -- workers that do not start ---------------------------------------------------------------


def test_workers_that_die_at_every_start_are_started_ever_more_rarely(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "nonsense")
    with local_executor(1) as executor:
        with pytest.raises(EngineError, match=r"ended with exit code 1 \(5 in a row\)"):
            eventually(lambda: executor.poll(0.05) or executor.ready)
        assert not executor._starts.may
        with (
            ManualContext("1s", executor) as ssc,
            pytest.raises(JobFailed, match="workers end before they can work"),
        ):
            ssc.parallelize([1]).count()
        assert "in a row" in ssc.status().trouble
        monkeypatch.delenv("PYTHONHASHSEED")
        eventually(lambda: executor.poll(0.05) or executor._workers)
        eventually(lambda: executor.poll(0.05) or not executor.trouble)
        assert executor.ready


# -- memory ----------------------------------------------------------------------------------

MEMORY = 512 << 20
LARGE = 250 << 20


@pytest.fixture(scope="module")
def small() -> Iterator[ManualContext]:
    with local_executor(1, memory=MEMORY) as executor, ManualContext("1s", executor) as ssc:
        yield ssc


def test_what_a_worker_hoards_is_gone_with_it(small: ManualContext) -> None:
    """A task that finds no memory left by others runs again where there is."""
    hoard = """
import builtins
builtins.hoard = bytearray(250 << 20)
"""
    small.parallelize([1], 1).map(lambda row: exec(hoard)).collect()
    assert small.parallelize([1], 1).map(lambda row: len(bytearray(LARGE))).collect() == [LARGE]


@pytest.mark.slow
def test_rows_that_do_not_fit_at_once_come_in_pieces() -> None:
    """900 MB of rows on their way into a frame, in a worker that may take 1 GiB."""
    count, limit = 18_000, 1 << 30
    with local_executor(1, memory=limit) as executor, ManualContext("1s", executor) as ssc:
        rows = ssc.queue_stream([range(count)]).map(lambda n: {"n": n, "text": f"{n:050000}"})
        ssc.register("wide", rows.to_frame({"n": "BIGINT"}))
        ssc.start()
        ssc.advance("1s")
        found = ssc.streams["wide"].latest().collect()
    assert [row["n"] for row in found] == list(range(count))


def test_a_function_that_never_has_enough_fails_with_its_line(small: ManualContext) -> None:
    with pytest.raises(JobFailed, match=r"MemoryError.*memory limit of 512 MiB") as error:
        small.parallelize([1], 1).map_partitions(lambda rows: [bytearray(1 << 30)]).collect()
    assert "bytearray(1 << 30)" in str(error.value)


def test_a_process_that_cannot_be_killed_holds_nothing_up(
    executor: LocalExecutor, ssc: ManualContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is stuck in a call of the system's, such as to a disk that does not answer, ends when
    that call does. Here its kill is held back until then."""
    monkeypatch.setattr("livebatch.engine.executors.local.GRACE", 0.1)
    held = executor._workers[0].child
    monkeypatch.setattr(held, "kill", lambda: None)
    function = partial(first_time, tmp_path / "marker", stopped)
    assert ssc.parallelize(range(4), 1).map(function).collect() == list(range(4))
    assert held.pid not in complete(executor)
    assert held.state() is State.STOPPED
    held._process.kill()
    held._process.wait()


def test_states_of_a_process() -> None:
    child = Child("http.server", "0")
    try:
        assert child.state() is State.RUNS
        os.kill(child.pid, signal.SIGSTOP)
        eventually(lambda: child.state() is State.STOPPED)
        child.kill()
        eventually(lambda: child.state() is State.ENDED)
    finally:
        child.close()
    assert child.end_of() == "was killed by SIGKILL"
