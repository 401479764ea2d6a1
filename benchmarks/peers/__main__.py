"""A system does a workload, once on a file to be warm, then on all as often as it is asked to."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.peers import work


def main() -> None:
    """Do it whenever a line comes in, and print what it took. An answer may be a function: what
    that does is not counted."""
    name, workload, folder = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # systems print what is no answer
    function: Callable[[list[Path]], Any] = getattr(
        import_module(f"benchmarks.peers.on_{name}"), workload
    )
    files = sorted(Path(folder).iterdir())
    function(files[:1])
    print(json.dumps("warm"), file=answers, flush=True)
    for _ in sys.stdin:
        worked, begun = work(), perf_counter()
        answer = function(files)
        taken = (work() - worked, perf_counter() - begun)
        print(
            json.dumps([*taken, answer() if callable(answer) else answer]), file=answers, flush=True
        )


if __name__ == "__main__":
    main()
