"""Sockets: the only file that knows ZeroMQ.

A `Hub` is the engine's end: one socket that everyone else's `Line` connects to, and one on which
it publishes. A message that answers another carries its tag.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import zmq

from livebatch.errors import EngineLost, EngineRestarted
from livebatch.events import Event, Message
from livebatch.framing import Channel, unpack
from livebatch.wire import AnyMessage, Hello, KeepCode, SendAgain

_log = logging.getLogger(__name__)

Peer = bytes
Handler = Callable[[Peer, bytes, AnyMessage], None]


def _socket(context: Any, kind: int) -> Any:
    socket = context.socket(kind)
    socket.linger = 0
    return socket


class Hub:
    """The engine's end of all lines.

    Args:
        router: the address that lines connect to.
        publisher: the address at which events are published.
    """

    def __init__(self, router: str, publisher: str) -> None:
        self._context = zmq.Context()
        self._router = _socket(self._context, zmq.ROUTER)
        self._router.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._router.sndhwm = self._router.rcvhwm = 0
        self._router.bind(router)
        self._events = _socket(self._context, zmq.PUB)
        self._events.bind(publisher)
        self._poller = zmq.Poller()
        self._poller.register(self._router, zmq.POLLIN)
        self._channels: dict[Peer, Channel] = {}
        self._roles: dict[Peer, str] = {}
        self._names: dict[Peer, str] = {}
        self._handlers: dict[str, Handler] = {}
        self._watched: dict[int, Callable[[], None]] = {}

    def serve(self, role: str, handler: Handler) -> None:
        """Have all messages of peers with a role handled by a function of (peer, tag, message);
        the first is their `Hello`."""
        self._handlers[role] = handler

    def watch(self, descriptor: int, function: Callable[[], None]) -> None:
        """Call a function, once, when a file descriptor becomes readable or is hung up."""
        self._watched[descriptor] = function
        self._poller.register(descriptor, zmq.POLLIN)

    def unwatch(self, descriptor: int) -> None:
        """Watch a descriptor no more."""
        if self._watched.pop(descriptor, None) is not None:
            self._poller.unregister(descriptor)

    def send(self, peer: Peer, message: Message, tag: bytes = b"") -> bool:
        """Send a message; return whether the peer is still there."""
        channel = self._channels.setdefault(peer, Channel())
        try:
            self._router.send_multipart([peer, tag, *channel.pack(message)])
        except zmq.ZMQError:
            self.forget(peer)
            return False
        return True

    def keep_code(self, role: str, digests: set[str], name: str = "") -> None:
        """Have the peers of a role, those of a name if it has several, free all code but this."""
        for peer, known in list(self._roles.items()):
            meant = known == role and self._names[peer] == name
            if meant and self.send(peer, KeepCode(tuple(digests))):
                self._channels[peer].keep_only(digests)

    def forget(self, peer: Peer) -> None:
        """Drop what is known of a peer that is gone."""
        self._channels.pop(peer, None)
        self._roles.pop(peer, None)
        self._names.pop(peer, None)

    def publish(self, event: Event) -> None:
        """Send an event to whoever listens; it may be dropped."""
        self._events.send_multipart(Channel().pack(event))

    def poll(self, timeout: float) -> None:
        """Wait for messages, at most so many seconds, and have all there are handled."""
        for ready, _ in self._poller.poll(int(timeout * 1000)):
            if ready is self._router:
                self._receive_all()
            else:
                descriptor = ready if isinstance(ready, int) else ready.fileno()
                function = self._watched.get(descriptor)
                self.unwatch(descriptor)
                if function is not None:
                    function()

    def _receive_all(self) -> None:
        with suppress(zmq.Again):
            while True:
                peer, tag, *frames = self._router.recv_multipart(zmq.NOBLOCK)
                try:
                    message = unpack(frames)
                except msgspec.MsgspecError as error:
                    _log.warning("passed over a message that is none: %s", error)
                    continue
                if isinstance(message, Hello):
                    self._roles[peer], self._names[peer] = message.role, message.name
                handler = self._handlers.get(self._roles.get(peer, ""))
                if handler is not None:
                    handler(peer, tag, message)
                elif tag:  # it was on its way to an engine that has died
                    self.send(peer, SendAgain(), tag)

    def close(self) -> None:
        """Close the sockets."""
        self._context.destroy(linger=0)


PATIENCE = 0.2
"""Seconds between two looks at whether the engine is still there."""

ANSWERS_WITHIN = 0.2
"""Seconds within which an engine that was started again answers what had waited for it."""

IMPATIENCE = 0.25
"""Seconds between two calls of a function that passes the time until a reply comes."""


class Line:
    """A line to a hub, for use by one thread.

    Args:
        address: the hub's.
        hello: how to introduce oneself.
        alive: says whether the engine still runs; asked now and then while waiting.
        incarnation: says which process the engine is; another after it was started again.
    """

    def __init__(
        self,
        address: str,
        hello: Hello,
        alive: Callable[[], bool],
        incarnation: Callable[[], object] = lambda: None,
    ) -> None:
        self._socket = _socket(zmq.Context.instance(), zmq.DEALER)
        self._socket.sndhwm = self._socket.rcvhwm = 0
        self._socket.connect(address)
        self._channel = Channel()
        self._hello, self._alive = hello, alive
        self._incarnation, self._known = incarnation, incarnation()
        self._requests = 0
        self._awaited: set[bytes] = set()
        self._replies: dict[bytes, AnyMessage] = {}
        self.send(hello)

    def send(self, message: Message, tag: bytes = b"") -> None:
        """Send a message."""
        self._socket.send_multipart([tag, *self._channel.pack(message)])

    def forget(self) -> None:
        """Take it that the hub has none of the code that was sent to it."""
        self._channel = Channel()

    def receive(self, timeout: float | None = None) -> tuple[bytes, AnyMessage] | None:
        """Return the next message with its tag; None if none comes in so many seconds.

        Raises:
            EngineLost: the engine is gone.
            EngineRestarted: it has been started again, and what it was asked before may be lost.
        """
        while not self._socket.poll(1000 * (PATIENCE if timeout is None else timeout)):
            if not self._alive():
                raise EngineLost("the engine is gone; its log says why")
            if self._has_restarted() and not self._socket.poll(1000 * ANSWERS_WITHIN):
                raise EngineRestarted("the engine was started again")
            if timeout is not None:
                return None
        tag, *frames = self._socket.recv_multipart()
        return tag, unpack(frames)

    def request(self, message: Message, waiting: Callable[[], None] | None = None) -> AnyMessage:
        """Send a request and return its reply.

        Args:
            message: the request.
            waiting: called now and then until the reply is there; it may make requests too.

        Raises:
            EngineLost: the engine is gone, or was started again when it had perhaps done what is to
                be done only once.
        """
        self._requests += 1
        tag = str(self._requests).encode()
        self._awaited.add(tag)
        self.send(message, tag)
        try:
            while isinstance(reply := self._reply_or_none(tag, waiting, message), SendAgain):
                self.forget()
                self.send(self._hello)  # in case it is another engine process
                self.send(message, tag)
            return reply
        finally:
            self._awaited.discard(tag)

    def _reply_or_none(
        self, tag: bytes, waiting: Callable[[], None] | None, message: Message
    ) -> AnyMessage:
        """Return the reply to a request, or `SendAgain` where it has got lost."""
        try:
            return self._reply(tag, waiting)
        except EngineRestarted as error:
            if message.once:
                raise EngineLost(
                    "the engine was started again meanwhile, and whether it had done this is not "
                    "known: see how things are, then do it again if need be"
                ) from error
            return SendAgain()

    def _has_restarted(self) -> bool:
        now = self._incarnation()
        if now is None or now == self._known:
            return False
        self._known = now
        return True

    def _reply(self, tag: bytes, waiting: Callable[[], None] | None) -> AnyMessage:
        while tag not in self._replies:
            received = self.receive(None if waiting is None else IMPATIENCE)
            if received is not None and received[0] in self._awaited:
                self._replies[received[0]] = received[1]
            elif received is None and waiting is not None:
                waiting()
        return self._replies.pop(tag)

    def close(self, linger: float = 0) -> None:
        """Hang up, after so many seconds at most for what is still to be sent."""
        self._socket.close(linger=int(1000 * linger))


class Subscriber:
    """The events that a hub publishes from now on, for use by one thread."""

    def __init__(self, address: str) -> None:
        self._socket = _socket(zmq.Context.instance(), zmq.SUB)
        self._socket.subscribe(b"")
        self._socket.connect(address)

    def receive(self, timeout: float) -> AnyMessage | None:
        """Return the next event; None if none comes in so many seconds."""
        if not self._socket.poll(1000 * timeout):
            return None
        return unpack(self._socket.recv_multipart())

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()
