"""A process that does nothing but start an engine again when it dies:
``python -m livebatch.engine.supervisor SETTINGS``.

The engine goes on from its checkpoint. One that ends by itself is not started again, nor one that
cannot start at all.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import deque

import msgspec

from livebatch.clock import stopwatch
from livebatch.engine.process import ProcessIdentity
from livebatch.engine.settings import Settings

MOST, WITHIN = 5, 60.0
"""An engine that dies so often in so many seconds is not started again."""


class Supervisor:
    """Runs one engine.

    Args:
        settings: the engine's.
    """

    def __init__(self, settings: Settings) -> None:
        mine = ProcessIdentity.current()
        self._settings = msgspec.structs.replace(settings, supervisor=mine)
        self._engine: subprocess.Popen[bytes] | None = None
        self._told_to_end = False

    def run(self) -> int:
        """Run until the engine ends by itself; return the exit status."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._end)
        starter = int(os.environ.pop("LIVEBATCH_READY"))
        said = self._start()
        os.write(starter, said.encode())
        os.close(starter)
        deaths: deque[float] = deque(maxlen=MOST)
        while True:
            assert self._engine is not None
            status = self._engine.wait()
            if status == 0 or said != "ready" or self._told_to_end:
                return status
            deaths.append(stopwatch())
            if len(deaths) == MOST and deaths[-1] - deaths[0] < WITHIN:
                print(f"the engine died {MOST} times in {WITHIN:g} s: given up", flush=True)
                return 1
            print(f"the engine died ({_how(status)}): starting it again", flush=True)
            self._start()

    def _start(self) -> str:
        """Start an engine; return what it says, ``ready`` or why it is not."""
        ours, theirs = os.pipe()
        settings = msgspec.json.encode(self._settings).decode()
        self._engine = subprocess.Popen(
            [sys.executable, "-m", "livebatch.engine", settings],
            stdin=subprocess.PIPE,
            pass_fds=[theirs],
            env={**os.environ, "LIVEBATCH_READY": str(theirs)},
        )
        os.close(theirs)
        with os.fdopen(ours) as ready:
            return ready.read()

    def _end(self, number: int, frame: object) -> None:
        self._told_to_end = True
        if self._engine is not None:
            self._engine.terminate()


def _how(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"


def main() -> None:
    """Supervise an engine."""
    settings = msgspec.json.decode(sys.argv[1], type=Settings)
    sys.exit(Supervisor(settings).run())


if __name__ == "__main__":
    main()
