"""Exceptions as records, cut down to the user's own lines."""

from __future__ import annotations

import contextlib
import linecache
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

_NOT_THE_USERS = (str(Path(__file__).parent), contextlib.__file__)


class Frame(msgspec.Struct, frozen=True, array_like=True):
    """One line of a traceback."""

    file: str
    line: int
    function: str
    text: str


class Failure(msgspec.Struct, frozen=True):
    """An exception, able to travel to where it is shown.

    Attributes:
        kind: the name of its class.
        message: what it says.
        frames: the user's own part of its traceback, outermost first.
        record: ``repr`` of the record it was raised for, where that is known.
    """

    kind: str
    message: str
    frames: tuple[Frame, ...] = ()
    record: str | None = None


def describe(error: BaseException, record: object = None) -> Failure:
    """Return an exception with the lines of its traceback that are not livebatch's."""
    text = None if record is None else _short(record)
    return Failure(type(error).__name__, _text(str, error), tuple(_frames(error)), text)


def _text(show: Callable[[object], str], thing: object) -> str:
    """Return how something shows itself, which may be the user's code and raise."""
    try:
        return sendable(show(thing))
    except Exception as error:
        return f"<{type(thing).__name__}, whose {show.__name__} raises {type(error).__name__}>"


def sendable(text: str) -> str:
    """Return a text without what UTF-8 cannot say (lone surrogates)."""
    return text.encode("utf-8", "backslashreplace").decode()


def _frames(error: BaseException) -> Iterator[Frame]:
    for frame in traceback.extract_tb(error.__traceback__):
        if not frame.filename.startswith(_NOT_THE_USERS):
            names = map(sendable, (frame.filename, frame.name, frame.line or ""))
            file, function, text = names
            yield Frame(file, frame.lineno or 0, function, text)


def _short(record: object) -> str:
    text = _text(repr, record)
    return text if len(text) <= 200 else f"{text[:200]}…"


def render(failure: Failure) -> str:
    """Write a failure as Python writes a traceback; source lines are looked up here, where the
    notebook's cells are known."""
    lines = ["Traceback (most recent call last):"] if failure.frames else []
    for frame in failure.frames:
        lines.append(f'  File "{frame.file}", line {frame.line}, in {frame.function}')
        text = frame.text or linecache.getline(frame.file, frame.line).strip()
        if text:
            lines.append(f"    {text}")
    lines.append(f"{failure.kind}: {failure.message}" if failure.message else failure.kind)
    if failure.record is not None:
        lines.append(f"for the record {failure.record}")
    return "\n".join(lines)
