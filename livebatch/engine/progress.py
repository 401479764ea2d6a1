"""How one output gets on with its batches, which it takes in order."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from livebatch.events import Batch, StreamStatus
from livebatch.graph import Job, Output
from livebatch.interval import Millis
from livebatch.rdd import RDD


@dataclass
class Progress:
    """An output's queue, what it does now, and the settled batches it keeps."""

    output: Output
    slide: Millis
    queue: deque[Job] = field(default_factory=deque)
    current: Job | None = None
    settled: deque[tuple[Batch, RDD[Any]]] = field(default_factory=deque)
    batches: int = 0
    bad: int = 0
    error: str | None = None

    def next(self) -> Job | None:
        """Return the next batch to work on, unless one is being worked on."""
        if self.current is not None or not self.queue:
            return None
        self.current = self.queue.popleft()
        return self.current

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

    def forget_before(self, time: Millis) -> None:
        """Drop settled batches that are no longer kept, but not the newest."""
        while len(self.settled) > 1 and self.settled[0][0].time <= time - self.output.retain:
            self.settled.popleft()

    def between(self, after: Millis, until: Millis | None, limit: int | None) -> list[Batch]:
        """Return the settled batches of ``(after, until]``, or the newest of them, in order."""
        found = [
            batch
            for batch, _ in self.settled
            if batch.time > after and (until is None or batch.time <= until)
        ]
        return found if limit is None else found[-limit:]

    def status(self, source: str) -> StreamStatus:
        """Return how the stream that the output names is doing."""
        last = self.settled[-1][0] if self.settled else None
        return StreamStatus(
            name=self.output.name or self.output.id,
            slide=self.slide,
            batches=self.batches,
            rows=last.rows if last else 0,
            last=last.time if last else None,
            delay=last.delay if last else 0,
            bad=self.bad,
            error=self.error,
            source=source,
            retained=len(self.settled),
            retain=self.output.retain,
            first=self.settled[0][0].time if self.settled else None,
            nbytes=sum(block.nbytes for batch, _ in self.settled for block in batch.blocks),
            notes=self.output.notes,
        )
