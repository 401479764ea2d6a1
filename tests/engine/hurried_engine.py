"""An engine process with workers and a driver like any other, but time flies: a batch is due as
soon as the one before is done. ``python hurried_engine.py SETTINGS``; it says ``ready``."""

from __future__ import annotations

import sys
from collections.abc import Callable

import msgspec

from livebatch.clock import ManualClock
from livebatch.engine.__main__ import start_driver
from livebatch.engine.server import Server, Settings
from livebatch.interval import Millis


class HurriedClock(ManualClock):
    """Moves on to the next tick when there is nothing else to do."""

    idle: Callable[[], bool]

    def wait(self, until: Millis) -> float:
        if not self.idle():
            return 1.0
        self.advance(until - self.now())
        return 0.0


def main() -> None:
    clock = HurriedClock(start=1_600_000_000_000)
    settings = msgspec.json.decode(sys.argv[1], type=Settings)
    server = Server(settings, start_driver, frees_code=True, clock=clock)
    clock.idle = lambda: server.engine.idle
    server.run(lambda: print("ready", flush=True))


if __name__ == "__main__":
    main()
