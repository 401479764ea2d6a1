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

    An engine that goes on after it has died may call the function again with a batch: what it
    writes should have the batch time as its key, so that the second time replaces the first.
    ``to_parquet``, ``to_sql`` and their like see to that by themselves.

    Example:
        >>> from livebatch.testing import ManualContext
        >>> with ManualContext() as ssc:
        ...     ssc.queue_stream([[1, 2], [3]]).foreach_rdd(lambda rdd: print(rdd.collect()))
        ...     ssc.start()
        ...     ssc.advance("2s")
        [1, 2]
        [3]
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
def save_as_text_files(self: Stream, prefix: str, suffix: str | None = None) -> None:
    """Write every batch as text to a folder of its own, ``prefix-TIME_IN_MS[.suffix]``: a line for
    each record, a file for each partition, and last of all ``_SUCCESS``.

    A folder that is there already is replaced: a batch that runs again writes the same again.

    Args:
        prefix: how the folders' paths begin: local, or a URI that pyarrow.fs understands.
        suffix: how they end, after a dot.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from livebatch.testing import ManualContext
        >>> with TemporaryDirectory() as folder, ManualContext() as ssc:
        ...     ssc.queue_stream([["a"], ["b"]]).save_as_text_files(f"{folder}/batch", "txt")
        ...     ssc.start()
        ...     ssc.advance("2s")
        ...     sorted(path.name for path in Path(folder).iterdir())
        ['batch-1700000001000.txt', 'batch-1700000002000.txt']
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
        >>> from livebatch.testing import ManualContext
        >>> with ManualContext() as ssc:
        ...     ssc.queue_stream([["a", "b", "c"]]).pprint(2)
        ...     ssc.start()
        ...     ssc.advance("1s")
        -------------------------------------------
        Time: ...
        -------------------------------------------
        a
        b
        ...
    """

    def show(time: Any, rdd: RDD[Any]) -> None:
        rows = rdd.take(num + 1)
        rule = "-" * 43
        more = ["..."] if len(rows) > num else []
        lines = [rule, f"Time: {time:%Y-%m-%d %H:%M:%S}", rule, *map(str, rows[:num]), *more, ""]
        context.write("\n".join(lines))

    context = context_of(self)
    context.subscribe(self, show)
