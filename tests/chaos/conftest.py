"""Plugins are for the processes of chaos alone: to import one changes what sources there are."""

from __future__ import annotations

collect_ignore_glob = ["plugins/*"]
