"""What sources give: how each of them is doing, how much it may give, and how much of it waits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from livebatch.engine.backpressure import Backpressure
from livebatch.engine.buffers import Buffers
from livebatch.engine.config import Config, Receivers
from livebatch.events import BatchCompleted, Event, InputStatus, SourceChanged, SourceState
from livebatch.stream import Input


class Intake:
    """The sources of an engine's streams.

    Args:
        publish: told of every event.
        receivers: where push sources run; None: nowhere.
    """

    def __init__(
        self, config: Config, publish: Callable[[Event], None], receivers: Receivers | None
    ) -> None:
        self.backpressure = Backpressure(config.batch, config.backpressure)
        self.buffers = Buffers(config.buffer, receivers.room if receivers else _tell_nobody)
        self._states: dict[str, SourceState] = {}
        self._publish = publish

    def keep_only(self, inputs: Collection[Input[Any]]) -> None:
        """Forget all sources but these."""
        ids = {node.id for node in inputs}
        self.backpressure.keep_only(ids)
        self.buffers.keep_only(inputs)
        self._states = {id: state for id, state in self._states.items() if id in ids}

    def relay(self, event: Event) -> None:
        """Take note of what has become of a batch, and publish it."""
        self.backpressure.heard(event)
        if isinstance(event, BatchCompleted):
            self.buffers.done(event.time)
        self._publish(event)

    def changed(self, state: SourceState) -> None:
        """Take note of how a source is doing."""
        self._states[state.stream] = state
        self.buffers.dropped(state.stream, state.dropped)
        self._publish(SourceChanged(state))

    def status(self, streams: Iterable[str]) -> InputStatus:
        """Return how sources are doing, all together."""
        ids = list(streams)
        states = [state for id in ids if (state := self._states.get(id))]
        rates = [rate for id in ids if (rate := self.backpressure.rate(id)) is not None]
        buffers = [buffer for id in ids if (buffer := self.buffers.get(id))]
        return InputStatus(
            state="; ".join(f"{s.state} {s.detail}".strip() for s in states),
            limit=sum(rates) if rates else None,
            waiting=sum(buffer.nbytes for buffer in buffers),
            buffer=sum(buffer.limit for buffer in buffers),
            dropped=sum(buffer.dropped for buffer in buffers),
            on_overflow=", ".join(sorted({b.receiving.on_overflow for b in buffers})),
        )


def _tell_nobody(stream: str, nbytes: int, dropped: int) -> None:
    pass
