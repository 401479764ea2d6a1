"""The engine process: ``python -m livebatch.engine SETTINGS``, which `livebatch.launch` starts.

It says on the descriptor LIVEBATCH_READY that it runs, or why it could not.
"""

from __future__ import annotations

import os
import signal
import sys

import msgspec

from livebatch.engine.child import Child
from livebatch.engine.server import Server
from livebatch.engine.settings import Settings


def start_driver(router: str, events: str) -> Child:
    """Start a driver process."""
    return Child("livebatch.driver", router, events)


def main() -> None:
    """Run an engine."""
    settings = msgspec.json.decode(sys.argv[1], type=Settings)
    ready = int(os.environ.pop("LIVEBATCH_READY"))
    os.set_inheritable(ready, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))

    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        os.write(ready, text.encode())
        os.close(ready)

    try:
        Server(settings, start_driver, frees_code=True).run(lambda: say("ready"))
    except Exception as error:
        if not said:
            say(f"{type(error).__name__}: {error}")
        raise


if __name__ == "__main__":
    main()
