"""Kinds of view are found by the name of their module: adding one is adding a file."""

from __future__ import annotations

import inspect
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from livebatch.widgets.chart import Chart


def kinds() -> list[str]:
    """Names of all kinds of view.

    Example:
        >>> kinds()
        ['bands', 'bar', 'gantt', 'heatmap', 'histogram', 'line', 'log', 'none', 'number', 'table']
    """
    return sorted(_charts())


def view(kind: str) -> type[Chart]:
    """The class that draws a kind of view.

    Raises:
        ValueError: if there is no such kind.

    Example:
        >>> view("line").__name__
        'LineChart'
    """
    try:
        return _charts()[kind]
    except KeyError:
        raise ValueError(f"no view of kind {kind!r}; there are: {', '.join(kinds())}") from None


@cache
def _charts() -> dict[str, type[Chart]]:
    names = [info.name for info in iter_modules([str(Path(__file__).parent)])]
    modules = {name: import_module(f"{__package__}.{name}") for name in names}
    return {
        name: chart
        for name, module in modules.items()
        for _, chart in inspect.getmembers(module, inspect.isclass)
        if issubclass(chart, Chart)
        and chart.__module__ == module.__name__
        and not inspect.isabstract(chart)
    }
