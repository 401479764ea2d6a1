"""Outputs: what is done with the batches of a stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from livebatch.closures import builtin
from livebatch.errors import DefinitionError
from livebatch.filesystems import absolute
from livebatch.interval import Millis
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
        context.add_output(self, on_rdds(func, 1, "foreach_rdd"))
    else:
        context.subscribe(self, _for_kernel(func))


def _for_kernel(func: Callable[..., None]) -> Callable[..., None]:
    if takes_time(func, 1, "foreach_rdd"):
        return func
    return lambda time, rdd: func(rdd)


@operator
def save_as_text_files(self: Stream, prefix: str, suffix: str | None = None) -> None:
    """Write every batch as text to a folder of its own, ``prefix-TIME_IN_MS[.suffix]``: a line for
    each record, a file for each partition, and last of all ``_SUCCESS``.

    A folder that is there already is replaced: a batch that runs again writes the same again.

    Args:
        prefix: how the folders' paths begin: local, or a URI that pyarrow.fs understands.
        suffix: how they end, after a dot.

    Example:
        ``counts.save_as_text_files("counts/batch", "txt")``
    """
    save = builtin(save_batch, absolute(prefix), suffix)
    context_of(self).add_output(self, save)


def save_batch(prefix: str, suffix: str | None, time: Millis, rdd: RDD[Any]) -> None:
    """Write one batch."""
    rdd.save_as_text_file(f"{prefix}-{time}" + (f".{suffix}" if suffix else ""), may_exist=True)


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
