"""Sessions: the values of a key between gaps."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from livebatch.arguments import check_count
from livebatch.closures import builtin, ship, ship_pickle
from livebatch.errors import DefinitionError
from livebatch.interval import Duration, Millis, to_millis
from livebatch.operators.mapped import MappedWithState, State, emitted
from livebatch.operators.state import given_rows
from livebatch.stream import (
    DStream,
    operator,
)


class Session(NamedTuple):
    """The values of a key that lie less than a gap apart.

    Attributes:
        key: whose.
        value: all values in a list, or what they were aggregated to.
        start: the time of the first batch with a value.
        end: the time of the last one plus the gap.
    """

    key: Any
    value: Any
    start: datetime
    end: datetime


def extend(
    zero: Callable[[], Any],
    add: Callable[[Any, Any], Any],
    gap: Millis,
    key: Any,
    value: Any,
    state: State,
) -> Session | None:
    """Add a value to the session of its key; return a session that this, or time, has closed."""
    if state.is_timing_out():
        return state.get()  # type: ignore[no-any-return]
    now, session, closed = state.batch_time, state.get(None), None
    if session is not None and now >= session.end:
        session, closed = None, session
    if session is None:
        session = Session(key, zero(), now, now)
    end = now + timedelta(milliseconds=gap)
    state.update(session._replace(value=add(session.value, value), end=end))
    return closed


def append(values: list[Any], value: Any) -> list[Any]:
    values.append(value)
    return values


@operator
def session_window(
    self: DStream[Any],
    gap_duration: Duration,
    zero_value: Any = None,
    seq_func: Callable[[Any, Any], Any] | None = None,
    *,
    num_partitions: int | None = None,
) -> DStream[Session]:
    """Return a stream of the sessions of each key of (key, value) records, as they close.

    A session is closed by the first batch that lies the gap or more after the last one with a
    value of its key. Its record is a `Session`: key, value, start, end. The sessions that are open
    are the stream's ``state``.

    Args:
        gap_duration: how long a key has no values between two sessions, such as ``"30s"``.
        zero_value, seq_func: fold the values of a session, one by one, into a copy of
            ``zero_value``; without them a session has all its values in a list.
        num_partitions: how many partitions the state has.

    Raises:
        DefinitionError: the gap is none, or there is a zero value without a function.

    Example:
        >>> from livebatch.testing import run
        >>> closed = run(lambda clicks: clicks.session_window("2s", 0, lambda n, click: n + 1),
        ...     [[("ann", "/"), ("bob", "/")], [("ann", "/help")], [], [], []])
        >>> [[(session.key, session.value) for session in batch] for batch in closed]
        [[], [], [('bob', 1)], [('ann', 2)], []]
    """
    gap = to_millis(gap_duration, "the gap")
    if seq_func is None and zero_value is not None:
        raise DefinitionError("session_window needs a function to fold values into a zero value")
    add = builtin(append) if seq_func is None else ship(seq_func)
    zero = [] if seq_func is None else zero_value
    fresh = builtin(given_rows, ship_pickle(zero, "the zero value"))
    function, parts = builtin(extend, fresh, add, gap), check_count(num_partitions)
    return emitted(MappedWithState([self], self.slide, parts, function, gap, None))
