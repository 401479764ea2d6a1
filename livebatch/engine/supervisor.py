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
        deaths: deque[float] = deque(maxlen=MOST)
        ready = int(os.environ.pop("LIVEBATCH_READY"))
        while True:
            status = self._run_once(ready)
            ready = -1
            if (status >= 0 and (status != 1 or not deaths)) or self._told_to_end:
                return status
            deaths.append(stopwatch())
            if len(deaths) == MOST and deaths[-1] - deaths[0] < WITHIN:
                print(f"the engine died {MOST} times in {WITHIN:g} s: given up", flush=True)
                return 1
            print(f"the engine died ({_how(status)}): starting it again", flush=True)

    def _run_once(self, ready: int) -> int:
        environment = dict(os.environ)
        if ready >= 0:
            environment["LIVEBATCH_READY"] = str(ready)
        said = msgspec.json.encode(self._settings).decode()
        self._engine = subprocess.Popen(
            [sys.executable, "-m", "livebatch.engine", said],
            stdin=subprocess.PIPE,
            pass_fds=[ready] if ready >= 0 else [],
            env=environment,
        )
        if ready >= 0:
            os.close(ready)
        return self._engine.wait()

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
