"""The newest amounts in large figures, each over the line that led to it."""

from __future__ import annotations

from typing import ClassVar

from livebatch.widgets.line import LineChart


class NumberChart(LineChart):
    """A tile for each column of numbers, or for each of the largest keys, up to six."""

    bokeh = False
    most: ClassVar[int] = 6
    article: ClassVar[str] = "a number"

    def item(self) -> None:
        return None
