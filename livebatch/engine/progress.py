"""How one output gets on with its batches, which it takes in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from livebatch.block import BlockRef
from livebatch.clock import Clock
from livebatch.engine.commands import JobDone
from livebatch.events import BadRecords, Batch
from livebatch.graph import Job, Output
from livebatch.interval import Millis
from livebatch.rdd import RDD, blocks_of


@dataclass
class Progress:
    """An output's queue, what it does now, and the settled batches it keeps."""

    output: Output
    slide: Millis
    queue: deque[Job] = field(default_factory=deque)
    current: Job | None = None
    begun: Millis | None = None
    settled: deque[tuple[Batch, RDD[Any]]] = field(default_factory=deque)
    batches: int = 0
    bad: int = 0
    error: str | None = None
    failures: int = 0

    def next(self) -> Job | None:
        """Return the next batch to work on, unless one is being worked on."""
        if self.current is not None or not self.queue:
            return None
        self.current, self.begun = self.queue.popleft(), None
        return self.current

    def begin(self, clock: Clock) -> Millis:
        """Take note that work on the current batch has begun, if it had not; return when."""
        if self.begun is None:
            self.begun = clock.now()
        return self.begun

    def unfinished(self) -> list[Job]:
        """Return the batches that are still to be done."""
        return [*self.queue, *([self.current] if self.current else [])]

    def finished(self, batch: Batch, rdd: RDD[Any]) -> None:
        """Take note of a settled batch; keep it if the output keeps any."""
        self.current, self.error = None, None
        self.batches += 1
        self.bad += batch.bad.count if batch.bad else 0
        if self.output.function is None:
            self.settled.append((batch, rdd))

    def failed(self, reason: str) -> None:
        """Take note that the current batch failed."""
        self.current, self.error = None, reason
        self.failures += 1

    def forget_before(self, time: Millis, least: Millis = 0) -> None:
        """Drop settled batches that are no longer kept, but not the newest.

        Args:
            time: which it is now.
            least: how long batches are kept in any case.
        """
        retain = max(self.output.retain, least)
        while len(self.settled) > 1 and self.settled[0][0].time <= time - retain:
            self.settled.popleft()

    def between(self, after: Millis, until: Millis | None, limit: int | None) -> list[Batch]:
        """Return the settled batches of ``(after, until]``, or the newest of them, in order."""
        found = [
            batch
            for batch, _ in self.settled
            if batch.time > after and (until is None or batch.time <= until)
        ]
        return found if limit is None else found[-limit:]


def settled_batch(job: Job, done: JobDone, begun: Millis, now: Millis) -> Batch:
    """Return the record of a batch that has settled.

    Args:
        job: what was to be done.
        done: how it went.
        begun: when work on it began.
        now: when it settled.
    """
    blocks = tuple(blocks_of(job.rdd))
    return Batch(
        output=job.output.id,
        name=job.output.name,
        time=job.time,
        rdd=job.rdd.id,
        blocks=blocks,
        rows=sum(block.rows for block in blocks),
        delay=now - job.time,
        began=begun - job.time,
        busy=round(done.seconds * 1000),
        read=done.read,
        bad=_merged(done.bad),
        printed=done.printed,
    )


def own_blocks(rdd: RDD[Any]) -> list[BlockRef]:
    """Return the blocks that were written for a stream's batch (not those of other streams that
    it passes on)."""
    owner = rdd.id.partition("@")[0]
    prefixes = (f"{owner}@", f"{owner}-")
    return [block for block in blocks_of(rdd) if block.id.startswith(prefixes)]


def _merged(bad: Sequence[BadRecords]) -> BadRecords | None:
    if not bad:
        return None
    samples = tuple(sample for records in bad for sample in records.samples)
    count, seen = sum(b.count for b in bad), sum(b.seen for b in bad)
    return BadRecords(count, seen, samples[:100])
