"""Frames: streams of Arrow tables with known columns, computed by DuckDB in the workers.

``frame`` is the stream itself; ``select``, ``grouped``, ``sliding``, ``chosen``, ``event_time``,
``static``, ``functions``, ``convert`` and ``statement`` are what can be done with it. ``check``,
``syntax``, ``plan`` and ``parts`` are for where a frame is written; ``exchange``, ``run``,
``framed`` and ``kernel`` for the tasks.
"""

from __future__ import annotations

from livebatch.frames import convert, event_time, grouped, select, sliding, static
from livebatch.frames.frame import StreamingDataFrame

__all__ = ["StreamingDataFrame", "convert", "event_time", "grouped", "select", "sliding", "static"]
