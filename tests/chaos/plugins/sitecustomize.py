"""Read by every Python process that has this folder on its path: livebatch has one more source."""

from __future__ import annotations

from pathlib import Path

import livebatch.sources

livebatch.sources.__path__.append(str(Path(__file__).with_name("chaos_sources")))
