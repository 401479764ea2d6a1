"""Outputs: what is done with the batches of a stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from livebatch.errors import DefinitionError
from livebatch.operators.transform import on_rdds, takes_time
from livebatch.rdd import RDD
from livebatch.stream import DStream, context_of, operator

Stream = DStream[Any]


@operator
def foreach_rdd(self: Stream, func: Callable[..., None], on: str = "engine") -> None:
    """Call a function with the RDD of every batch, empty ones included.

    Args:
        func: takes (rdd) or (time, rdd), by its number of arguments.
        on: ``"engine"``: in the driver process, as part of the batch, at least once; a batch
            whose call raises has failed. ``"kernel"``: in this process, with each settled batch
            in order, so that the function can touch this notebook's variables; it holds no
            batch up.

    Example:
        ``counts.foreach_rdd(lambda time, rdd: print(time, rdd.count()))``
    """
    if on not in ("engine", "kernel"):
        raise DefinitionError(f'on is "engine" or "kernel", not {on!r}')
    context = context_of(self)
    if on == "engine":
        function, refreshed = on_rdds(func, 1, "foreach_rdd")
        if refreshed:
            raise DefinitionError("a refreshed dataset is for transform: join with it there first")
        context.add_output(self, function)
    else:
        context.subscribe(self, _for_kernel(func))


def _for_kernel(func: Callable[..., None]) -> Callable[..., None]:
    if takes_time(func, 1, "foreach_rdd"):
        return func
    return lambda time, rdd: func(rdd)


@operator
def pprint(self: Stream, num: int = 10) -> None:
    """Print the first ``num`` records of every batch, in this process.

    Example:
        ``counts.pprint()``
    """

    def show(time: Any, rdd: RDD[Any]) -> None:
        rows = rdd.take(num + 1)
        rule = "-" * 43
        more = ["..."] if len(rows) > num else []
        lines = [rule, f"Time: {time:%Y-%m-%d %H:%M:%S}", rule, *map(str, rows[:num]), *more, ""]
        context.write("\n".join(lines))

    context = context_of(self)
    context.subscribe(self, show)
