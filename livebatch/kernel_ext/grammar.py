"""What may follow ``%engine``, ``%stream`` and ``%%stream``."""

from __future__ import annotations

from functools import cache
from typing import get_args

from livebatch.interval import Millis
from livebatch.kernel_ext.options import Options, count, duration
from livebatch.sources.receiving import Overflow
from livebatch.widgets import kinds

SUGGESTED = {
    "--batch": ("200ms", "500ms", "1s", "5s"),
    "--linger": ("10m", "1h", "12h"),
    "--window": ("30s", "60s", "5m"),
    "--slide": ("1s", "5s", "10s"),
    "--retain": ("10m", "1h"),
}
"""Values worth offering where any would do."""

ON_ONE_STREAM = {
    "explain": "draw how a stream is computed, and what its newest batch cost",
    "stop": "stop a stream",
    "pause": "have a stream compute no batches, for everyone, until it is resumed",
    "resume": "have a paused stream go on with the next batch",
}
"""What ``%stream`` can do to a stream."""


SHOWN: Millis = 60_000
"""So much of the past a view shows if nobody has said."""


@cache
def engine_options() -> Options:
    """Return what may follow ``%engine``."""
    options = Options("%engine", "start, look at or stop the engine that runs the streams")
    actions = options.add_subparsers(dest="action", metavar="ACTION")
    options.set_defaults(action="status")
    actions.add_parser("status", help="show its workers, streams and memory (what it does alone)")
    actions.add_parser("stop", help="stop it and its streams")
    actions.add_parser("monitor", help="watch how it keeps up, as it happens")
    actions.add_parser("list", help="list the engines that run on this machine")
    resize = actions.add_parser("resize", help="change the number of workers while it runs")
    resize.add_argument("workers", metavar="WORKERS", type=count, help="how many")
    attach = actions.add_parser("attach", help="take up one that runs, with its streams")
    attach.add_argument("name", metavar="NAME", nargs="?", help="which (the only one)")
    start = actions.add_parser("start", help="start one and call its context ssc")
    start.add_argument("--batch", type=duration, help="the batch interval, such as 500ms (1s)")
    start.add_argument("--workers", type=count, help="worker processes (one for each CPU)")
    alone = start.add_mutually_exclusive_group()
    alone.add_argument(
        "--linger", type=duration, help="how long it goes on when all notebooks are gone (10m)"
    )
    alone.add_argument("--detach", action="store_true", help="have it go on until it is stopped")
    start.add_argument(
        "--checkpoint", metavar="FOLDER", help="go on from there, and keep checkpoints there"
    )
    start.add_argument(
        "--missed",
        choices=("run", "skip"),
        default="run",
        help="batches whose time passed while the engine was down (run)",
    )
    start.add_argument(
        "--no-backpressure",
        action="store_true",
        help="read files, rates and recordings at full speed although batches fall behind",
    )
    start.add_argument(
        "--on-overflow",
        choices=get_args(Overflow),
        default="block",
        help="what happens to sources that push when their buffer is full (block)",
    )
    start.add_argument(
        "--on-error",
        choices=("skip", "raise"),
        default="skip",
        help="records that a function raises on: skip and count them, or raise, so that their "
        "batch fails (skip)",
    )
    return options


@cache
def stream_options() -> Options:
    """Return what may follow ``%stream``."""
    options = Options(
        "%stream",
        "list the streams; explain, stop, pause or resume one",
        epilog="A stream is defined by a cell that begins with %%stream NAME and ends with the "
        "stream; %%stream --help says more.",
    )
    actions = options.add_subparsers(dest="action", metavar="ACTION")
    options.set_defaults(action="list")
    actions.add_parser("list", help="list the streams (what it does alone)")
    for action, help in ON_ONE_STREAM.items():
        options_of = actions.add_parser(action, help=help)
        options_of.add_argument("name", metavar="NAME", help="its name")
    return options


@cache
def cell_options() -> Options:
    """Return what may follow ``%%stream``."""
    options = Options("%%stream", "run this cell; what it ends with becomes a stream with a view")
    options.add_argument("name", metavar="NAME", help="what the stream is called, here too")
    options.add_argument(
        "--show", choices=("auto", *kinds()), default="auto", help="how it is shown (auto)"
    )
    options.add_argument(
        "--window",
        type=duration,
        help="how much of the past the view shows (60s); of SQL: what the query is over (a batch)",
    )
    options.add_argument(
        "--sql", action="store_true", help="the cell is a SELECT over one stream, and tables"
    )
    options.add_argument(
        "--slide", type=duration, help="of SQL with a window: how often (every batch)"
    )
    options.add_argument(
        "--retain", type=duration, default="10m", help="how long batches can be queried (10m)"
    )
    return options
