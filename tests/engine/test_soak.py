"""Twenty thousand batches on real processes: nothing grows."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from operator import add, sub
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import msgspec
import psutil
import pytest

import livebatch as lb
from livebatch.engine.server import Settings
from tests.engine import hurried_engine
from tests.helpers import eventually

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(2400)]

BATCHES = 20_000
EARLY, LATE = range(5_000, 10_000), range(15_000, BATCHES)
EVERY = 100
ROWS = [("a", 1), ("b", 2), ("a", 3)]


class Holdings(NamedTuple):
    """What a process holds."""

    kilobytes: int
    files: int
    threads: int


@pytest.fixture
def ssc() -> Iterator[lb.StreamingContext]:
    """A context on an engine for which time flies."""
    settings = Settings("soak", 1000, workers=2)
    process = subprocess.Popen(
        [sys.executable, hurried_engine.__file__, msgspec.json.encode(settings).decode()],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    with process.stdout as said:
        assert said.readline() == b"ready\n"
    with lb.StreamingContext.attach("soak") as ssc:
        yield ssc
    assert process.wait(20) == 0


def define(ssc: lb.StreamingContext) -> None:
    """Windows with and without an inverse, a state, a transform and an output in the driver."""
    source = ssc.queue_stream(default=ROWS)
    state = source.update_state_by_key(lambda new, n: (n or 0) + len(new))
    ssc.register("state", state, retain="4s")
    inverse = source.reduce_by_key_and_window(add, sub, 6, 1)
    ssc.register("windows", inverse.union(source.map_values(abs).window(4, 1)), retain="4s")
    turned = source.transform(lambda time, rdd: rdd.map(lambda row: (time, "x" * 100_000)))
    ssc.register("large", turned, retain="2s")
    state.window(1, 10).foreach_rdd(lambda time, rdd: rdd.count())


def kind(process: psutil.Process) -> str:
    """What a process of the engine's is; nothing yet where it has only been forked."""
    known = {"livebatch.driver": "driver", "livebatch.engine.worker": "worker"}
    return next((known[word] for word in process.cmdline() if word in known), "")


def holdings(process: psutil.Process) -> Holdings:
    with process.oneshot():
        info = process.memory_full_info()
        return Holdings(info.uss // 1024, process.num_fds(), process.num_threads())


def stored(directory: Path) -> int:
    """How many bytes and files there are in a directory; a file counts for a kilobyte at least."""
    total = 0
    for path in directory.iterdir():
        with suppress(FileNotFoundError):
            total += max(path.stat().st_size, 1024)
    return total


def has_come_to(ssc: lb.StreamingContext, batches: int) -> bool:
    return ssc.status().streams[0].batches >= batches


def test_nothing_grows(ssc: lb.StreamingContext) -> None:
    define(ssc)
    ssc.start()
    engine = psutil.Process(ssc.status().pid)
    connection: Any = ssc.connection
    memory = Path(connection.found.shared_memory)
    disk = (memory / ".spill").resolve()
    eventually(lambda: sorted(map(kind, engine.children())) == ["driver", *["worker"] * 3])
    seen: dict[str, dict[int, Any]] = defaultdict(dict)
    for batches in range(0, BATCHES, EVERY):
        eventually(partial(has_come_to, ssc, batches), timeout=60)
        assert not any(stream.error for stream in ssc.status().streams)
        seen["engine"][batches] = holdings(engine)
        for child in engine.children():
            seen[f"{kind(child)} {child.pid}"][batches] = holdings(child)
        seen["memory"][batches] = Holdings(stored(memory) // 1024, 0, 0)
        seen["disk"][batches] = Holdings(stored(disk) // 1024, 0, 0)
    assert ssc.streams["state"].latest().collect_as_map()["b"] >= BATCHES - EVERY
    assert len(seen) == 7, f"somebody died: { ({who: min(at) for who, at in seen.items()}) }"
    for who, samples in seen.items():
        early, late = typical(samples, EARLY), typical(samples, LATE)
        # Ten thousand batches later: a leak of 300 bytes a batch would be 3,000 kilobytes.
        assert late.kilobytes - early.kilobytes < 3_000, who
        assert late.files <= early.files, who
        assert late.threads <= early.threads, who


def typical(samples: dict[int, Holdings], when: range) -> Holdings:
    chosen = [holding for batch, holding in samples.items() if batch in when]
    return Holdings(*(round(median(column)) for column in zip(*chosen, strict=True)))
