"""What the scheduler does with single events; `test_scheduler_machine` has the random ones."""

from __future__ import annotations

import msgspec
import pytest

from livebatch.engine.commands import (
    JobCancelled,
    JobDone,
    JobGivenUp,
    JobSubmitted,
    Kill,
    Release,
    SlotsChanged,
    StageKept,
)
from livebatch.engine.scheduler import MAX_LOST, Scheduler
from livebatch.events import BadRecords
from livebatch.failure import Failure
from livebatch.tasks import Failed, Lost, Task
from tests.engine.lineages import answer, done, keep, kept, launched, only, place, source

ERROR = Failure("ValueError", "no")
BATCH, AD_HOC = 0, 1


def stages_of(tasks: list[Task]) -> list[str]:
    return [place(task.id)[0] for task in tasks]


def test_a_stage_that_two_jobs_need_runs_once() -> None:
    scheduler = Scheduler(10)
    shared = source([1], [2], id="s").repartition(1)
    first = launched(scheduler.handle(answer("a", shared)))
    assert stages_of(first) == [f"{shared.id}.map"] * 2
    assert launched(scheduler.handle(answer("b", shared))) == []
    scheduler.handle(done(first[0]))
    results = launched(scheduler.handle(done(first[1])))
    assert stages_of(results) == ["a", "b"]
    ended = [only(scheduler.handle(done(task)), JobDone)[0].job for task in results]
    assert ended == ["a", "b"]


def test_map_outputs_live_as_long_as_any_job_that_reads_them() -> None:
    scheduler = Scheduler(10)
    shared = source([1], id="s").repartition(1)
    (divide,) = launched(scheduler.handle(answer("a", shared)))
    scheduler.handle(answer("b", shared))
    first, second = launched(scheduler.handle(done(divide)))
    assert only(scheduler.handle(done(first)), Release) == []
    (release,) = only(scheduler.handle(done(second)), Release)
    assert [block.id for block in release.blocks] == [divide.id]


def test_batches_go_before_ad_hoc_jobs_and_older_batches_before_newer() -> None:
    scheduler = Scheduler()
    for job, urgency in [("ad hoc", (AD_HOC,)), ("new", (BATCH, 2000)), ("old", (BATCH, 1000))]:
        assert scheduler.handle(answer(job, source([1], [2]), *urgency)) == []
    tasks = launched(scheduler.handle(SlotsChanged(5)))
    assert stages_of(tasks) == ["old", "old", "new", "new", "ad hoc"]


def test_fewer_slots_stop_nothing_that_runs() -> None:
    scheduler = Scheduler(3)
    tasks = launched(scheduler.handle(answer("a", source([1], [2], [3], [4]))))
    assert scheduler.handle(SlotsChanged(1)) == []
    assert scheduler.handle(done(tasks[0])) == []
    assert scheduler.handle(done(tasks[1])) == []
    assert len(launched(scheduler.handle(done(tasks[2])))) == 1


def test_a_task_that_kills_its_workers_gives_up_its_job_only() -> None:
    scheduler = Scheduler(2)
    (task,) = launched(scheduler.handle(answer("deadly", source([1]))))
    scheduler.handle(answer("innocent", source([1])))
    for _ in range(MAX_LOST - 1):
        (task,) = launched(scheduler.handle(Lost(task.id)))
    (given_up,) = scheduler.handle(Lost(task.id, "its worker was killed by signal 9"))
    assert isinstance(given_up, JobGivenUp)
    assert (given_up.job, given_up.failure.kind) == ("deadly", "WorkerDied")
    assert "signal 9" in given_up.failure.message
    assert list(scheduler.jobs) == ["innocent"]


def test_losses_of_different_tasks_do_not_add_up() -> None:
    scheduler = Scheduler(MAX_LOST)
    tasks = launched(scheduler.handle(answer("a", source(*[[1]] * MAX_LOST))))
    for task in tasks:
        assert len(launched(scheduler.handle(Lost(task.id)))) == 1


def test_a_failure_stops_the_tasks_that_only_its_job_needed() -> None:
    scheduler = Scheduler(4)
    shared, own = source([1], id="s").repartition(1), source([1], [2], id="o").repartition(1)
    scheduler.handle(answer("other", shared))
    failing, stopped = launched(scheduler.handle(answer("a", own.union(shared))))
    commands = scheduler.handle(Failed(failing.id, ERROR))
    assert commands == [JobGivenUp("a", ERROR), Kill(stopped.id)]
    assert list(scheduler.jobs) == ["other"]


def test_all_jobs_that_share_a_lost_block_are_given_up() -> None:
    scheduler = Scheduler(2)
    shared = kept(source([1], id="s"))
    (task,) = launched(scheduler.handle(answer("a", shared)))
    scheduler.handle(answer("b", shared))
    scheduler.handle(answer("innocent", source([1])))
    (reading,) = launched(scheduler.handle(done(task)))
    given_up = only(scheduler.handle(Failed(reading.id, ERROR, task.id)), JobGivenUp)
    assert [(end.job, end.lost) for end in given_up] == [("a", task.id), ("b", task.id)]
    assert launched(scheduler.handle(answer("a", shared)))  # the block is written again


def test_a_cancelled_job_is_not_reported() -> None:
    scheduler = Scheduler(1)
    (task,) = launched(scheduler.handle(answer("a", source([1], [2]))))
    assert scheduler.handle(JobCancelled("a")) == [Kill(task.id)]
    assert scheduler.handle(done(task)) == []
    assert scheduler.handle(JobCancelled("a")) == []


def test_a_result_without_partitions_is_done_at_once() -> None:
    (end,) = Scheduler(1).handle(answer("a", source()))
    assert end == JobDone("a", (), 0.0, ())


def test_blocks_are_kept_in_the_order_of_the_partitions() -> None:
    scheduler = Scheduler(2)
    rdd = kept(source([1], [2]))
    first, second = launched(scheduler.handle(keep("a", rdd)))
    scheduler.handle(done(second))
    stage, end = scheduler.handle(done(first))
    assert isinstance(stage, StageKept)
    assert [block.id for block in stage.blocks] == [first.id, second.id]
    assert isinstance(end, JobDone)


def finish(job: JobSubmitted, *bad: BadRecords | None, rows: int = 0) -> JobDone | JobGivenUp:
    """Run a job whose tasks report these bad records, of so many; return how it ended."""
    scheduler = Scheduler(len(bad))
    commands = []
    for task, found in zip(launched(scheduler.handle(job)), bad, strict=True):
        outcome = msgspec.structs.replace(done(task), bad=found, rows=rows, seconds=0.25)
        commands = scheduler.handle(outcome)
    (end,) = [command for command in commands if isinstance(command, JobDone | JobGivenUp)]
    return end


def bad_records(count: int, seen: int) -> BadRecords:
    return BadRecords(count, seen, (ERROR,))


@pytest.mark.parametrize(
    ("found", "ends"),
    [
        ([(1, 100), None], JobDone),
        ([(1, 2)], JobDone),
        ([(1, 1)], JobGivenUp),
        ([(2, 200)], JobDone),
        ([(2, 199)], JobGivenUp),
        ([(1, 100), (1, 100)], JobDone),
        ([(3, 200), (0, 200)], JobDone),
        ([(3, 100), (2, 100)], JobGivenUp),
    ],
)
def test_a_job_fails_if_over_one_percent_of_its_records_do(
    found: list[tuple[int, int] | None], ends: type
) -> None:
    bad = [one and bad_records(*one) for one in found]
    end = finish(answer("a", source(*[[1]] * len(bad))), *bad)
    assert type(end) is ends
    if isinstance(end, JobGivenUp):
        assert (end.failure, end.lost) == (ERROR, None)
    else:
        assert end.bad == tuple(one for one in bad if one)
        assert end.seconds == 0.25 * len(bad)


def test_records_of_tasks_without_bad_ones_count_too() -> None:
    # 2 of 1,000 records: 0.2 %.
    bad = [bad_records(2, 100), *[None] * 9]
    assert isinstance(finish(keep("a", source(*[[0]] * 10)), *bad, rows=100), JobDone)


def test_blocks_kept_for_a_job_that_fails_are_released() -> None:
    scheduler = Scheduler(2)
    first, second = launched(scheduler.handle(keep("a", kept(source([1], [2])))))
    scheduler.handle(done(first))
    released = only(scheduler.handle(Failed(second.id, ERROR)), Release)
    assert [block.id for release in released for block in release.blocks] == [first.id]
