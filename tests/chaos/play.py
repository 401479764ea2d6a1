"""One life of an engine with so many faults, all chosen by a seed, and what is left at its end."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from livebatch.engine.supervisor import MOST, WITHIN
from livebatch.events import StreamStatus
from livebatch.failure import render
from tests.chaos import oracle, outputs
from tests.chaos.disk import SmallDisk
from tests.chaos.engine import Patient
from tests.chaos.faults import ENGINE_FAULTS, FAULTS, Chaos, Hurt, kill_all
from tests.chaos.program import Program
from tests.chaos.senders import FileSender, LineSender
from tests.helpers import eventually

PATIENCE_S = 120.0
"""So long nothing may happen at all; a slow machine has as long as it needs."""

LAG_MS = 5_000
CATCHING_UP_S = 20.0
PAUSE_S = 1.0
HARM_S = 5.0
BUDGETS = (0, 1 << 20)
"""Bytes of shared memory; with few, most blocks go to disk."""

ENGINE_SHARE = 0.25
"""The part of the faults that kill the engine."""


@dataclass
class Outcome:
    """What came of a life, or of several.

    Attributes:
        faults: how many forced a restart or had work done again.
        recoveries: of each, milliseconds from it to the next settled batch.
    """

    faults: int = 0
    batches: int = 0
    records: int = 0
    recoveries: list[float] = field(default_factory=list)

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            self.faults + other.faults,
            self.batches + other.batches,
            self.records + other.records,
            self.recoveries + other.recoveries,
        )

    def __str__(self) -> str:
        ordered = sorted(self.recoveries)
        p50, p99 = (ordered[int(len(ordered) * share)] for share in (0.5, 0.99))
        return (
            f"faults {self.faults}, batches {self.batches}, records {self.records}, lost 0, "
            f"duplicated 0, recovery p50 {p50:.0f} p99 {p99:.0f} ms"
        )


class Life:
    """An engine that runs the program while faults come.

    Args:
        seed: of everything that is chosen.
        folder: an empty one.
        say: told of every fault.
    """

    def __init__(self, seed: int, folder: Path, say: Callable[[str], None] = print) -> None:
        self._random, self._say = random.Random(seed), say
        self._lines = LineSender(seed)
        self._program = Program(folder, self._lines.port)
        self._files = FileSender(self._program.inputs, seed)
        budget = self._random.choice(BUDGETS)
        self._disk = SmallDisk(folder / "checkpoint")
        self._patient = Patient(f"chaos{os.getpid()}-{seed}", folder / "checkpoint", budget)
        self._chaos = Chaos(self._patient, self._disk, self._program, self._random)
        self._deaths: deque[float] = deque(maxlen=MOST - 1)

    def close(self) -> None:
        """End whatever still runs; what the engine said stays in the folder."""
        self._patient.keep_what_was_said()
        self._patient.destroy()
        self._disk.close()
        self._files.enough()
        self._lines.close()

    def play(self, faults: int) -> Outcome:
        """Run until so many faults have hurt; then compare all outputs with the oracle.

        Raises:
            AssertionError: a record is lost or there twice, or something else is not as it must be.
        """
        self._program.define(self._patient.ssc)
        self._files.start()
        self._patient.ssc.start()
        outcome = Outcome()
        while outcome.faults < faults:
            self._pause()
            recovery = self._hurt()
            if recovery is not None:
                outcome.faults += 1
                outcome.recoveries.append(recovery)
        until = self._finish()
        found = outputs.read(self._program)
        sent = {"ticks": 0, "files": self._files.sent, "lines": self._lines.sent}
        oracle.check_records(sent, found)
        outcome.batches = oracle.check_results(found, until)
        outcome.records = sum(rows.total() for name in sent for rows in found[name].values())
        return outcome

    def _pause(self) -> None:
        """Wait for a moment, and for batches that lag far behind: not all faults are to meet an
        engine that is catching up."""
        with suppress(AssertionError):  # the machine has other things to do
            eventually(lambda: self._patient.status().now - self._newest() < LAG_MS, CATCHING_UP_S)
        threading.Event().wait(self._random.uniform(0, PAUSE_S))

    def _hurt(self) -> float | None:
        """Have a fault come; return how many milliseconds later a batch settled, or None if it
        has done no harm."""
        fault, before = self._chosen(), self._newest()
        begun = time.monotonic()
        hurt = fault(self._chaos)
        eventually(lambda: self._newest() > before, PATIENCE_S)
        recovery = (time.monotonic() - begun) * 1000
        has_hurt = self._seen(hurt)
        self._say(f"{fault.__name__}: {recovery:.0f} ms{'' if has_hurt else ', no harm'}")
        return recovery if has_hurt else None

    def _chosen(self) -> Callable[[Chaos], Hurt]:
        kinds = ENGINE_FAULTS if self._random.random() < ENGINE_SHARE else FAULTS
        (fault,) = self._random.choices(list(kinds), list(kinds.values()))
        if kinds is FAULTS:
            return fault
        now = time.monotonic()
        if len(self._deaths) == self._deaths.maxlen and now - self._deaths[0] < WITHIN:
            self._deaths.clear()
            return kill_all
        self._deaths.append(now)
        return fault

    def _seen(self, hurt: Hurt) -> bool:
        limit = time.monotonic() + HARM_S
        while not hurt():
            if time.monotonic() > limit:
                return False
            threading.Event().wait(0.05)
        return True

    def _newest(self) -> int:
        """Return the time of the newest batch of which all outputs have settled.

        Raises:
            AssertionError: a batch has failed.
        """
        status = self._patient.status()
        failed = {stream.name: stream.error for stream in status.streams if stream.failed}
        assert not failed, f"batches have failed: {failed}"
        return min((stream.last or 0 for stream in status.streams if _is_output(stream)), default=0)

    def _finish(self) -> int:
        """Have all that was sent processed, and stop; return the time of the last batch that was
        needed for that."""
        self._files.enough()
        self._lines.enough()
        self._gets_on(lambda: self._lines.acknowledged)
        now = self._patient.status().now
        self._gets_on(lambda: self._newest() >= now)
        with suppress(AssertionError):  # what is missing is told of later
            eventually(self._has_all)
        until = max(stream.last or 0 for stream in self._patient.status().streams)
        self._gets_on(lambda: self._newest() >= until)
        failures = [render(failure) for failure in self._patient.ssc._failures]
        self._patient.stop()
        assert not failures, "\n".join(failures)
        return until

    def _gets_on(self, done: Callable[[], bool]) -> None:
        """Wait for something for as long as batches settle.

        Raises:
            AssertionError: none does any more.
        """
        while not done():
            before = self._newest()
            eventually(lambda before=before: done() or self._newest() > before, PATIENCE_S)

    def _has_all(self) -> bool:
        threading.Event().wait(0.5)
        found = outputs.numbers(self._program)
        return found["files"] >= self._files.sent and found["lines"] >= self._lines.sent


def _is_output(stream: StreamStatus) -> bool:
    return stream.name.endswith("_written")
