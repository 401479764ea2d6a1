"""``%%query``: SQL over the recent batches of a notebook's streams."""

from __future__ import annotations

import argparse
from contextlib import suppress
from datetime import datetime, time, timedelta
from functools import cache
from keyword import iskeyword
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, magics_class

from livebatch.errors import DefinitionError, NameTaken
from livebatch.interval import Millis, from_datetime, to_datetime
from livebatch.kernel_ext.engine import NotebookEngine
from livebatch.kernel_ext.options import HelpShown, Options, count, duration
from livebatch.kernel_ext.tracebacks import own_lines_only
from livebatch.session import StreamingContext
from livebatch.sql import Result, query
from livebatch.stream import DStream


@magics_class
class QueryMagics(Magics):
    """The magic that asks.

    Args:
        shell: the notebook's.
        notebook: its engine.
    """

    def __init__(self, shell: InteractiveShell, notebook: NotebookEngine) -> None:
        super().__init__(shell)
        self._shell, self._notebook = shell, notebook

    @cell_magic
    def query(self, line: str, cell: str) -> Result | None:
        """Show the result of an SQL query; ``%%query --help`` says more."""
        __tracebackhide__ = True
        with suppress(HelpShown), own_lines_only(self._shell):
            options = query_options().read(line)
            if options.into is not None:
                check_target(options.into, self._shell.user_ns)
            ssc = self._notebook.running()
            last = None if options.last is None else options.last / 1000
            at = None if options.at is None else before(options.at, ssc.status().now)
            # The magic's own line is line 1, also where an error points at a line.
            result = query(f"\n{cell}", last=last, at=at, batches=options.batches, context=ssc)
            if options.into is not None:
                self._shell.user_ns[options.into] = result.to_pandas()
            return result
        return None


@cache
def query_options() -> Options:
    """Return what may follow ``%%query``."""
    options = Options(
        "%%query",
        "query the streams' batches that are kept; a stream is a table of its name, with its "
        "rows' batch_time",
    )
    part = options.add_mutually_exclusive_group()
    part.add_argument("--last", type=duration, help="only batches of the last, such as 5m (all)")
    part.add_argument("--at", type=moment, help="only the newest batch at a time, such as 12:30:05")
    part.add_argument("--batches", type=count, help="only the newest so many batches")
    options.add_argument("--into", metavar="NAME", help="what the DataFrame is to be called")
    return options


def moment(text: str) -> datetime | time:
    """Return a time of day, or a date and time."""
    for kind in (time, datetime):
        with suppress(ValueError):
            return kind.fromisoformat(text)
    raise argparse.ArgumentTypeError(
        f"{text!r} is no time; write 12:30, 12:30:05 or 2026-11-22T12:30:05"
    )


def before(when: datetime | time, now: Millis) -> datetime:
    """Return when a time of day was last.

    Args:
        when: the time of day, local unless it says otherwise; a date and time stays as it is.
        now: milliseconds since 1970 UTC.
    """
    if isinstance(when, datetime):
        return when
    today = datetime.combine(to_datetime(now), when)
    return today if from_datetime(today) <= now else today - timedelta(days=1)


def check_target(name: str, names: dict[str, Any]) -> None:
    """Check that a notebook can give a name to a DataFrame.

    Args:
        name: the name.
        names: the notebook's namespace.

    Raises:
        DefinitionError: it is no Python name.
        NameTaken: it is that of a stream or of the engine's context.
    """
    if not name.isidentifier() or iskeyword(name):
        raise DefinitionError(f"--into takes a Python name such as result, not {name!r}")
    if isinstance(names.get(name), DStream | StreamingContext):
        kind = "a stream" if isinstance(names[name], DStream) else "the engine's context"
        raise NameTaken(f"{name} is {kind} in this notebook; choose another name for --into")
