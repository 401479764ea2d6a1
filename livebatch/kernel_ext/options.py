"""Options of magics: argparse, but an error is one line and nothing ever exits."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from typing import Any, NoReturn

from IPython.core.error import UsageError

from livebatch.errors import DefinitionError
from livebatch.interval import Millis, to_millis


class HelpShown(Exception):
    """The user asked for help and has got it; there is nothing more to do."""


class Options(argparse.ArgumentParser):
    """The options of a magic.

    Args:
        prog: the magic, such as ``%engine``.
        about: one line that says what it is for.

    Example:
        >>> options = Options("%%stream", "define a stream")
        >>> _ = options.add_argument("--window", type=duration)
        >>> options.read("--window 5m").window
        300000
    """

    def __init__(self, prog: str, about: str = "", **settings: Any) -> None:
        settings.setdefault("description", about or None)
        super().__init__(prog, allow_abbrev=False, **settings)

    def read(self, line: str) -> argparse.Namespace:
        """Return the options that stand in a line.

        Raises:
            UsageError: they are wrong; the message is one line.
            HelpShown: help was asked for.
        """
        try:
            words = shlex.split(line)
        except ValueError as error:
            self.error(str(error))
        return self.parse_args(words)

    @property
    def flags(self) -> dict[str, Sequence[str]]:
        """The options that there are, each with the values it may have, if those are few."""
        found = self._option_string_actions.items()
        return {flag: tuple(action.choices or ()) for flag, action in found if flag != "-h"}

    @property
    def actions(self) -> dict[str, Options]:
        """What the magic can be told to do, each with its own options."""
        found = [a.choices for a in self._actions if isinstance(a, argparse._SubParsersAction)]
        return dict(found[0]) if found else {}

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message} ({self.prog} --help says more)")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        raise HelpShown


def duration(text: str) -> Millis:
    """Return a duration such as ``10s`` or ``5m`` in milliseconds."""
    try:
        return to_millis(text)
    except DefinitionError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no duration; write 500ms, 10s, 5m or 1h"
        ) from None


def count(text: str) -> int:
    """Return a positive whole number."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)
