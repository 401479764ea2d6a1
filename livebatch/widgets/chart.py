"""What a kind of view must be able to do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Literal, TypeAlias

import pyarrow as pa

# What the browser's painter is told: JSON, and binary columns.
Picture: TypeAlias = tuple[dict[str, Any], list[bytes]]

# The position of the column that rows are sorted by, and which way.
Order: TypeAlias = tuple[int, Literal["ascending", "descending"]]


class Chart(ABC):
    """One kind of picture of a stream: batches in, frames out.

    A kind is a module of this package that defines one ``Chart``, with a painter of the same name
    in ``static/<kind>.js``. A chart belongs to one thread and knows neither widget nor browser.

    Args:
        name: the stream's name.
        window: how many seconds of the past are kept; may be changed at any time.
    """

    bokeh: ClassVar[bool] = True
    """Whether the painter draws with BokehJS."""

    past: ClassVar[bool] = True
    """Whether the picture shows the past too, not only the newest batch."""

    windowed: ClassVar[bool] = True
    """Whether that past is a window of time."""

    def __init__(self, name: str, window: float) -> None:
        self.name = name
        self.window = window

    @abstractmethod
    def add(self, time: datetime, table: pa.Table) -> None:
        """Take the batch of ``time`` in.

        Raises:
            ValueError: if this kind cannot draw such a table.
        """

    def sort(self, order: Order | None) -> bool:
        """Show rows in this order from now on (``None``: as they are), if the picture has rows, and
        return whether it has."""
        return False

    @abstractmethod
    def frame(self, *, key: bool) -> Picture:
        """What changed since the last frame, or everything if ``key``."""

    def item(self) -> Mapping[str, object] | None:
        """The empty figure, as ``bokeh.embed.json_item`` gives it."""
        return None

    def still(self) -> str:
        """The picture as HTML that needs no script; empty where a table of the newest rows does."""
        return ""

    def rows(self) -> pa.Table:
        """What the picture shows now, as data; times are in UTC."""
        return pa.table({})
