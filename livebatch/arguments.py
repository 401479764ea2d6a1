"""Checks of what users give."""

from __future__ import annotations

from keyword import iskeyword
from typing import Any

from livebatch.errors import DefinitionError


def check_name(name: str) -> str:
    """Return a stream's name if it is a plain Python identifier.

    Raises:
        DefinitionError: it is not.
    """
    if not name.isidentifier() or iskeyword(name):
        raise DefinitionError(
            f"a stream's name must be a Python name such as word_counts, not {name!r}"
        )
    return name


def check_count(number: Any, what: str = "the number of partitions") -> int | None:
    """Return a number of partitions or records, if it can be one; None is left to the engine.

    Raises:
        DefinitionError: it is not a whole number of at least 1.
    """
    if number is not None and (not isinstance(number, int) or number < 1):
        raise DefinitionError(f"{what} must be a whole number of at least 1, not {number!r}")
    return number
