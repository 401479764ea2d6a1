"""What a user's function is called, for people."""

from __future__ import annotations

import inspect
import linecache
from collections.abc import Callable
from types import CodeType
from typing import Any

LONGEST = 60
"""Letters of a lambda's source that are shown."""


def called(function: Callable[..., Any]) -> str:
    """Return the name of a function, or the source of one that has none.

    Example:
        >>> called(str.upper), called(print)
        ('str.upper', 'print')
    """
    name: str = getattr(function, "__qualname__", type(function).__name__)
    code = getattr(function, "__code__", None)
    if isinstance(code, CodeType) and code.co_name == "<lambda>":
        return _short(_lambda(function, code)) or "lambda"
    return name.rpartition("<locals>.")[2]


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _lambda(function: Callable[..., Any], code: CodeType) -> str:
    """Return the source of a lambda, on one line; nothing if it cannot be had."""
    # What the instructions were compiled from, all but the first few, which are from nowhere.
    spans = [
        ((line, column), (end_line, end_column))
        for line, end_line, column, end_column in code.co_positions()
        if line is not None and end_line is not None
        if column is not None and end_column is not None
        if (line, column) != (end_line, end_column)
    ]
    if not spans:
        return ""
    start, end = min(begin for begin, _ in spans), max(end for _, end in spans)
    body = _between(code.co_filename, start, end)
    if not body:
        return ""
    arguments = str(inspect.signature(function))[1:-1]
    return f"lambda {arguments}: {body}" if arguments else f"lambda: {body}"


def _between(file: str, start: tuple[int, int], end: tuple[int, int]) -> str:
    """Return the text from one (line, column) to another, on one line; columns count bytes."""
    lines = [line.encode() for line in linecache.getlines(file)[start[0] - 1 : end[0]]]
    if len(lines) <= end[0] - start[0]:
        return ""
    lines[-1] = lines[-1][: end[1]]
    lines[0] = lines[0][start[1] :]
    return " ".join(b" ".join(lines).decode(errors="replace").split())
