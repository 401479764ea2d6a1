"""The driver process, where functions on RDDs run: ``python -m livebatch.driver ROUTER EVENTS``.

An embedded engine runs the same in a thread of its host's. To the engine a driver is one more
client: its functions' actions are jobs that it asks for.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue

from livebatch.calls import Call
from livebatch.client import ClientRunner, RemoteConnection
from livebatch.closures import codes
from livebatch.engine.child import GRACE, live_and_die_with_the_engine
from livebatch.engine.driver import carry_out
from livebatch.errors import EngineLost
from livebatch.transport import Line
from livebatch.wire import Hello, KeepCode


class DriverLoop:
    """Makes the calls that the engine asks for, each in a thread that has nothing else to do, so
    that one that blocks does not hold up the others.

    Args:
        router, events: the engine's addresses.
        alive: says whether it still runs.
        frees_code: whether to free code when the engine says so; not where the process has other
            users of it.
    """

    def __init__(
        self, router: str, events: str, alive: Callable[[], bool], frees_code: bool = False
    ) -> None:
        self._router, self._alive, self._frees_code = router, alive, frees_code
        self._connection = RemoteConnection(router, events, alive, counts=False)
        self._runner = ClientRunner(self._connection, f"d{os.getpid()}")
        self._calls: SimpleQueue[Call | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._lock = threading.Lock()

    def run(self) -> None:
        """Make calls for as long as the engine runs."""
        line = self._line("main")
        try:
            while True:
                received = line.receive()
                message = None if received is None else received[1]
                if isinstance(message, Call):
                    self._hand_on(message)
                elif isinstance(message, KeepCode) and self._frees_code:
                    self._free_code(set(message.digests))
        except EngineLost:
            self._close(line)

    def _free_code(self, used: set[str]) -> None:
        """Free code that the engine needs no more, unless a call may be about to refer to some."""
        with self._lock:
            if self._idle == len(self._threads):
                codes.keep_only(used)

    def _close(self, line: Line) -> None:
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join(GRACE)
        line.close()
        self._connection.close()

    def _line(self, name: str) -> Line:
        return Line(self._router, Hello("driver", name, os.getpid()), self._alive)

    def _hand_on(self, call: Call) -> None:
        with self._lock:
            if not self._idle:
                thread = threading.Thread(target=self._make_calls, daemon=True)
                self._threads.append(thread)
                thread.start()
                self._idle += 1
            self._idle -= 1
        self._calls.put(call)

    def _make_calls(self) -> None:
        line = self._line("call")
        while (call := self._calls.get()) is not None:
            outcome = carry_out(call, self._runner)
            with self._lock:
                line.forget()  # the engine may have freed code since
                line.send(outcome)
                self._idle += 1
        line.close()


def main() -> None:
    """Run a driver process."""
    live_and_die_with_the_engine()
    DriverLoop(sys.argv[1], sys.argv[2], lambda: True, frees_code=True).run()


if __name__ == "__main__":
    main()
