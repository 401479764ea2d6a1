"""What user code prints, logs and warns of within a task, caught so that it can be shown with
the stream that it belongs to."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TextIO

from livebatch.failure import sendable

MOST = 10_000
"""So many characters of a task's output are kept."""

CUT = "\n… more was written, and left out\n"


class Output(io.TextIOBase):
    """Keeps the first part of what is written to it."""

    def __init__(self) -> None:
        self._text = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if len(self._text) < MOST:
            self._text += text
            if len(self._text) >= MOST:
                self._text = self._text[:MOST] + CUT
        return len(text)

    def show_warning(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        """Write a warning; takes the place of `warnings.showwarning`."""
        self.write(warnings.formatwarning(message, category, filename, lineno, line))

    def getvalue(self) -> str:
        """Return what was kept."""
        return sendable(self._text)


@contextmanager
def caught() -> Iterator[Output]:
    """Catch all that Python code in this process prints, logs or warns of."""
    output = Output()
    handler = logging.StreamHandler(output)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        with redirect_stdout(output), redirect_stderr(output), warnings.catch_warnings():
            warnings.showwarning = output.show_warning
            yield output
    finally:
        root.removeHandler(handler)
