"""The engine's end of the receiver processes: one for each push source."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from livebatch.block import BlockRef
from livebatch.clock import Deadline, deadline
from livebatch.engine.allocation import FED
from livebatch.engine.child import Child
from livebatch.engine.durable import DurableBlocks, block_id
from livebatch.engine.receiver import BACK_OFF
from livebatch.engine.store import Place
from livebatch.errors import StoreFull
from livebatch.events import SourceState
from livebatch.filesystems import reason
from livebatch.interval import Millis
from livebatch.sources import kind
from livebatch.sources.receiving import receiving_of
from livebatch.stream import Input
from livebatch.transport import Hub, Peer
from livebatch.wire import AnyMessage, Finished, Hello, Receive, Received, Room, Stop

MAX_BLOCK_INTERVAL: Millis = 200


@dataclass(eq=False)
class _Receiver:
    """A receiver's process, or the one that is to follow it.

    Attributes:
        order: what it has been told.
        failures: how many before it died in a row without having received anything.
        again: when it is started; None: it has been.
        waiting, dropped: what it is told of its stream.
    """

    order: Receive
    failures: int = 0
    again: Deadline | None = None
    child: Child | None = None
    peer: Peer | None = None
    blocks: int = 0
    finished: bool = False
    proven: Deadline = field(default_factory=lambda: deadline(BACK_OFF[-1]))
    waiting: int = 0
    dropped: int = 0


class ReceiverHost:
    """Runs the push sources of a graph's inputs, each in a process, and replaces dead ones.

    A process that dies without having received anything is replaced after a while, which gets
    longer each time.

    Args:
        hub: where receivers call in.
        address: the hub's.
        place: of the blocks.
        batch: the batch interval, in milliseconds; a batch holds at least four blocks.
        buffer: bytes that may wait of a source that is not told.
        durable: the folder of blocks that are to survive.
    """

    def __init__(
        self, hub: Hub, address: str, place: Place, batch: Millis, buffer: int, durable: Path
    ) -> None:
        self._hub, self._place = hub, place
        self._args = (address, msgspec.json.encode(place).decode())
        self._interval = max(10, min(MAX_BLOCK_INTERVAL, batch // 4))
        self._buffer, self._folder, self._durable = buffer, str(durable), DurableBlocks(durable)
        self._receivers: dict[str, _Receiver] = {}
        self._peers: dict[Peer, _Receiver] = {}
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
            self._changed(SourceState(id, "stopped"))
        for id, node in wanted.items():
            if id not in self._receivers:
                self._start(_Receiver(self._order(node)))

    def room(self, stream: str, waiting: int, dropped: int) -> None:
        receiver = self._receivers.get(stream)
        if receiver is not None:
            receiver.waiting, receiver.dropped = waiting, dropped
            self._tell_room(receiver)

    def keep_up(self) -> None:
        """Start the receivers whose time has come."""
        for receiver in self._receivers.values():
            if receiver.again is not None and receiver.again.passed():
                self._start(receiver)

    def finish(self) -> None:
        """Have all receivers hand on what they have received, and end."""
        self._ending = True
        for id, receiver in list(self._receivers.items()):
            if receiver.peer is None:  # it has not begun
                self._stop(self._receivers.pop(id))
            else:
                self._hub.send(receiver.peer, Stop(graceful=True))

    @property
    def finished(self) -> bool:
        """Whether all receivers have handed on what they had received."""
        return all(receiver.finished for receiver in self._receivers.values())

    def close(self) -> None:
        """Stop all receivers."""
        self.keep_only([])

    def _order(self, node: Input[Any]) -> Receive:
        said = receiving_of(node.options)
        return Receive(
            node.id,
            node.source,
            node.options,
            self._interval,
            said.buffer or self._buffer,
            self._folder if said.durable else "",
        )

    def _start(self, receiver: _Receiver) -> None:
        stream = receiver.order.stream
        self._receivers[stream] = receiver
        if receiver.order.durable:
            try:
                start = self._durable.begin(stream)
            except OSError as error:
                receiver.again = deadline(BACK_OFF[0])
                said = f"it cannot be written where its blocks are to lie ({reason(error)})"
                self._changed(SourceState(stream, "waiting", said))
                return
            receiver.order = msgspec.structs.replace(receiver.order, start=start)
        receiver.child = child = Child("livebatch.engine.receiver", *self._args, stream)
        receiver.again, receiver.proven = None, deadline(BACK_OFF[-1])
        self._hub.watch(child.end, lambda: self._ended(receiver, child))

    def _stop(self, receiver: _Receiver) -> None:
        if receiver.child is not None:
            self._hub.unwatch(receiver.child.end)
            receiver.child.kill()
            receiver.child.close()
            receiver.child = None

    def _ended(self, receiver: _Receiver, child: Child) -> None:
        child.close()
        stream = receiver.order.stream
        if self._receivers.get(stream) is not receiver:
            return
        self._take_over(receiver)
        if self._ending:
            del self._receivers[stream]
            return
        works = receiver.blocks or receiver.proven.passed()
        failures = 0 if works else receiver.failures + 1
        pause = BACK_OFF[min(failures, len(BACK_OFF)) - 1] if failures else 0.0
        again = f"again in {pause:g} s, {failures} × in a row" if failures else "again"
        self._changed(SourceState(stream, "connecting", f"its process died; starting {again}"))
        follower = _Receiver(receiver.order, failures, deadline(pause))
        follower.waiting, follower.dropped = receiver.waiting, receiver.dropped
        self._receivers[stream] = follower
        self.keep_up()

    def _take_over(self, receiver: _Receiver) -> None:
        """Take in what a dead receiver had put on disk, but could not report any more."""
        order = receiver.order
        if not order.durable:
            return
        known = {block_id(order.stream, order.start, n + 1) for n in range(receiver.blocks)}
        found = self._durable.unclaimed(order.stream, known)
        mine = f"{order.stream}-{order.start}."
        self._put_back(order.stream, [ref for ref in found.blocks if ref.id.startswith(mine)])

    def take_up(self, inputs: Sequence[Input[Any]], newest: Mapping[str, str]) -> None:
        for node in inputs:
            if _is_push(node) and receiving_of(node.options).durable:
                found = self._durable.after(node.id, newest.get(node.id))
                if found.damaged:
                    said = f"{len(found.damaged)} damaged blocks on disk were passed over"
                    self._changed(SourceState(node.id, "recovering", said))
                self._put_back(node.id, found.blocks)

    def _put_back(self, stream: str, blocks: Sequence[BlockRef]) -> None:
        """Take in blocks that are on disk."""
        store = self._place.open(overflows=True)
        for ref in blocks:
            try:
                self._received(stream, store.put(self._durable.read(ref), ref.id))
            except StoreFull as error:  # it stays on disk
                self._changed(SourceState(stream, "waiting", str(error)))

    def _heard(self, peer: Peer, tag: bytes, message: AnyMessage) -> None:
        if isinstance(message, Hello):
            self._greet(peer, message)
            return
        receiver = self._peers.get(peer)
        if receiver is None:  # of an engine that died
            return
        match message:
            case Received():
                self._take(receiver, message.block)
            case SourceState():
                self._changed(message)
            case Finished():
                receiver.finished = True

    def _greet(self, peer: Peer, hello: Hello) -> None:
        receiver = self._receivers.get(hello.name)
        if receiver is None or receiver.child is None or receiver.child.pid != hello.pid:
            return
        receiver.peer = peer
        others = {p: r for p, r in self._peers.items() if r.order.stream != hello.name}
        self._peers = {**others, peer: receiver}
        self._hub.send(peer, receiver.order)
        self._tell_room(receiver)

    def _take(self, receiver: _Receiver, block: BlockRef) -> None:
        """Take in a block, unless its receiver has died and what it had on disk was taken over."""
        stream = receiver.order.stream
        if self._receivers.get(stream) is receiver:
            receiver.blocks += 1
        elif receiver.order.durable:
            return
        self._received(stream, block)

    def _tell_room(self, receiver: _Receiver) -> None:
        if receiver.peer is not None:
            room = Room(receiver.waiting, receiver.blocks, receiver.dropped)
            self._hub.send(receiver.peer, room)


def _is_push(node: Input[Any]) -> bool:
    return node.source not in FED and hasattr(kind(node.source), "run")
