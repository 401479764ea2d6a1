"""A streaming program over history gives what it gives live."""

from __future__ import annotations

import os
import signal
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings

import livebatch as lb
from livebatch.errors import DefinitionError, JobFailed
from livebatch.interval import to_datetime
from livebatch.testing import START, ManualContext
from tests.helpers import eventually
from tests.model.catalogue import CASES, Case
from tests.model.conftest import Cluster
from tests.model.harness import bags, context, history, second, watch
from tests.model.strategies import Parameters, batches_of, parameters


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_every_operator_agrees_with_the_oracle(case: Case) -> None:
    @settings(max_examples=8)
    @given(batches_of(case.rows), parameters)
    def check(batches: list[list[Any]], p: Parameters) -> None:
        with context() as ssc:
            stream = case.build(ssc.socket_text_stream("localhost", 1), p)
            run = ssc.run_batch(stream, batches, start=to_datetime(START))
        found = {second(time): rows for time, rows in run}
        assert bags(found) == bags(case.build(history(batches), p).batches)

    check()


def test_it_does_not_disturb_the_live_streams(cluster: Cluster) -> None:
    with context(cluster.executor(2)) as ssc:
        live = ssc.queue_stream([[1], [2], [3]])
        sums = live.map(lambda n: (0, n)).update_state_by_key(lambda new, n: sum(new) + (n or 0))
        ssc.register("sums", sums)
        seen = watch(sums)
        ssc.start()
        ssc.advance("2s")
        used = ssc.stepped.executor.store.used()
        run = ssc.run_batch(sums, [[10], [20]])
        assert ssc.stepped.executor.store.used() == used
        ssc.advance("1s")
    assert run.batches == [[(0, 10)], [(0, 30)]]
    assert dict(run.latest) == {0: 30}
    assert seen == {1: [(0, 1)], 2: [(0, 3)], 3: [(0, 6)]}


def test_nothing_is_left_in_the_store(cluster: Cluster, every_block_stored: None) -> None:
    with context(cluster.executor(2)) as ssc:
        stream = ssc.queue_stream().map(lambda n: (n % 3, n)).group_by_key().window("3s")
        store = ssc.stepped.executor.store
        before = store.ids()
        assert len(ssc.run_batch(stream, [list(range(9))] * 5).rows()) == 3 * (1 + 2 + 3 * 3)
        with pytest.raises(JobFailed):
            ssc.run_batch(stream.map(lambda pair: 1 / 0), [list(range(9))] * 5)
        assert store.ids() == before


@pytest.mark.parametrize("every", [1, 2, 6])
def test_windows_over_history_may_have_other_batches(every: int) -> None:
    def build(stream: Any, length: int, slide: int | None) -> Any:
        return stream.reduce_by_key_and_window(max, None, length, slide)

    batches = [[("n", n * 7 % 11)] for n in range(60)]
    past = history(batches)
    past.slide, past.batches = every, {at * every: rows for at, rows in past.batches.items()}
    with context() as ssc:
        stream = ssc.queue_stream()
        for length, slide in ((36, None), (120, None), (12, 6), (60, 30), (6, 12)):
            run = ssc.run_batch(build(stream, length, slide), batches, every=every)
            assert run.batches == list(build(past, length, slide).batches.values())


def test_rows_are_cut_into_batches_by_their_times(tmp_path: Path) -> None:
    rows = [{"at": second, "n": number} for number, second in enumerate([7, 3.5, 4, 4.001, 9])]
    pd.DataFrame(rows).to_csv(tmp_path / "rows.csv", index=False)
    expected = [(4.0, [1, 2]), (5.0, [3]), (6.0, []), (7.0, [0]), (8.0, []), (9.0, [4])]
    with ManualContext("1s") as ssc:
        numbers = ssc.file_stream(str(tmp_path), schema={"at": "double", "n": "int"}).map(
            lambda row: row["n"]
        )
        for data in (rows, pd.DataFrame(rows), str(tmp_path / "rows.csv"), ssc.parallelize(rows)):
            run = ssc.run_batch(numbers, data, time_column="at")
            assert [(time.timestamp(), found) for time, found in run] == expected
        wide = ssc.run_batch(numbers.window("4s", "2s"), rows, every="2s", time_column="at")
        assert [(t.timestamp(), found) for t, found in wide] == [
            (4.0, [1, 2]), (6.0, [1, 2, 3]), (8.0, [3, 0]), (10.0, [0, 4]),
        ]  # fmt: skip


def test_several_sources_share_one_time() -> None:
    zero = datetime(2026, 3, 1, tzinfo=UTC)
    with ManualContext("1s") as ssc:
        left, right = ssc.queue_stream(), ssc.queue_stream()
        both = left.map(lambda row: row["n"]).union(right)
        late = [{"t": zero + timedelta(seconds=2.5), "n": 5}]
        with pytest.raises(DefinitionError, match="what each source"):
            ssc.run_batch(both, [[1]])
        with pytest.raises(DefinitionError, match="what each source"):
            ssc.run_batch(both, {right: [[1]]})
        early = [{"t": zero + timedelta(seconds=0.5), "n": 3}]
        joined = left.union(right).map(lambda row: row["n"])
        run = ssc.run_batch(joined, {left: late, right: early}, time_column="t")
    assert [(time, rows) for time, rows in run] == [
        (zero + timedelta(seconds=1), [3]),
        (zero + timedelta(seconds=2), []),
        (zero + timedelta(seconds=3), [5]),
    ]


def test_any_stream_can_be_given_and_names_mean_what_they_mean_now() -> None:
    with ManualContext("1s") as ssc:
        words = ssc.register("words", ssc.queue_stream().flat_map(str.split))
        lengths = words.map(len)
        assert ssc.run_batch(lengths, {words: [["abc", "d"]]}).rows() == [3, 1]
        ssc.register("words", ssc.queue_stream().map(str.strip))
        assert ssc.run_batch(lengths, [["a b", " c "]]).rows() == [3, 1]


def test_the_result_is_a_table_with_the_time_of_the_batch() -> None:
    with ManualContext("1s") as ssc:
        counts = ssc.queue_stream().count_by_value()
        run = ssc.run_batch(counts, [["a", "b", "a"], [], ["c"]], start=to_datetime(START))
    frame = run.to_pandas()
    assert list(frame.columns) == ["batch_time", "_1", "_2"]
    assert sorted(zip(frame["_1"], frame["_2"], strict=True)) == [("a", 2), ("b", 1), ("c", 1)]
    assert [int(time.timestamp() * 1000) - START for time in run.times] == [1000, 2000, 3000]
    assert repr(run).endswith("3 batches, 3 rows>")


def test_a_table_of_a_frame_has_its_types_though_its_rows_were_asked_for() -> None:
    with ManualContext("1s") as ssc:
        frame = ssc.queue_stream().to_frame({"n": "SMALLINT", "at": "DATE"})
        run = ssc.run_batch(frame, [[(1, None)], [], [(2, None)]])
    assert run.rows() == [{"n": 1, "at": None}, {"n": 2, "at": None}]
    table = run.to_arrow()
    assert table.schema.types[1:] == [pa.int16(), pa.date32()]
    assert table.column("n").to_pylist() == [1, 2]
    assert run.latest is run.batches[-1]


def test_bad_records_are_left_out_and_counted_and_a_failure_is_the_users_own() -> None:
    with ManualContext("1s") as ssc:
        inverse = ssc.queue_stream().map(lambda n: 10 // n)
        run = ssc.run_batch(inverse, [[*range(1, 200), 0]])
        assert (run.bad, len(run.rows())) == (1, 199)
        with pytest.raises(JobFailed, match=r"(?s)ZeroDivisionError.*10 // n"):
            ssc.run_batch(inverse, [[5], [0, 0]])


def test_what_cannot_be_cut_or_run_is_an_error_that_says_so() -> None:
    with ManualContext("1s") as ssc:
        stream = ssc.queue_stream()
        for data in (pd.DataFrame({"n": [1]}), "history.csv"):
            with pytest.raises(DefinitionError, match="time_column"):
                ssc.run_batch(stream, data)
        with pytest.raises(DefinitionError, match="has a column"):
            ssc.run_batch(stream, [{"n": 1}], time_column="at")
        with pytest.raises(DefinitionError, match="is one of them wrong"):
            ssc.run_batch(stream, [{"t": 0}, {"t": 10**9}], time_column="t")
        with pytest.raises(DefinitionError, match="multiple"):
            ssc.run_batch(stream.window("3s"), [[1]], every="2s")
        with pytest.raises(DefinitionError, match="list of batches"):
            ssc.run_batch(stream, [1, 2])


@pytest.mark.process
def test_a_run_on_an_engine_process_can_be_interrupted() -> None:
    def slow(n: int) -> int:
        threading.Event().wait(0.02)
        return n

    with lb.StreamingContext("100ms", workers=1) as ssc:
        assert ssc.run_batch(ssc.queue_stream().map(str), [[1], [2, 3]]).rows() == ["1", "2", "3"]
        stream = ssc.queue_stream().map(slow)

        def interrupt_when_it_runs() -> None:
            eventually(lambda: ssc.status().pending)
            os.kill(os.getpid(), signal.SIGINT)

        interrupt = threading.Thread(target=interrupt_when_it_runs)
        interrupt.start()
        with pytest.raises(KeyboardInterrupt):
            ssc.run_batch(stream, [list(range(100))] * 1000)
        interrupt.join()
        eventually(lambda: ssc.status().pending == 0)
        assert ssc.status().stored == 0
        assert ssc.parallelize([1, 2]).sum() == 3
