"""When a job begins, and how much its first tasks read."""

from __future__ import annotations

from operator import add

from livebatch.engine.commands import JobBegun, JobCancelled, SlotsChanged
from livebatch.engine.scheduler import Scheduler
from livebatch.events import BatchSettled, Event
from livebatch.testing import ManualContext
from tests.engine.test_scheduler import answer, done, launched, only, source


def test_a_job_begins_with_its_first_task_and_only_once() -> None:
    scheduler = Scheduler()
    assert scheduler.handle(answer("a", source([1], [2]))) == []
    commands = scheduler.handle(SlotsChanged(1))
    assert only(commands, JobBegun) == [JobBegun("a")]
    (task,) = launched(commands)
    assert only(scheduler.handle(done(task)), JobBegun) == []


def test_a_job_that_waits_for_a_slot_has_not_begun() -> None:
    scheduler = Scheduler(1)
    (task,) = launched(scheduler.handle(answer("a", source([1]))))
    assert scheduler.handle(answer("b", source([2]))) == []
    commands = scheduler.handle(JobCancelled("a"))
    assert task
    assert only(commands, JobBegun) == [JobBegun("b")]


def test_the_records_that_were_read_are_those_of_the_first_stage() -> None:
    events: list[Event] = []
    with ManualContext("1s") as ssc:
        numbers = ssc.queue_stream()
        ssc.put(numbers, list(range(100)))
        ssc.register("sums", numbers.map(lambda n: (n % 2, n)).reduce_by_key(add))
        ssc.connection.listen(events.append)
        ssc.start()
        ssc.advance("1s")
        settled = [event.batch for event in events if isinstance(event, BatchSettled)]
    assert [(batch.read, batch.rows) for batch in settled] == [(100, 2)]
    assert all(0 <= batch.began <= batch.delay for batch in settled)
