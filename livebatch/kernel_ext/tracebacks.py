"""How errors show in a notebook: the user's own lines, and nothing of livebatch's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import msgspec
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from livebatch.errors import DefinitionError, LivebatchError
from livebatch.failure import Failure
from livebatch.failure import render as render_plain

_HERE = f"{Path(__file__).parents[1]}{os.sep}"


class CellSyntaxError(DefinitionError):
    """What becomes of a SyntaxError, which IPython would show with all frames that led to it."""

    def __init__(self, shell: InteractiveShell, error: SyntaxError) -> None:
        super().__init__(str(error))
        self._shell, self._error = shell, error

    def _render_traceback_(self) -> list[str]:
        lines = self._shell.SyntaxTB.structured_traceback(SyntaxError, self._error, None)
        return list(lines)


@contextmanager
def own_lines_only(shell: InteractiveShell) -> Iterator[None]:
    """Have errors that are raised within show the user's own lines alone.

    The exception itself is left as it is, so that ``%debug`` sees every frame.
    """
    __tracebackhide__ = True
    try:
        yield
    except BaseException as error:
        if not isinstance(error, UsageError) and not hasattr(error, "_render_traceback_"):
            _shorten(shell, error)
        raise


def _shorten(shell: InteractiveShell, error: BaseException) -> None:
    ours = isinstance(error, LivebatchError)
    frames = _own(error.__traceback__, ours)

    def lines() -> list[str]:
        printer = shell.InteractiveTB
        if frames is None:
            return list(printer.get_exception_only(type(error), error))
        # An explanation of livebatch's says it all; what led to it is not the user's.
        cause = error.__cause__, error.__suppress_context__
        if ours:
            error.__cause__, error.__suppress_context__ = None, True
        try:
            return list(printer.structured_traceback(type(error), error, frames, tb_offset=0))
        finally:
            error.__cause__, error.__suppress_context__ = cause

    # IPython asks an exception for its traceback if it has this.
    error._render_traceback_ = lines  # type: ignore[attr-defined]


def _own(traceback: TracebackType | None, ours: bool) -> TracebackType | None:
    """Return the part of a traceback from the cell's body on; of our errors, up to our code."""
    while traceback is not None and not _is_here(traceback):
        traceback = traceback.tb_next
    while traceback is not None and _is_here(traceback):
        traceback = traceback.tb_next
    if not ours:
        return traceback
    kept = []
    while traceback is not None and not _is_here(traceback):
        kept.append(traceback)
        traceback = traceback.tb_next
    made: TracebackType | None = None
    for part in reversed(kept):
        made = TracebackType(made, part.tb_frame, part.tb_lasti, part.tb_lineno)
    return made


def _is_here(traceback: TracebackType) -> bool:
    return traceback.tb_frame.f_code.co_filename.startswith(_HERE)


def render(failure: Failure, shell: InteractiveShell) -> str:
    """Write a failure as Python does, with cells called what the notebook calls them.

    Its last line is the exception itself.
    """
    text = render_plain(msgspec.structs.replace(failure, record=None))
    for frame in failure.frames:
        label = shell.compile.format_code_name(frame.file)
        if label is not None:
            text = text.replace(f'File "{frame.file}"', " ".join(label))
    if failure.record is not None:
        text = f"For the record {failure.record}:\n{text}"
    return text
