"""Frames: streams of Arrow tables with known columns, computed by DuckDB in the workers.

``frame`` is the stream itself; ``select``, ``grouped``, ``sliding``, ``event_time``, ``static``,
``convert`` and ``statement`` are what can be done with it. ``check``, ``syntax`` and ``plan`` are
for where a frame is written; ``run``, ``framed`` and ``kernel`` for the tasks.
"""

from __future__ import annotations

from livebatch.frames import convert, event_time, grouped, select, sliding, static
from livebatch.frames.frame import StreamingDataFrame

__all__ = ["StreamingDataFrame", "convert", "event_time", "grouped", "select", "sliding", "static"]
