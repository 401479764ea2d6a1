"""The version, where everything can read it."""

from __future__ import annotations

__version__ = "0.1.0"
