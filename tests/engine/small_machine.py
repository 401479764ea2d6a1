"""What a container has: 64 MB of shared memory. Run in a mount namespace of its own, by
test_small_memory; it says line by line what came of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import gettempdir
from threading import Event

import psutil

from livebatch.engine.runtime import clean_stale
from livebatch.engine.server import Settings
from livebatch.launch import start_process
from livebatch.session import StreamingContext

MB = 1 << 20
BUDGET = 512 * MB
ROWS, SIZE, BATCHES = 8, 5 * MB, 20


def noise(row: int) -> tuple[int, bytes]:
    return row, os.urandom(SIZE)


def wait_for_batches(ssc: StreamingContext, wanted: int) -> None:
    settled = Event()

    def heard(event: object) -> None:
        if ssc.status().streams[0].batches >= wanted:
            settled.set()

    end = ssc.connection.listen(heard, apart=True)
    assert settled.wait(60)
    end()


def main() -> None:
    settings = Settings("small", 250, workers=2, budget=BUDGET)
    connection = start_process(settings)
    ssc = StreamingContext("250ms", connection=connection)
    place = Path(connection.found.shared_memory)
    print("fallback", place.parent == Path(gettempdir()))
    stream = ssc.register("noise", ssc.queue_stream(default=range(ROWS)).map(noise), "10m")
    ssc.start()
    wait_for_batches(ssc, BATCHES)
    kept = ssc.settled(stream)
    print("kept", len(kept) >= BATCHES)
    print("within budget", ssc.status().stored <= BUDGET)
    spilled = sum(path.stat().st_size for path in (place / ".spill").resolve().iterdir())
    print("spilled", spilled > BATCHES * ROWS * SIZE - BUDGET)
    oldest = kept[0].map(lambda row: (row[0], len(row[1]))).collect()
    print("oldest", sorted(oldest) == [(row, SIZE) for row in range(ROWS)])
    last = stream.last("10m").count()
    print("all", last >= BATCHES * ROWS and last % ROWS == 0)
    sql = "SELECT count(DISTINCT batch_time), sum(octet_length(_2)) FROM noise"
    [(batches, total)] = ssc.query(sql).to_pandas().itertuples(index=False)
    print("sql", batches >= BATCHES and total == batches * ROWS * SIZE)
    if sys.argv[1] == "kill":
        engine = psutil.Process(ssc.status().pid)
        engine.kill()
        engine.wait(10)
        connection.close()
        clean_stale()
    else:
        ssc.stop()
    left = [*Path(gettempdir()).glob("livebatch-*"), *Path("/dev/shm").glob("livebatch-*")]
    print("left", left)


if __name__ == "__main__":
    main()
