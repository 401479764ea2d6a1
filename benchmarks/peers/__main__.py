"""A system does the workloads that it is asked for, one after the other."""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from time import perf_counter

from benchmarks.peers import work


def main() -> None:
    """For each line that comes in do a workload, and print what it took. An answer may be a
    function: what that does is not counted."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # systems print what is no answer
    system = import_module(f"benchmarks.peers.on_{sys.argv[1]}")
    for line in sys.stdin:
        workload, names = json.loads(line)
        function, files = getattr(system, workload), list(map(Path, names))
        worked, begun = work(), perf_counter()
        answer = function(files)
        taken = (work() - worked, perf_counter() - begun)
        print(
            json.dumps([*taken, answer() if callable(answer) else answer]), file=answers, flush=True
        )


if __name__ == "__main__":
    main()
