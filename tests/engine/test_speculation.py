"""Which tasks are late, and what becomes of their copies."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from livebatch.engine.commands import Elapsed, JobDone, Kill, Release, SlotsChanged
from livebatch.engine.scheduler import Scheduler
from livebatch.engine.speculation import ENOUGH, LEAST, MULTIPLIER
from livebatch.rdd import RDD, stored
from livebatch.tasks import Lost, Task
from tests.engine.lineages import answer, done, keep, kept, launched, only, place, source

LONG = 1000.0


def copies(scheduler: Scheduler, *late: Task, seconds: float = LONG) -> list[Task]:
    """The copies of tasks that have run for so long."""
    return launched(scheduler.handle(Elapsed({task.id: seconds for task in late})))


def batch(time: int, *partitions: Any) -> RDD[Any]:
    """A stream's batch at a time."""
    return kept(source(*partitions, id=f"stream@{time}"))


def after_batches(*seconds: float, slots: int = 2, spares: int = 0) -> Scheduler:
    """A scheduler that has seen so many batches, whose two tasks took so many seconds each."""
    scheduler = Scheduler(slots, spares)
    for time, each in enumerate(seconds):
        for task in launched(scheduler.handle(keep(f"b{time}", batch(time, [1], [2])))):
            scheduler.handle(replace(done(task), seconds=each, rows=100))
    return scheduler


def test_the_first_result_counts_and_the_other_attempt_is_stopped() -> None:
    scheduler = Scheduler(2)
    first, second = launched(scheduler.handle(answer("a", source([1], [2]))))
    scheduler.handle(replace(done(first), seconds=0.1))
    (copy,) = copies(scheduler, second)
    assert place(copy.id) == place(second.id)
    assert (copy.attempt.before, copy.steps) == (1, second.steps)
    stopped, end = scheduler.handle(done(copy))
    assert stopped == Kill(second.id)
    assert isinstance(end, JobDone)
    assert [outcome.task for outcome in end.outcomes] == [first.id, copy.id]


def test_what_the_loser_has_written_is_deleted() -> None:
    scheduler = Scheduler(2)
    first, second = launched(scheduler.handle(keep("a", kept(source([1], [2])))))
    scheduler.handle(replace(done(first), seconds=0.1))
    (copy,) = copies(scheduler, second)
    scheduler.handle(done(second))
    (release,) = scheduler.handle(done(copy))
    assert isinstance(release, Release)
    assert [block.id for block in release.blocks] == [copy.id]


def test_a_task_is_not_late_before_most_of_its_stage_is_done() -> None:
    scheduler = Scheduler(10)
    tasks = launched(scheduler.handle(answer("a", source(*[[n] for n in range(10)]))))
    for task in tasks[:8]:
        scheduler.handle(done(task))
    assert copies(scheduler, *tasks[8:]) == []
    scheduler.handle(done(tasks[8]))
    assert len(copies(scheduler, tasks[9])) == 1


@pytest.mark.parametrize(("took", "limit"), [(0.001, LEAST), (2.0, 2.0 * MULTIPLIER)])
def test_a_task_may_take_some_times_what_others_have_taken(took: float, limit: float) -> None:
    scheduler = Scheduler(2)
    first, second = launched(scheduler.handle(answer("a", source([1], [2]))))
    scheduler.handle(replace(done(first), seconds=took))
    assert copies(scheduler, second, seconds=limit) == []
    assert len(copies(scheduler, second, seconds=limit + 0.01)) == 1


def test_a_lone_task_without_a_past_is_never_late() -> None:
    scheduler = Scheduler(2, 1)
    (task,) = launched(scheduler.handle(answer("a", source([1]))))
    assert copies(scheduler, task) == []


def test_the_batches_before_tell_what_a_task_should_take() -> None:
    for seen in range(ENOUGH + 1):
        scheduler = after_batches(*[1.0] * seen, slots=3)
        first, second = launched(scheduler.handle(keep("new", batch(seen, [1], [2]))))
        assert copies(scheduler, first, second, seconds=1.0 * MULTIPLIER) == []
        assert len(copies(scheduler, first, second, seconds=4.0)) == (seen == ENOUGH)


def test_a_partition_that_is_always_slow_is_not_late() -> None:
    scheduler = Scheduler(3)
    for time in range(ENOUGH):
        fast, slow = launched(scheduler.handle(keep(f"b{time}", batch(time, [1], [2]))))
        scheduler.handle(replace(done(fast), seconds=0.1))
        scheduler.handle(replace(done(slow), seconds=9.0))
    fast, slow = launched(scheduler.handle(keep("new", batch(ENOUGH, [1], [2]))))
    scheduler.handle(replace(done(fast), seconds=0.1))
    assert copies(scheduler, slow, seconds=20.0) == []
    assert len(copies(scheduler, slow, seconds=28.0)) == 1


def test_a_batch_of_more_rows_may_take_longer() -> None:
    """The same stage over stored rows: a thousand where there were a hundred before."""
    scheduler = after_batches(*[1.0] * ENOUGH, slots=3)
    block = done(launched(Scheduler(1).handle(keep("x", kept(source([1])))))[0]).block
    assert block is not None
    large = stored([replace(block, rows=1000)] * 2).map(abs)
    large.id, large.persisted = f"stream@{ENOUGH}", True
    first, _ = launched(scheduler.handle(keep("new", large)))
    assert copies(scheduler, first, seconds=29.0) == []
    assert len(copies(scheduler, first, seconds=31.0)) == 1


def test_a_late_task_gets_one_copy_on_a_free_slot_or_the_spare_one() -> None:
    scheduler = after_batches(*[1.0] * ENOUGH, slots=2, spares=1)
    first, second = launched(scheduler.handle(keep("new", batch(9, [1], [2]))))
    (copy,) = copies(scheduler, first, second)
    assert place(copy.id) == place(first.id)
    assert copies(scheduler, first, second, copy) == []
    assert launched(scheduler.handle(answer("more", source([1])))) == []
    commands = scheduler.handle(done(copy))
    assert only(commands, Kill) == [Kill(first.id)]
    assert [place(task.id)[0] for task in launched(commands)] == ["more"]


def test_no_copy_takes_the_slot_of_a_task_that_waits() -> None:
    scheduler = after_batches(*[1.0] * ENOUGH, slots=2)
    first, second = launched(scheduler.handle(keep("new", batch(9, [1], [2]))))
    scheduler.handle(answer("more", source([1])))
    scheduler.handle(SlotsChanged(3))
    assert copies(scheduler, first, second) == []
    assert scheduler.running == 3


def test_a_lost_task_whose_copy_runs_is_not_run_again() -> None:
    scheduler = after_batches(*[1.0] * ENOUGH, slots=4)
    first, second = launched(scheduler.handle(keep("new", batch(9, [1], [2]))))
    copy, other = copies(scheduler, first, second)
    assert scheduler.handle(Lost(first.id)) == []
    (again,) = launched(scheduler.handle(Lost(copy.id)))
    assert again.attempt.before == 2
    assert scheduler.handle(done(second))[0] == Kill(other.id)
