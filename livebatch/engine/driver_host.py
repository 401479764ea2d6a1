"""The engine's end of the driver process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from livebatch.calls import Call, CallOutcome, Raised, Returned
from livebatch.engine.child import Child
from livebatch.failure import Failure
from livebatch.transport import Hub, Peer
from livebatch.wire import AnyMessage, Hello

TRIES = 3
"""So often a call is made, where the process dies each time."""


class DriverHost:
    """Calls functions on RDDs in a process that is started when it is first needed.

    Args:
        hub: where the driver calls in.
        start: starts a driver and returns its process; None if it is a thread of this one.
    """

    def __init__(self, hub: Hub, start: Callable[[], Child | None]) -> None:
        self._hub, self._start = hub, start
        self._child: Child | None = None
        self._started = False
        self._peer: Peer | None = None
        self._ours: set[Peer] = set()
        self._calls: dict[str, Call] = {}
        self._deaths: Counter[str] = Counter()
        self._outcomes: list[CallOutcome] = []
        hub.serve("driver", self._heard)

    def submit(self, call: Call) -> None:
        self._calls[call.id] = call
        if self._peer is not None:
            self._hub.send(self._peer, call)
        elif not self._started:
            self._launch()

    def cancel(self, call: str) -> None:
        """Stop a call. Its function cannot be stopped alone, so the process is replaced, and
        the calls of other streams are made again."""
        if self._calls.pop(call, None) is not None and self._child is not None:
            self._replace()

    def poll(self) -> list[CallOutcome]:
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def close(self) -> None:
        if self._child is not None:
            self._hub.unwatch(self._child.end)
            self._child.kill()
            self._child.close()

    def _launch(self) -> None:
        self._started = True
        self._child = self._start()
        if self._child is not None:
            self._hub.watch(self._child.end, self._ended)

    def _replace(self) -> None:
        self.close()
        self._child, self._peer = None, None
        self._launch()

    def _ended(self) -> None:
        """The process died: whichever call did that, none of them returned. They are made again,
        but not for ever."""
        self._deaths = Counter({call: self._deaths[call] + 1 for call in self._calls})
        for call in [call for call, times in self._deaths.items() if times >= TRIES]:
            del self._calls[call]
            said = f"the driver process died {TRIES} times while it made this call"
            self._outcomes.append(Raised(call, Failure("DriverDied", said)))
        if self._child is not None:
            self._child.close()
        self._child, self._peer, self._started = None, None, False
        if self._calls:
            self._launch()

    def _heard(self, peer: Peer, tag: bytes, message: AnyMessage) -> None:
        if isinstance(message, Hello):
            self._greet(peer, message)
        elif peer not in self._ours:  # the driver of an engine that died, whose calls these were
            return
        elif isinstance(message, (Returned, Raised)) and message.call in self._calls:
            del self._calls[message.call]
            self._outcomes.append(message)

    def _greet(self, peer: Peer, hello: Hello) -> None:
        if self._child is not None and hello.pid != self._child.pid:
            return
        self._ours.add(peer)
        if hello.name == "main":
            self._peer = peer
            for call in self._calls.values():
                self._hub.send(peer, call)
