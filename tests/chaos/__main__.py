"""``python -m tests.chaos FAULTS [SEED]``: lives of engines, one after the other, until there have
been so many faults. Its last line says what came of it."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import tempfile
import traceback
from contextlib import closing
from pathlib import Path

from tests.chaos.play import Life, Outcome
from tests.chaos.plugged import acked_lines

IN_A_LIFE = 40


def main(faults: int, seed: int) -> int:
    """Play until there have been so many faults; return the exit status."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    outcome = Outcome()
    with tempfile.TemporaryDirectory(prefix="lb-") as runtime:
        os.environ.update(XDG_RUNTIME_DIR=runtime, XDG_STATE_HOME=runtime)
        while outcome.faults < faults:
            print(f"seed {seed}", flush=True)
            folder = tempfile.mkdtemp(prefix=f"chaos-{seed}-")
            try:
                outcome += lived(seed, Path(folder), min(IN_A_LIFE, faults - outcome.faults))
            except Exception:
                traceback.print_exc()
                print(f"FAILED with seed {seed}; all files are in {folder}")
                return 1
            shutil.rmtree(folder)
            seed += 1
    print(outcome)
    return 0


def lived(seed: int, folder: Path, faults: int) -> Outcome:
    """Return what came of a life."""
    with acked_lines(), closing(Life(seed, folder)) as life:
        return life.play(faults)


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    sys.exit(main(given[0], given[1] if given[1:] else random.randrange(10**6)))
