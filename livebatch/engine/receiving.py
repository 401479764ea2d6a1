"""The engine's end of the receiver processes: one for each push source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from livebatch.block import BlockRef
from livebatch.engine.allocation import FED
from livebatch.engine.child import Child
from livebatch.engine.store import Place
from livebatch.events import SourceState
from livebatch.interval import Millis
from livebatch.sources import kind
from livebatch.stream import Input
from livebatch.transport import Hub, Peer
from livebatch.wire import AnyMessage, Hello, Receive, Received, Stop

MAX_BLOCK_INTERVAL: Millis = 200


@dataclass(eq=False)
class _Receiver:
    child: Child
    order: Receive
    peer: Peer | None = None


class ReceiverHost:
    """Runs the push sources of a graph's inputs, each in a process, and replaces dead ones.

    Args:
        hub: where receivers call in.
        address: the hub's.
        place: of the blocks.
        batch: the batch interval, in milliseconds; a batch holds at least four blocks.
    """

    def __init__(self, hub: Hub, address: str, place: Place, batch: Millis) -> None:
        self._hub = hub
        self._args = (address, msgspec.json.encode(place).decode())
        self._interval = max(10, min(MAX_BLOCK_INTERVAL, batch // 4))
        self._receivers: dict[str, _Receiver] = {}
        self._ending = False
        self._received: Callable[[str, BlockRef], None] = lambda stream, block: None
        self._changed: Callable[[SourceState], None] = lambda state: None
        hub.serve("receiver", self._heard)

    def tell(
        self,
        received: Callable[[str, BlockRef], None],
        changed: Callable[[SourceState], None],
    ) -> None:
        """Set who is told of blocks and of how sources are doing."""
        self._received, self._changed = received, changed

    def keep_only(self, inputs: Sequence[Input[Any]]) -> None:
        wanted = {node.id: node for node in inputs if _is_push(node)}
        for id in [id for id in self._receivers if id not in wanted]:
            self._stop(self._receivers.pop(id))
        for id, node in wanted.items():
            if id not in self._receivers:
                self._start(Receive(id, node.source, node.options, self._interval))

    def finish(self) -> None:
        """Have all receivers hand on what they have received, and end."""
        self._ending = True
        for receiver in self._receivers.values():
            if receiver.peer is not None:
                self._hub.send(receiver.peer, Stop(graceful=True))

    @property
    def finished(self) -> bool:
        """Whether no receiver runs any more."""
        return not self._receivers

    def close(self) -> None:
        """Stop all receivers."""
        self.keep_only([])

    def _start(self, order: Receive) -> None:
        child = Child("livebatch.engine.receiver", *self._args, order.stream)
        receiver = self._receivers[order.stream] = _Receiver(child, order)
        self._hub.watch(child.end, lambda: self._ended(receiver))

    def _stop(self, receiver: _Receiver) -> None:
        self._hub.unwatch(receiver.child.end)
        receiver.child.kill()
        receiver.child.close()

    def _ended(self, receiver: _Receiver) -> None:
        receiver.child.close()
        if self._ending:
            self._receivers.pop(receiver.order.stream, None)
        elif self._receivers.get(receiver.order.stream) is receiver:
            stream = receiver.order.stream
            self._changed(SourceState(stream, "connecting", "its process died; starting again"))
            self._start(receiver.order)

    def _heard(self, peer: Peer, tag: bytes, message: AnyMessage) -> None:
        match message:
            case Hello():
                receiver = self._receivers.get(message.name)
                if receiver is not None:
                    receiver.peer = peer
                    self._hub.send(peer, receiver.order)
            case Received():
                self._received(message.stream, message.block)
            case SourceState():
                self._changed(message)


def _is_push(node: Input[Any]) -> bool:
    return node.source not in FED and hasattr(kind(node.source), "run")
