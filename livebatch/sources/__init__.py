"""Where streams come from: one file each, found by its name.

A *push* source runs in a receiver process of its own and emits records as they come. A *pull*
source is asked at each batch time what there is to read, and answers with functions that read it;
those run in the workers.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from livebatch.errors import DefinitionError
from livebatch.sources.base import PullSource, PushSource
from livebatch.sources.receiving import KEY

__all__ = ["PullSource", "PushSource", "kind", "kinds", "source"]

_PARTS = {
    "base",
    "drifted",
    "files",
    "folder",
    "formats",
    "inline",
    "lines",
    "parts",
    "paths",
    "receiving",
    "recording",
    "tables",
}


def kinds() -> list[str]:
    """Return the names of all kinds of sources."""
    return [m.name for m in iter_modules(__path__) if m.name not in _PARTS]


def kind(name: str) -> Callable[..., PullSource | PushSource]:
    """Return the class of sources of a kind, the name of its file.

    Raises:
        DefinitionError: there is no such kind.
    """
    if name not in kinds():
        raise DefinitionError(f"there is no source {name}; there are {', '.join(kinds())}")
    made: Callable[..., PullSource | PushSource] = import_module(f"{__name__}.{name}").Source
    return made


def source(name: str, options: dict[str, Any]) -> PullSource | PushSource:
    """Return the source of a kind with these options, of those of an input its own.

    Raises:
        DefinitionError: there is no such kind, or an option is wrong.
    """
    try:
        return kind(name)(**{key: value for key, value in options.items() if key != KEY})
    except TypeError as error:
        raise DefinitionError(f"{name}: {error}") from None
