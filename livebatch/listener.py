"""StreamingListener: being told how batches, outputs and sources get on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from livebatch.events import (
    BatchCompleted,
    BatchFailed,
    BatchSettled,
    BatchSubmitted,
    Event,
    OutputBegun,
    SourceChanged,
    SourceState,
    StreamingStarted,
)
from livebatch.failure import Failure
from livebatch.interval import Millis

_log = logging.getLogger(__name__)

UNKNOWN = -1
UNFINISHED = 1000
"""So many batches that nothing more is heard of are remembered."""


@dataclass(frozen=True)
class StreamInputInfo:
    """What a batch has of an input stream; 0 records where their number is not known."""

    input_stream_id: str
    num_records: int
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class OutputOperationInfo:
    """How an output gets on with a batch. Times are milliseconds since 1970 UTC, −1 if not known.

    Attributes:
        name: of the stream, or of the function that is called.
        failure_reason: None if it did not fail.
    """

    batch_time: Millis
    id: str
    name: str
    description: str = ""
    start_time: Millis = UNKNOWN
    end_time: Millis = UNKNOWN
    failure_reason: str | None = None

    @property
    def duration(self) -> Millis:
        """Milliseconds from its start to its end; −1 if not known."""
        return _between(self.start_time, self.end_time)


@dataclass(frozen=True)
class BatchInfo:
    """How a batch gets on. Times are milliseconds since 1970 UTC, −1 if not known yet."""

    batch_time: Millis
    stream_id_to_input_info: dict[str, StreamInputInfo]
    submission_time: Millis
    processing_start_time: Millis = UNKNOWN
    processing_end_time: Millis = UNKNOWN
    output_operation_infos: dict[str, OutputOperationInfo] = field(default_factory=dict)

    @property
    def scheduling_delay(self) -> Millis:
        """Milliseconds until work on it began; −1 if not known."""
        return _between(self.submission_time, self.processing_start_time)

    @property
    def processing_delay(self) -> Millis:
        """Milliseconds that work on it took; −1 if not known."""
        return _between(self.processing_start_time, self.processing_end_time)

    @property
    def total_delay(self) -> Millis:
        """Milliseconds from its submission to its end; −1 if not known."""
        return _between(self.submission_time, self.processing_end_time)

    @property
    def num_records(self) -> int:
        """How many records its input has."""
        return sum(info.num_records for info in self.stream_id_to_input_info.values())


@dataclass(frozen=True)
class ReceiverInfo:
    """How a source gets on."""

    stream_id: str
    name: str
    active: bool
    location: str = ""
    executor_id: str = ""
    last_error_message: str = ""
    last_error: str = ""
    last_error_time: Millis = UNKNOWN


@dataclass(frozen=True)
class Started:
    """The engine has begun with batches; milliseconds since 1970 UTC."""

    time: Millis


@dataclass(frozen=True)
class BatchNews:
    """Something happened to a batch."""

    batch_info: BatchInfo


@dataclass(frozen=True)
class OutputNews:
    """Something happened to an output of a batch."""

    output_operation_info: OutputOperationInfo


@dataclass(frozen=True)
class ReceiverNews:
    """Something happened to a source."""

    receiver_info: ReceiverInfo


class StreamingListener:
    """Is told how streams get on, in this process; add one by
    `StreamingContext.add_streaming_listener` and override what matters.

    For each batch: submitted, started, completed; within that for each of its outputs: started,
    completed. Batches that failed complete as well: their outputs say why.

    Example:
        >>> from livebatch.testing import ManualContext, collected
        >>> class Records(StreamingListener):
        ...     def on_batch_completed(self, batch_completed):
        ...         print(batch_completed.batch_info.num_records, "records")
        >>> with ManualContext("1s") as ssc:
        ...     batches = collected(ssc.queue_stream([[1, 2], [3]]))
        ...     ssc.add_streaming_listener(Records())
        ...     ssc.start()
        ...     ssc.advance("2s")
        2 records
        1 records
    """

    def on_streaming_started(self, streaming_started: Started) -> None:
        """The engine has begun with batches."""

    def on_receiver_started(self, receiver_started: ReceiverNews) -> None:
        """A source has begun to receive."""

    def on_receiver_error(self, receiver_error: ReceiverNews) -> None:
        """A source has trouble; it goes on, or tries to."""

    def on_receiver_stopped(self, receiver_stopped: ReceiverNews) -> None:
        """A source has stopped."""

    def on_batch_submitted(self, batch_submitted: BatchNews) -> None:
        """A batch has its input, and waits for work on it to begin."""

    def on_batch_started(self, batch_started: BatchNews) -> None:
        """Work on a batch has begun."""

    def on_batch_completed(self, batch_completed: BatchNews) -> None:
        """All outputs of a batch have been made, or have failed."""

    def on_output_operation_started(self, output_operation_started: OutputNews) -> None:
        """Work on an output of a batch has begun."""

    def on_output_operation_completed(self, output_operation_completed: OutputNews) -> None:
        """An output of a batch has been made, or has failed."""


class Relay:
    """Makes of what the engine says what a listener is told; one that raises harms nobody."""

    def __init__(self, listener: StreamingListener) -> None:
        self._listener = listener
        self._batches: dict[Millis, BatchInfo] = {}
        self._active: set[str] = set()

    def heard(self, event: Event) -> None:
        """Tell the listener of an event."""
        match event:
            case StreamingStarted():
                self._tell(self._listener.on_streaming_started, Started(event.at))
            case BatchSubmitted():
                self._submitted(event)
            case OutputBegun():
                self._begun(event)
            case BatchSettled():
                end = event.batch.time + event.batch.delay
                self._ended(event.batch.time, event.batch.output, end, None)
            case BatchFailed():
                self._ended(event.time, event.output, event.at, event.failure)
            case BatchCompleted():
                self._completed(event)
            case SourceChanged():
                self._source(event.state)

    def _tell(self, function: Callable[[Any], None], news: object) -> None:
        try:
            function(news)
        except Exception:
            _log.exception("a StreamingListener raised")

    def _submitted(self, event: BatchSubmitted) -> None:
        inputs = {id: StreamInputInfo(id, event.rows.get(id, 0)) for id in event.inputs}
        info = self._batches[event.time] = BatchInfo(event.time, inputs, event.at)
        while len(self._batches) > UNFINISHED:
            del self._batches[next(iter(self._batches))]
        self._tell(self._listener.on_batch_submitted, BatchNews(info))

    def _begun(self, event: OutputBegun) -> None:
        info = self._batches.get(event.time)
        if info is None:  # it began before this listened
            return
        if info.processing_start_time == UNKNOWN:
            info = replace(info, processing_start_time=event.at)
            self._tell(self._listener.on_batch_started, BatchNews(info))
        output = OutputOperationInfo(event.time, event.output, event.name, start_time=event.at)
        self._batches[event.time] = _with_output(info, output)
        self._tell(self._listener.on_output_operation_started, OutputNews(output))

    def _ended(self, time: Millis, id: str, at: Millis, failure: Failure | None) -> None:
        info = self._batches.get(time)
        output = info.output_operation_infos.get(id) if info else None
        if info is None or output is None:
            return
        reason = f"{failure.kind}: {failure.message}" if failure else None
        output = replace(output, end_time=at, failure_reason=reason)
        self._batches[time] = _with_output(info, output)
        self._tell(self._listener.on_output_operation_completed, OutputNews(output))

    def _completed(self, event: BatchCompleted) -> None:
        info = self._batches.pop(event.time, None)
        if info is None:
            return
        start = info.processing_start_time
        if start == UNKNOWN:  # there was nothing to do
            start = event.at
            info = replace(info, processing_start_time=start)
            self._tell(self._listener.on_batch_started, BatchNews(info))
        inputs = {id: StreamInputInfo(id, rows) for id, rows in event.rows.items()}
        info = replace(info, stream_id_to_input_info=inputs, processing_end_time=event.at)
        self._tell(self._listener.on_batch_completed, BatchNews(info))

    def _source(self, state: SourceState) -> None:
        active = state.state not in ("connecting", "stopped")
        news = ReceiverNews(
            ReceiverInfo(state.stream, state.stream, active, last_error_message=state.detail)
        )
        if active and state.stream not in self._active:
            self._active.add(state.stream)
            self._tell(self._listener.on_receiver_started, news)
        elif state.state == "stopped" or (not active and state.stream in self._active):
            self._active.discard(state.stream)
            if state.detail:
                self._tell(self._listener.on_receiver_error, news)
            self._tell(self._listener.on_receiver_stopped, news)


def _with_output(info: BatchInfo, output: OutputOperationInfo) -> BatchInfo:
    outputs = {**info.output_operation_infos, output.id: output}
    return replace(info, output_operation_infos=outputs)


def _between(start: Millis, end: Millis) -> Millis:
    return UNKNOWN if UNKNOWN in (start, end) else end - start
