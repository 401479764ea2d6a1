"""Rules 17 to 23: how a context lives."""

from __future__ import annotations

from operator import add, sub
from pathlib import Path
from typing import Any

import pytest

from livebatch.errors import JobFailed, NotRunning
from livebatch.events import SourceState
from livebatch.listener import StreamingListener
from livebatch.rdd import RDD
from livebatch.session import StreamingContext
from livebatch.testing import START, ManualContext
from livebatch.wire import Start
from tests.model.harness import bags, context, second, watch


def test_rule_17_queue_streams() -> None:
    with context() as ssc:
        rdd = ssc.parallelize([1, 2], 2)
        one = watch(ssc.queue_stream([rdd, [3], rdd.map(lambda n: n * 10)]))
        union = ssc.queue_stream([rdd, [3], rdd], one_at_a_time=False)
        every, nothing = watch(union), watch(ssc.queue_stream([]))
        default = watch(ssc.queue_stream([[1]], default=[7, 8]))
        ssc.start()
        ssc.advance(2)
        ssc.put(union, [4], [5])
        ssc.advance(2)
    assert one == {1: [1, 2], 2: [3], 3: [10, 20], 4: []}
    assert bags(every) == bags({1: [1, 2, 3, 1, 2], 2: [], 3: [4, 5], 4: []})
    assert nothing == {1: [], 2: [], 3: [], 4: []}
    assert default == {1: [1], 2: [7, 8], 3: [7, 8], 4: [7, 8]}


@pytest.mark.process
def test_rule_18_a_stop_is_at_once_or_graceful_and_final(tmp_path: Path) -> None:
    rows = tmp_path / "rows"

    def write(rdd: RDD[int]) -> None:
        with rows.open("a") as file:
            file.writelines(f"{row}\n" for row in rdd.collect())

    with StreamingContext("200ms", engine="embedded", workers=1) as ssc:
        ssc.queue_stream([[n] for n in range(4)]).foreach_rdd(write)
        ssc.start()
        ssc.stop(stop_spark_context=False, stop_gracefully=True)
        assert rows.read_text().split() == ["0", "1", "2", "3"]
        assert ssc.parallelize(range(10)).sum() == 45
        assert ssc.await_termination() is True
        with pytest.raises(NotRunning, match="does not start again"):
            ssc.start()
        with pytest.raises(NotRunning, match="do not start again"):
            ssc.connection.request(Start())
        ssc.stop()
        assert not ssc.connection.alive()


def test_rule_19_a_context_goes_on_from_its_checkpoint_in_order(tmp_path: Path) -> None:
    folder, said, set_up = tmp_path / "checkpoint", tmp_path / "said", []

    def write(time: Any, rdd: RDD[int]) -> None:
        with said.open("a") as file:
            file.write(f"{second(time)}: {rdd.collect()}\n")

    def setup_func() -> ManualContext:
        set_up.append(ssc := ManualContext("1s"))
        ssc.checkpoint(folder)
        numbers = ssc.queue_stream([[n] for n in range(1, 8)])
        numbers.reduce_by_window(add, None, "2s", "1s").foreach_rdd(write)
        return ssc

    ssc = ManualContext.get_or_create(folder, setup_func)
    ssc.start()
    ssc.advance(2)
    ssc.clock.advance(1000)
    ssc.stepped.engine.advance()  # the third batch is pending, the two after it are missed
    again = ManualContext.get_or_create(folder, setup_func, at=START + 5000)
    again.stepped.run()
    again.advance(1)
    assert set_up == [ssc]
    assert said.read_text().splitlines() == [
        "1: [1]", "2: [3]", "3: [5]", "4: [7]", "5: [9]", "6: [11]"
    ]  # fmt: skip


def test_rule_20_operations_are_taken_after_the_start() -> None:
    with context() as ssc:
        ssc.start()
        ssc.advance(2)
        numbers = ssc.queue_stream([[1], [2], [3]])
        sums = watch(numbers.map(lambda n: ("sum", n)).reduce_by_key_and_window(add, sub, 2))
        ssc.advance(3)
    assert sums == {3: [("sum", 1)], 4: [("sum", 3)], 5: [("sum", 5)]}


def test_rule_21_a_failed_batch_surfaces_and_later_ones_run() -> None:
    with context() as ssc:
        seen = watch(ssc.queue_stream([[1], [0], [2], [0]]).map(lambda n: 6 // n))
        ssc.start()
        ssc.advance(5)
        for _ in range(2):
            with pytest.raises(JobFailed, match="ZeroDivisionError"):
                ssc.await_termination(timeout=0)
        assert ssc.await_termination(timeout=0) is False
    assert seen == {1: [6], 3: [3], 5: []}
    assert ssc.await_termination() is True


def test_rule_22_outputs_happen_in_order() -> None:
    calls: list[tuple[str, int]] = []
    with context() as ssc:
        numbers = ssc.queue_stream([[1], [2], [3]])
        for name in "abc":
            numbers.foreach_rdd(
                lambda time, rdd, name=name: calls.append((name, second(time))), on="kernel"
            )
        ssc.start()
        ssc.advance(3)
    assert calls == [(name, at) for at in (1, 2, 3) for name in "abc"]


def test_batches_that_settle_together_happen_in_order_once() -> None:
    calls: list[tuple[int, list[int]]] = []
    with context() as ssc:
        numbers = ssc.queue_stream([[1], [2], [3]])
        numbers.foreach_rdd(
            lambda time, rdd: calls.append((second(time), rdd.collect())), on="kernel"
        )
        ssc.start()
        ssc.clock.advance(3_000)
        ssc.stepped.run()
    assert calls == [(1, [1]), (2, [2]), (3, [3])]


class Told(StreamingListener):
    """Notes what it is told, and raises each time."""

    def __init__(self) -> None:
        self.news: list[tuple[str, Any]] = []

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("on_"):
            return super().__getattribute__(name)

        def note(news: Any) -> None:
            self.news.append((name.removeprefix("on_"), news))
            raise ValueError("a listener's own fault")

        return note


def test_rule_23_a_listener_is_told_in_order() -> None:
    told = Told()
    with context() as ssc:
        ssc.add_streaming_listener(told)
        numbers = ssc.register("numbers", ssc.queue_stream([[1, 2], [0]]))
        numbers.map(lambda n: 1 / n).foreach_rdd(lambda rdd: rdd.count())
        ssc.start()
        ssc.advance(2)
        for state in [
            ("receiving", "from a"), ("stopped", "refused"), ("receiving", ""), ("stopped", ""),
        ]:  # fmt: skip
            ssc.stepped.engine.intake.changed(SourceState("s", *state))
            ssc.stepped.run()
    output = ["output_operation_started", "output_operation_completed"] * 2
    batch = ["batch_submitted", "batch_started", *output, "batch_completed"]
    names = [name for name, _ in told.news]
    assert names[0] == "streaming_started"
    assert [sorted(part) for part in (names[1:8], names[8:15])] == [sorted(batch)] * 2
    assert [names[i] for i in (1, 2, 3, 7)] == [*batch[:3], "batch_completed"]
    assert names[15:] == [
        "receiver_started", "receiver_error", "receiver_stopped",
        "receiver_started", "receiver_stopped",
    ]  # fmt: skip
    infos = [news.batch_info for name, news in told.news if name.startswith("batch")]
    submitted, started, completed, *_, second_done = infos
    assert submitted.batch_time == START + 1000
    assert (submitted.scheduling_delay, submitted.processing_delay, submitted.total_delay) == (
        -1, -1, -1,
    )  # fmt: skip
    assert (started.scheduling_delay, started.processing_delay) == (0, -1)
    assert (completed.scheduling_delay, completed.processing_delay, completed.total_delay) == (
        0, 0, 0,
    )  # fmt: skip
    assert (completed.num_records, second_done.num_records) == (2, 1)
    (records,) = completed.stream_id_to_input_info.values()
    assert records.num_records == 2
    reasons = [info.failure_reason for info in second_done.output_operation_infos.values()]
    assert [reason and reason.partition(":")[0] for reason in reasons] == [None, "JobFailed"]
    assert {info.name for info in completed.output_operation_infos.values()} >= {"numbers"}
