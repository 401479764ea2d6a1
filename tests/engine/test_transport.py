"""Hub, lines and subscribers over real sockets."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import zmq

from livebatch.errors import EngineLost
from livebatch.events import Message, SourceChanged, SourceState, StreamRemoved
from livebatch.framing import Channel
from livebatch.transport import Hub, Line, Peer, Subscriber
from livebatch.wire import AnyMessage, CancelJob, Hello, Ok, Remove, Status
from tests.helpers import eventually

EVENT = SourceChanged(SourceState("s", "receiving"))


@pytest.fixture
def addresses() -> Iterator[tuple[str, str]]:
    with TemporaryDirectory(prefix="lb-") as folder:
        yield f"ipc://{Path(folder, 'r')}", f"ipc://{Path(folder, 'e')}"


@pytest.fixture
def hub(addresses: tuple[str, str]) -> Iterator[Hub]:
    hub = Hub(*addresses)
    yield hub
    hub.close()


@pytest.fixture
def dial(addresses: tuple[str, str]) -> Iterator[Callable[..., Line]]:
    """Opens lines to the hub, and closes them."""
    lines = []

    def dial(role: str = "client", alive: Callable[[], bool] = lambda: True) -> Line:
        lines.append(Line(addresses[0], Hello(role, "", os.getpid()), alive))
        return lines[-1]

    yield dial
    for line in lines:
        line.close()


class Heard:
    """A handler that remembers who said what."""

    def __init__(self) -> None:
        self.all: list[tuple[Peer, bytes, AnyMessage]] = []

    def __call__(self, peer: Peer, tag: bytes, message: AnyMessage) -> None:
        self.all.append((peer, tag, message))

    @property
    def messages(self) -> list[Message]:
        return [message for _, _, message in self.all if not isinstance(message, Hello)]


def poll_until(hub: Hub, condition: Callable[[], bool]) -> None:
    def polled() -> bool:
        hub.poll(0.01)
        return condition()

    eventually(polled)


@contextmanager
def polling(hub: Hub) -> Iterator[None]:
    """Have a hub polled in a thread."""
    done = threading.Event()

    def run() -> None:
        while not done.is_set():
            hub.poll(0.01)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


# -- messages --------------------------------------------------------------------------------


def test_messages_arrive_whole_and_in_order(hub: Hub, dial: Callable[..., Line]) -> None:
    heard = Heard()
    hub.serve("client", heard)
    line = dial()
    sent = [Remove(f"{n}" * 100) for n in range(1000)]
    for message in sent:
        line.send(message)
    poll_until(hub, lambda: len(heard.messages) == len(sent))
    assert heard.messages == sent


def test_each_role_has_its_own_handler(hub: Hub, dial: Callable[..., Line]) -> None:
    workers, clients = Heard(), Heard()
    hub.serve("worker", workers)
    hub.serve("client", clients)
    dial("worker").send(Remove("by worker"))
    dial("client").send(Remove("by client"))
    dial("nobody").send(Remove("by nobody"))
    poll_until(hub, lambda: bool(workers.messages and clients.messages))
    assert (workers.messages, clients.messages) == ([Remove("by worker")], [Remove("by client")])


def test_who_has_not_said_hello_is_not_heard(
    hub: Hub, addresses: tuple[str, str], dial: Callable[..., Line]
) -> None:
    heard = Heard()
    hub.serve("client", heard)
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.connect(addresses[0])
        socket.send_multipart([b"", *Channel().pack(Remove("rude"))])
        dial().send(Remove("polite"))
        poll_until(hub, lambda: bool(heard.messages))
        socket.linger = 0
    assert heard.messages == [Remove("polite")]


def test_what_is_no_message_is_passed_over(
    hub: Hub, addresses: tuple[str, str], dial: Callable[..., Line]
) -> None:
    heard = Heard()
    hub.serve("client", heard)
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.connect(addresses[0])
        socket.send_multipart([b"", b"\xc1"])
        dial().send(Remove("good"))
        poll_until(hub, lambda: bool(heard.messages))


# -- requests --------------------------------------------------------------------------------


def test_a_request_gets_its_own_reply(hub: Hub, dial: Callable[..., Line]) -> None:
    def reply(peer: Peer, tag: bytes, message: AnyMessage) -> None:
        if isinstance(message, Remove):
            hub.send(peer, Ok("unasked"))
            hub.send(peer, Ok("late"), b"an old tag")
            hub.send(peer, Ok(message.name), tag)

    hub.serve("client", reply)
    line = dial()
    with polling(hub):
        assert [line.request(Remove(name)) for name in "abc"] == [Ok("a"), Ok("b"), Ok("c")]


def test_replies_go_to_who_asked(hub: Hub, dial: Callable[..., Line]) -> None:
    waiting: list[tuple[Peer, bytes, AnyMessage]] = []

    def reply(peer: Peer, tag: bytes, message: AnyMessage) -> None:
        if isinstance(message, CancelJob):
            waiting.append((peer, tag, message))
        if len(waiting) == 2:
            for peer, tag, message in reversed(waiting):  # both wait, the second is served first
                assert isinstance(message, CancelJob)
                hub.send(peer, Ok(message.id), tag)
            waiting.clear()

    hub.serve("client", reply)
    replies: dict[str, Message] = {}

    def ask(name: str) -> None:
        replies[name] = dial().request(CancelJob(name))

    askers = [threading.Thread(target=ask, args=[name]) for name in ("a", "b")]
    with polling(hub):
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join(10)
    assert replies == {"a": Ok("a"), "b": Ok("b")}


def test_a_line_waits_for_so_long_and_no_longer(hub: Hub, dial: Callable[..., Line]) -> None:
    assert dial().receive(timeout=0.01) is None


def test_a_line_to_an_engine_that_is_gone_says_so(hub: Hub, dial: Callable[..., Line]) -> None:
    line = dial(alive=lambda: False)
    with pytest.raises(EngineLost, match="the engine is gone"):
        line.request(Status())
    with pytest.raises(EngineLost):
        line.receive(timeout=0.01)


def test_what_a_dead_engine_said_last_is_still_heard(hub: Hub, dial: Callable[..., Line]) -> None:
    heard = Heard()
    hub.serve("client", heard)
    line = dial(alive=lambda: False)
    poll_until(hub, lambda: bool(heard.all))
    assert hub.send(heard.all[0][0], Ok("last words"))
    assert line.receive(timeout=10) == (b"", Ok("last words"))


# -- peers that are gone ---------------------------------------------------------------------


def test_sending_to_a_peer_that_hung_up_is_no_error(hub: Hub, dial: Callable[..., Line]) -> None:
    heard = Heard()
    hub.serve("client", heard)
    gone, stays = dial(), dial()
    poll_until(hub, lambda: len(heard.all) == 2)
    gone.close()
    peers = [peer for peer, _, _ in heard.all]
    eventually(lambda: [hub.send(peer, Ok()) for peer in peers].count(False) == 1)
    assert stays.receive(timeout=10) is not None


def test_freeing_code_of_a_peer_that_hung_up_is_no_error(
    hub: Hub, dial: Callable[..., Line]
) -> None:
    heard = Heard()
    hub.serve("driver", heard)
    gone = dial("driver")
    poll_until(hub, lambda: len(heard.all) == 1)
    gone.close()
    eventually(lambda: hub.keep_code("driver", set()) or not hub._roles)


def test_sending_to_a_peer_that_never_was_is_no_error(hub: Hub) -> None:
    assert not hub.send(b"nobody", Ok())


# -- descriptors -----------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["hung up", "readable"])
def test_a_watched_descriptor_is_reported_once(hub: Hub, what: str) -> None:
    end, theirs = os.pipe()
    calls: list[str] = []
    hub.watch(end, lambda: calls.append(what))
    hub.poll(0)
    assert calls == []
    os.write(theirs, b"x" if what == "readable" else b"")
    if what == "hung up":
        os.close(theirs)
    hub.poll(10)
    hub.poll(0.01)
    assert calls == [what]
    os.close(end)
    if what == "readable":
        os.close(theirs)


def test_a_descriptor_may_be_closed_and_its_number_watched_again(hub: Hub) -> None:
    calls: list[int] = []
    end, theirs = os.pipe()

    def again() -> None:
        os.close(end)
        second, other = os.pipe()
        calls.append(second)
        hub.watch(second, lambda: calls.append(-1))
        os.close(other)

    hub.watch(end, again)
    os.close(theirs)
    poll_until(hub, lambda: calls[-1:] == [-1])
    os.close(calls[0])


def test_a_descriptor_that_is_watched_no_more_is_left_alone(hub: Hub) -> None:
    end, theirs = os.pipe()
    calls: list[int] = []
    hub.watch(end, lambda: calls.append(1))
    hub.unwatch(end)
    hub.unwatch(end)
    os.close(theirs)
    hub.poll(0.01)
    os.close(end)
    assert calls == []


# -- events ----------------------------------------------------------------------------------


def reaches(hub: Hub, subscriber: Subscriber) -> bool:
    """Publish an event and see whether it arrives."""
    hub.publish(EVENT)
    return subscriber.receive(0.01) == EVENT


def test_everyone_who_subscribes_hears_the_events(hub: Hub, addresses: tuple[str, str]) -> None:
    hub.publish(EVENT)  # nobody listens
    subscribers = [Subscriber(addresses[1]) for _ in range(2)]
    try:
        for subscriber in subscribers:
            eventually(partial(reaches, hub, subscriber))
        hub.publish(StreamRemoved("last"))
        for subscriber in subscribers:
            heard = iter(partial(subscriber.receive, 10), StreamRemoved("last"))
            assert set(heard) <= {EVENT}
            assert subscriber.receive(0.01) is None
    finally:
        for subscriber in subscribers:
            subscriber.close()
