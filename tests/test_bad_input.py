"""What users get wrong, and that it harms nothing else."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import livebatch as lb
from livebatch.engine.server import Settings
from livebatch.errors import (
    ClosureError,
    DefinitionError,
    JobFailed,
    LivebatchError,
    NameTaken,
    NotRunning,
)
from livebatch.events import BatchFailed, BatchSettled, Event, SourceChanged, StreamStatus
from livebatch.launch import start_process
from livebatch.testing import ManualContext, collected
from tests.helpers import eventually, free_port, line_server, script

process = pytest.mark.process


@pytest.fixture(scope="module")
def ssc() -> Iterator[lb.StreamingContext]:
    """A context with little room for blocks, which runs all the time."""
    connection = start_process(Settings("bad-input", 100, 2, budget=1 << 20, linger=60))
    with lb.StreamingContext("100ms", connection=connection) as ssc:
        ssc.start()
        yield ssc


@pytest.fixture
def manual() -> Iterator[ManualContext]:
    ssc = ManualContext()
    with ssc:
        yield ssc


def heard(ssc: lb.StreamingContext) -> list[Event]:
    """A list to which every event is added."""
    events: list[Event] = []
    ssc.connection.listen(events.append)
    return events


def status_of(ssc: lb.StreamingContext, name: str) -> StreamStatus:
    return next(stream for stream in ssc.status().streams if stream.name == name)


def source_that_is(ssc: lb.StreamingContext, name: str, state: str) -> str:
    """Wait until a stream's source is in a state and return what it says."""

    def says() -> str:
        source = status_of(ssc, name).input.state
        return source if source.startswith(state) else ""

    return eventually(says)


def rows_of(stream: lb.DStream[Any]) -> list[Any]:
    """A list to which every record that settles is added."""
    rows: list[Any] = []
    stream.foreach_rdd(lambda rdd: rows.extend(rdd.collect()), on="kernel")
    return rows


# -- contexts and engines --------------------------------------------------------------------


@pytest.mark.parametrize("batch", ["0s", "-1s", "fast", "", 0, -1, 0.0001, "1.5ms", None, True, []])
def test_a_wrong_batch_interval_is_refused_before_anything_starts(batch: Any) -> None:
    with pytest.raises(DefinitionError, match="the batch interval"):
        lb.StreamingContext(batch)


def test_a_wrong_option_is_refused_before_anything_starts() -> None:
    with pytest.raises(DefinitionError, match='on_error is "skip" or "raise"'):
        lb.StreamingContext(on_error="ignore")
    with pytest.raises(DefinitionError, match="name of an engine"):
        lb.StreamingContext(name="no spaces, please")
    with pytest.raises(DefinitionError, match="linger"):
        lb.StreamingContext(linger="for ever")


@process
@pytest.mark.parametrize("option", [{"workers": -1}, {"engine": "thread"}])
def test_a_wrong_kind_or_number_is_refused_before_anything_starts(option: Any) -> None:
    with pytest.raises(DefinitionError), lb.StreamingContext(**option):
        pass


def test_attaching_to_no_engine_says_what_there_is() -> None:
    with pytest.raises(NotRunning, match=r"no engine named 'nowhere' is running \(running: "):
        lb.StreamingContext.attach("nowhere")


# -- functions -------------------------------------------------------------------------------


def test_a_function_that_cannot_be_sent_is_refused_where_it_is_written(
    manual: ManualContext,
) -> None:
    lock, numbers = threading.Lock(), manual.queue_stream([[1]])
    for define in (numbers.map, numbers.foreach_rdd, manual.parallelize([1]).filter):
        with pytest.raises(ClosureError, match=r"cannot be sent .* uses 'lock'"):
            define(lambda n: lock)


def test_a_stream_in_a_function_is_explained(manual: ManualContext) -> None:
    numbers = manual.queue_stream([[1]])
    other = manual.register("other", manual.queue_stream([[2]]))
    with pytest.raises(ClosureError, match="the stream other is used inside a function"):
        numbers.map(lambda n: other.count())


def test_an_rdd_in_a_function_is_explained(manual: ManualContext) -> None:
    rdd = manual.parallelize([1, 2])
    with pytest.raises(ClosureError, match=r"an RDD is used inside a function .* collect\(\)"):
        manual.queue_stream([[1]]).map(lambda n: rdd.count())


def test_a_context_in_a_function_is_explained(manual: ManualContext) -> None:
    with pytest.raises(ClosureError, match="'manual'"):
        manual.queue_stream([[1]]).map(lambda n: manual.parallelize([n]))


@pytest.mark.parametrize("wrong", [None, 1, "f"])
def test_what_is_no_function_is_refused(manual: ManualContext, wrong: Any) -> None:
    numbers = manual.queue_stream([[1]])
    for define in (numbers.map, numbers.reduce, manual.parallelize([1]).flat_map):
        with pytest.raises(ClosureError, match="a function is needed here, not"):
            define(wrong)


def test_a_function_of_the_wrong_number_of_rdds_is_refused(manual: ManualContext) -> None:
    numbers = manual.queue_stream([[1]])
    with pytest.raises(DefinitionError, match=r"a function of \(rdd\) or of \(time, rdd\)"):
        numbers.transform(lambda: None)
    with pytest.raises(DefinitionError, match=r"\(rdd1, rdd2\) or of \(time, rdd1, rdd2\)"):
        numbers.transform_with(lambda rdd: rdd, numbers)


# -- streams ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "define",
    [
        lambda numbers: numbers.map(lambda n: 1 // 0),
        lambda numbers: numbers.reduce(lambda a, b: 1 // 0),
        lambda numbers: numbers.reduce_by_key(max),
        lambda numbers: numbers.map(lambda n: ([n], n)).group_by_key(),
        lambda numbers: numbers.map(lambda n: threading.Lock()),
        lambda numbers: numbers.map_partitions(lambda rows: None),
        lambda numbers: numbers.transform(lambda rdd: None),
        lambda numbers: numbers.transform(lambda rdd: rdd.no_such_method()),
        lambda numbers: numbers.transform(lambda rdd: rdd.repartition(0)),
        lambda numbers: numbers.map(lambda n: (n, n)).partition_by(2, lambda key: "left"),
        lambda numbers: numbers.update_state_by_key(lambda new, state: 1),
        lambda numbers: numbers.repartition(0),
        lambda numbers: numbers.repartition("many"),
        lambda numbers: numbers.map(lambda n: (n, n)).group_by_key("many"),
        lambda numbers: numbers.map(lambda n: (n, n)).reduce_by_key(max, -1),
        lambda numbers: numbers.count_by_value(2.5),
        lambda numbers: numbers.top("ten"),
        lambda numbers: numbers.union(7),
    ],
)
def test_a_wrong_stream_is_refused_or_fails_and_harms_no_other(
    manual: ManualContext, define: Callable[[Any], Any]
) -> None:
    numbers, events = manual.queue_stream([[1, 2, 3]] * 3), heard(manual)
    good, refused = collected(numbers.map(lambda n: n * n)), False
    try:
        collected(define(numbers))
    except (LivebatchError, TypeError, ValueError, AttributeError):
        refused = True
    also_good = collected(numbers.count())
    manual.start()
    manual.advance("3s")
    assert (good, also_good) == ([[1, 4, 9]] * 3, [[3]] * 3)
    assert refused or len([e for e in events if isinstance(e, BatchFailed)]) == 3


def test_a_folder_that_became_a_file_harms_no_other_stream(
    manual: ManualContext, tmp_path: Path
) -> None:
    folder = tmp_path / "incoming"
    lines = manual.text_file_stream(str(folder))
    folder.write_text("not a folder")
    with suppress(LivebatchError):
        collected(lines)
    good = collected(manual.queue_stream([[1]]))
    manual.start()
    manual.advance("1s")
    assert good == [[1]]


def test_a_name_that_is_none_is_refused(manual: ManualContext) -> None:
    for name in ("", "two words", "1st", "@x", "a.b"):
        with pytest.raises(DefinitionError, match="must be a Python name"):
            manual.register(name, manual.queue_stream())


def test_what_was_removed_or_never_was_is_missed_by_name(manual: ManualContext) -> None:
    with pytest.raises(NotRunning, match="no stream nothing"):
        manual.remove("nothing")
    gone = manual.register("gone", manual.queue_stream())
    manual.remove("gone")
    with pytest.raises(NotRunning, match="no stream gone"):
        gone.latest()
    with pytest.raises(NotRunning, match="no stream gone"):
        collected(gone.count())


# -- records ---------------------------------------------------------------------------------


def test_a_bad_record_is_left_out_and_shown(manual: ManualContext) -> None:
    numbers, events = manual.queue_stream([range(1, 10), range(10)]), heard(manual)
    inverse = manual.register("inverse", numbers.map(lambda n: 9 // n))
    batches = collected(inverse)
    manual.start()
    manual.advance("2s")
    assert [len(batch) for batch in batches] == [9, 9]
    found = [e.batch.bad for e in events if isinstance(e, BatchSettled) and e.batch.bad]
    assert {bad.count for bad in found} == {1}
    (sample,) = found[0].samples
    assert (sample.kind, sample.record) == ("ZeroDivisionError", "0")
    assert "9 // n" in sample.frames[-1].text
    assert status_of(manual, "inverse").bad == 1


def test_too_many_bad_records_fail_their_batch_alone(manual: ManualContext) -> None:
    numbers, events = manual.queue_stream([[1], [0, 0, 1], [3]]), heard(manual)
    manual.register("inverse", numbers.map(lambda n: 9 // n))
    batches = collected(manual.streams["inverse"])
    manual.start()
    manual.advance("2s")
    assert "ZeroDivisionError" in (status_of(manual, "inverse").error or "")
    manual.advance("1s")
    assert status_of(manual, "inverse").error is None
    assert batches == [[9], [3]]
    failed = [event.failure for event in events if isinstance(event, BatchFailed)]
    assert {failure.record for failure in failed} == {"0"}
    with pytest.raises(JobFailed, match=r"9 // n(.|\n)*ZeroDivisionError"):
        manual.await_termination(1)


def test_with_on_error_raise_the_first_bad_record_fails_its_batch() -> None:
    with ManualContext(on_error="raise") as ssc:
        batches = collected(ssc.queue_stream([range(1000), [1]]).map(lambda n: 9 // n))
        ssc.start()
        ssc.advance("2s")
        assert batches == [[9]]


# -- a real engine ---------------------------------------------------------------------------


@process
def test_a_name_that_another_engine_has_is_refused(ssc: lb.StreamingContext) -> None:
    with pytest.raises(NameTaken, match="an engine named bad-input runs already"):
        lb.StreamingContext(name="bad-input")
    assert ssc.parallelize([1]).count() == 1


@process
def test_a_source_that_cannot_connect_says_so_and_recovers(ssc: lb.StreamingContext) -> None:
    port, events = free_port(), heard(ssc)
    lines = ssc.register("lines", ssc.socket_text_stream("127.0.0.1", port))
    rows = rows_of(lines)
    refused = f"cannot connect to 127.0.0.1:{port} (connection refused)"
    said = source_that_is(ssc, "lines", "stopped")
    assert refused in said
    assert "trying again in" in said
    with line_server(port) as server:
        eventually(lambda: server.connections)
        server.send("at last")
        eventually(lambda: rows == ["at last"])
        assert status_of(ssc, "lines").input.state == f"receiving from 127.0.0.1:{port}"
    states = [event.state for event in events if isinstance(event, SourceChanged)]
    assert ("stopped", True) in {(state.state, refused in state.detail) for state in states}
    ssc.remove("lines")


@process
def test_a_batch_that_memory_has_no_room_for_goes_to_disk(ssc: lb.StreamingContext) -> None:
    numbers = ssc.queue_stream()
    texts = ssc.register("texts", numbers.map(lambda n: "x" * n))
    rows = rows_of(texts)
    ssc.put(numbers, [4 << 20])
    ssc.put(numbers, [10])
    eventually(lambda: rows == ["x" * (4 << 20), "x" * 10])
    shuffled = ssc.parallelize([4 << 20], 1).map(lambda n: "x" * n).repartition(1)
    assert shuffled.map(len).collect() == [4 << 20]
    ssc.remove("texts")


@process
def test_a_receiver_waits_for_room(ssc: lb.StreamingContext) -> None:
    with line_server() as server:
        lines = ssc.register("many", ssc.socket_text_stream("127.0.0.1", server.port), "100ms")
        eventually(lambda: server.connections)
        server.send("y" * (2 << 20))
        said = source_that_is(ssc, "many", "waiting")
        assert "of the memory budget of 1.0 MiB" in said
        assert ssc.parallelize([1]).count() == 1
        assert lines.name == "many"
        ssc.remove("many")


@process
def test_a_function_that_ends_its_worker_fails_its_job_alone(ssc: lb.StreamingContext) -> None:
    with pytest.raises(JobFailed, match="WorkerDied: 4 workers died"):
        ssc.parallelize([1], 1).map(lambda n: os._exit(1)).count()
    assert ssc.parallelize([1, 2]).count() == 2


@process
def test_a_deep_lineage_fails_or_works_but_harms_nothing(ssc: lb.StreamingContext) -> None:
    rdd = ssc.parallelize([1, 2])
    for _ in range(1000):
        rdd = rdd.map(lambda n: n)
    with suppress(JobFailed):
        assert rdd.count() == 2
    assert ssc.parallelize([1, 2]).count() == 2


@process
def test_a_listener_that_raises_stops_no_other(tmp_path: Path) -> None:
    # In a script, for the thread that delivers events says what was raised.
    source = """
        import threading
        import livebatch as lb
        ssc = lb.StreamingContext("100ms", workers=1)
        numbers, rows = ssc.queue_stream(default=[1]), []
        numbers.foreach_rdd(lambda rdd: 1 // 0, on="kernel")
        numbers.foreach_rdd(lambda rdd: rows.extend(rdd.collect()), on="kernel")
        ssc.start()
        for _ in range(3):
            try:
                ssc.await_termination(10)
            except lb.LivebatchError as error:
                print(str(error).splitlines()[-1])
        while len(rows) < 2:
            threading.Event().wait(0.01)
        print("rows True")
        ssc.stop()
    """
    with script(tmp_path, source) as running:
        said = running.finish()
    assert "ZeroDivisionError" in said
    assert "rows True" in said
