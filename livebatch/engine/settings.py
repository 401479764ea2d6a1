"""What an engine process is told when it starts."""

from __future__ import annotations

import msgspec

from livebatch.engine.process import ProcessIdentity
from livebatch.interval import Millis


class Settings(msgspec.Struct, frozen=True):
    """What an engine process is told when it starts.

    Attributes:
        name: of the engine.
        batch: the batch interval, in milliseconds.
        workers: how many worker processes; 0: one for each CPU.
        strict: fail a batch at the first record that a function raises on.
        linger: seconds without a client after which it stops; None: never.
        budget: bytes that blocks may take in memory; 0: a quarter of it.
        checkpoint: the folder of its checkpoints, from which it goes on; empty: none, or, where
            it is supervised, one that goes when it stops.
        every: how often a snapshot is taken, in milliseconds.
        missed: what becomes of batches whose time passed while it was down: ``run`` or ``skip``.
        backpressure: whether pull sources are limited while batches fall behind.
        supervisor: the process that starts it again when it dies, if there is one.
    """

    name: str
    batch: Millis
    workers: int = 0
    strict: bool = False
    linger: float | None = 600.0
    budget: int = 0
    checkpoint: str = ""
    every: Millis = 10_000
    missed: str = "run"
    backpressure: bool = True
    supervisor: ProcessIdentity | None = None
