"""Which tasks ran when, as the engine tells those who ask."""

from __future__ import annotations

import pytest

from livebatch.engine import timesheet as module
from livebatch.engine.timesheet import Timesheet
from livebatch.testing import ManualContext


def test_tasks_are_taken_note_of_only_while_someone_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    sheet = Timesheet()
    for _ in range(3):
        sheet.begin(1, "unseen")
        sheet.end(1)
    assert sheet.since(0) == (0, [])
    assert sheet.worked(1) > 0
    sheet.begin(1, "seen")
    sheet.end(1)
    count, [ran] = sheet.since(0)
    assert (count, ran.task) == (1, "seen")
    monkeypatch.setattr(module, "WATCHED", 0.0)
    sheet.since(count)
    sheet.begin(1, "unseen")
    sheet.end(1)
    assert sheet.since(count) == (1, [])


def test_the_oldest_are_forgotten_first() -> None:
    sheet = Timesheet()
    sheet.since(0)
    for i in range(module.KEPT + 10):
        sheet.begin(1, str(i))
        sheet.end(1)
    count, ran = sheet.since(0)
    assert (count, len(ran), ran[0].task) == (module.KEPT + 10, module.KEPT, "10")
    assert [item.task for item in sheet.since(count - 2)[1]] == [str(count - 2), str(count - 1)]


def test_a_worker_that_is_gone_has_ended_its_task() -> None:
    sheet = Timesheet()
    sheet.since(0)
    sheet.begin(1, "lost")
    sheet.forget(1)
    _, [ran] = sheet.since(0)
    assert (ran.task, ran.seconds is None, sheet.worked(1)) == ("lost", False, 0.0)


def test_tasks_are_told_by_the_streams_they_work_for() -> None:
    with ManualContext("1s") as ssc:
        words = ssc.register("words", ssc.queue_stream(default=["a b", "b"]).flat_map(str.split))
        ssc.register("counts", words.map(lambda w: (w, 1)).reduce_by_key(int.__add__))
        words.map(len).foreach_rdd(lambda rdd: rdd.count())
        ssc.start()
        assert ssc.tasks().runs == ()
        ssc.advance("1s")
        found = ssc.tasks()
        told = {(run.stream, run.label) for run in found.runs}
        assert ("words", "flat_map(str.split)") in told
        assert ("counts", "reduce_by_key(int.__add__), shuffle write") in told
        assert ("counts", "reduce_by_key(int.__add__)") in told
        assert {run.seconds is None for run in found.runs} == {False}
        assert found.count == len(found.runs)
        assert ssc.tasks(found.count).runs == ()
