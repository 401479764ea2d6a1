"""Where streams come from: one file each, found by its name.

A *push* source runs in a receiver process of its own and emits records as they come. A *pull*
source is asked at each batch time what there is to read, and answers with functions that read it;
those run in the workers.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from livebatch.errors import DefinitionError
from livebatch.sources.base import PullSource, PushSource

__all__ = ["PullSource", "PushSource", "kind", "source"]


def kind(name: str) -> Callable[..., PullSource | PushSource]:
    """Return the class of sources of a kind, the name of its file.

    Raises:
        DefinitionError: there is no such kind.
    """
    if name.isidentifier() and find_spec(f"{__name__}.{name}"):
        made = getattr(import_module(f"{__name__}.{name}"), "Source", None)
        if made is not None:
            return made  # type: ignore[no-any-return]
    raise DefinitionError(f"there is no source {name}")


def source(name: str, options: dict[str, Any]) -> PullSource | PushSource:
    """Return the source of a kind with these options.

    Raises:
        DefinitionError: there is no such kind, or an option is wrong.
    """
    try:
        return kind(name)(**options)
    except TypeError as error:
        raise DefinitionError(f"{name}: {error}") from None
