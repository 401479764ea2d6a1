"""Where tasks run, behind one port."""

from __future__ import annotations
