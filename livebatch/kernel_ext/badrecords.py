"""The error side of a stream: what records raised, summed up for its view."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec

from livebatch.events import BadRecords
from livebatch.failure import Failure, Frame
from livebatch.widgets import ErrorKind, Errors

KINDS, RECORDS = 20, 5

_Where: TypeAlias = tuple[str, tuple[Frame, ...]]
_LINE = re.compile(r"^ *(.+, line \d+, in .+)$", re.MULTILINE)


@dataclass
class _Kind:
    newest: Failure
    times: int = 0
    records: deque[str] = field(default_factory=lambda: deque(maxlen=RECORDS))


class ErrorSide:
    """Counts a stream's bad records, and keeps some of each kind.

    Two are of one kind if the same class of exception was raised at the same lines.

    Args:
        render: writes a failure for people.
    """

    def __init__(self, render: Callable[[Failure], str]) -> None:
        self._render = render
        self._kinds: dict[_Where, _Kind] = {}
        self._seen = 0
        self.count = 0

    def take(self, bad: BadRecords) -> None:
        """Add the bad records of a batch."""
        self.count += bad.count
        self._seen += bad.seen
        for failure in bad.samples:
            key = failure.kind, failure.frames
            kind = self._kinds.pop(key, None) or _Kind(failure)
            kind.newest, kind.times = failure, kind.times + 1
            if failure.record is not None and failure.record not in kind.records:
                kind.records.append(failure.record)
            self._kinds[key] = kind
        while len(self._kinds) > KINDS:
            del self._kinds[next(iter(self._kinds))]

    def errors(self) -> Errors | None:
        """Return what the view shall show, the newest kind first."""
        if not self.count:
            return None
        kinds = tuple(map(self._shown, reversed(self._kinds.values())))
        return Errors(self.count, self._seen, kinds)

    def _shown(self, kind: _Kind) -> ErrorKind:
        text = self._render(msgspec.structs.replace(kind.newest, record=None))
        lines = _LINE.findall(text)
        where = lines[-1] if lines else ""
        error = text.splitlines()[-1]
        return ErrorKind(error, where, kind.times, tuple(kind.records), text)
