"""Has all processes know one more source: the one that acknowledges."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import livebatch.sources

PLUGINS = Path(__file__).with_name("plugins")


@contextmanager
def acked_lines() -> Iterator[None]:
    """Within this there is the source ``acked_lines``, here and in processes that are started."""
    sys.path.insert(0, str(PLUGINS))
    livebatch.sources.__path__.append(str(PLUGINS / "chaos_sources"))
    try:
        yield
    finally:
        livebatch.sources.__path__.pop()
        sys.path.remove(str(PLUGINS))
