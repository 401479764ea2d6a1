"""Systems that do the same workloads on the same files: a module each, in a process of its own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from subprocess import PIPE, Popen
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any, NamedTuple

import psutil

SPARK = {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
"""The environment without which PySpark's workers are those of another Python."""

PACKAGES = {
    "polars": "polars",
    "polars_loop": "polars",
    "structured": "pyspark",
    "dstreams": "pyspark",
    "bytewax": "bytewax",
    "streamz": "streamz",
    "programs": "pyspark",
}


class Taken(NamedTuple):
    """What a workload took, without the start of the system: CPU seconds of all processes,
    seconds of the clock; and the answer."""

    work: float
    wall: float
    answer: Any


Ask = Callable[[str, Sequence[Path]], Taken]
"""Has a system do a workload on files."""


def python_of(name: str) -> str | None:
    """Return the Python that a system is to run on. Pathway does not go with the versions that
    the others need, so it has an environment of its own."""
    return os.environ.get("PATHWAY_PYTHON") if name == "pathway" else sys.executable


def missing(name: str) -> str:
    """Return what a system lacks to be measured, if it lacks anything."""
    package = PACKAGES.get(name)
    if python_of(name) is None:
        return "set PATHWAY_PYTHON to a Python that has it, and psutil, numpy and pyarrow"
    if package and not find_spec(package):
        return "pip install 'livebatch[bench]'"
    return "it needs Java 17" if package == "pyspark" and not which("java") else ""


@contextmanager
def started(name: str) -> Iterator[Ask]:
    """Start a system, and give what has it do a workload on files."""
    command = [str(python_of(name)), "-m", "benchmarks.peers", name]
    with TemporaryDirectory(prefix="lb-") as place, TemporaryFile("w+") as complaints:
        environment = {**os.environ, **SPARK, "POLARS_MAX_THREADS": "1", "TMPDIR": place}
        with Popen(
            command, stdin=PIPE, stdout=PIPE, stderr=complaints, text=True, env=environment
        ) as process:
            answers = process.stdout
            assert answers is not None

            def ask(workload: str, files: Sequence[Path]) -> Taken:
                wanted = json.dumps([workload, list(map(str, files))])
                print(wanted, file=process.stdin, flush=True)
                line = answers.readline()
                if not line:
                    complaints.seek(0)
                    raise RuntimeError(f"{name}, {workload}: {complaints.read()[-2000:]}")
                return Taken(*json.loads(line))

            yield ask


def work() -> float:
    """Return the CPU seconds that this process and all its descendants have taken, those that
    have ended included."""
    me = psutil.Process()
    times = [each.cpu_times() for each in (me, *me.children(recursive=True))]
    return sum(t.user + t.system + t.children_user + t.children_system for t in times)
