"""Other systems on the same files, each in a process of its own: a module each, if it is there."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from subprocess import PIPE, Popen
from typing import Any, NamedTuple

import psutil

TEN_SECONDS = 10_000
Counts = Mapping[tuple[int, int], int]


class Taken(NamedTuple):
    """The CPU seconds that a system took without its start, and its answer."""

    cpu: float
    answer: Any


def is_there(name: str) -> bool:
    return bool(find_spec(name)) and (name != "pyspark" or bool(which("java")))


def apart(
    files: list[Path], workload: str, least: dict[str, float | None]
) -> dict[str, tuple[Callable[[], Taken], float | None]]:
    """Return how to have a workload done by those systems that are there."""
    return {
        name: (partial(process, name, workload, files[0].parent), wanted)
        for name, wanted in least.items()
        if is_there(name)
    }


def process(name: str, workload: str, folder: Path) -> Taken:
    """Have a system do a workload on the files of a folder."""
    spark = {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
    environment = {**os.environ, **spark, "POLARS_MAX_THREADS": "1"}
    command = [sys.executable, "-m", f"benchmarks.peers.on_{name}", workload, str(folder)]
    with Popen(command, stdout=PIPE, stderr=PIPE, text=True, env=environment) as started:
        said, complaints = started.communicate()
    if started.returncode:
        raise RuntimeError(complaints[-2000:])
    cpu, answer = json.loads(said.splitlines()[-1])
    return Taken(cpu, list(map(tuple, answer)) if isinstance(answer, list) else answer)


def measured(workloads: Mapping[str, Callable[[list[Path]], Any]]) -> None:
    """Carry out what the command line says, once on one file and then on all; print the cost."""
    name, folder = sys.argv[1:]
    files = sorted(Path(folder).iterdir())
    workloads[name](files[:1])
    begun = work()
    answer = workloads[name](files)
    print(json.dumps([work() - begun, answer]))


def work() -> float:
    """Return the seconds that this process and all its descendants have worked."""
    me = psutil.Process()
    times = [each.cpu_times() for each in (me, *me.children(recursive=True))]
    return sum(t.user + t.system + t.children_user + t.children_system for t in times)


def finished(counts: Counts, last: int) -> list[tuple[str, int, int]]:
    """Return the counts of (window, campaign) whose window ends by the last time."""
    return sorted(
        (f"{datetime.fromtimestamp(start / 1000, UTC):%Y-%m-%d %H:%M:%S}", campaign, n)
        for (start, campaign), n in counts.items()
        if start + TEN_SECONDS <= last
    )
