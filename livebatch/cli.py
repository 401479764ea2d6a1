"""The command line: ``livebatch engine …``, ``livebatch lab``, ``livebatch doctor``."""

from __future__ import annotations

import importlib.metadata as metadata
import math
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import click

from livebatch._version import __version__
from livebatch.engine.limits import cpu_count, free_space, memory_limit
from livebatch.engine.runtime import find_engine, list_engines, runtime_dir
from livebatch.errors import LivebatchError
from livebatch.interval import format_millis, to_datetime
from livebatch.session import StreamingContext

MIB, GIB = 1 << 20, 1 << 30
BROWSERS = ("chromium", "google-chrome", "chromium-browser", "firefox")
MISBEHAVING = {"ipykernel": ("7.4.0", "delays clicks on a view to the end of a busy cell")}


class _Main(click.Group):
    """Shows livebatch's own errors as one line."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except LivebatchError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Main)
@click.version_option(__version__)
def main() -> None:
    """Live data in notebooks."""


@main.group()
def engine() -> None:
    """Engines that run on this machine."""


@engine.command()
@click.option("--name", help="By which others find it.")
@click.option("--batch", default="1s", show_default=True, help="The batch interval.")
@click.option("--workers", type=click.IntRange(1), help="One for each CPU, if not told.")
@click.option("--on-error", type=click.Choice(["skip", "raise"]), default="skip")
@click.option("--linger", default="10m", show_default=True, help="How long it runs unused.")
@click.option("--detach", is_flag=True, help="Let it run for ever.")
@click.option("--checkpoint", metavar="FOLDER", help="Go on from there; keep checkpoints there.")
@click.option("--missed", type=click.Choice(["run", "skip"]), default="run", show_default=True,
              help="Batches whose time passed while it was down.")  # fmt: skip
@click.option("--backpressure/--no-backpressure", default=True, show_default=True,
              help="Slow down files, rates and recordings while batches fall behind.")  # fmt: skip
def start(
    name: str | None,
    batch: str,
    workers: int | None,
    on_error: str,
    linger: str,
    detach: bool,
    checkpoint: str | None,
    missed: str,
    backpressure: bool,
) -> None:
    """Start an engine, for notebooks and scripts to attach to. It is started again if it dies."""
    ssc = StreamingContext(
        batch,
        workers=workers,
        on_error=on_error,
        name=name,
        linger=math.inf if detach else linger,
        checkpoint=checkpoint,
        missed=missed,
        backpressure=backpressure,
        supervised=True,
    )
    called = ssc.status().name
    ssc.start()
    ssc.detach()
    click.echo(f"engine {called} runs; in a notebook: %engine attach {called}")


@engine.command("list")
def list_() -> None:
    """Show the engines that run."""
    found = list_engines()
    for item in found:
        started = to_datetime(item.started)
        click.echo(f"{item.name}  pid {item.owner.pid}  since {started:%Y-%m-%d %H:%M:%S}")
    if not found:
        click.echo("no engine is running")


@engine.command()
@click.argument("name", required=False)
def status(name: str | None) -> None:
    """Show how an engine and its streams are doing."""
    ssc = StreamingContext.attach(name)
    found = ssc.status()
    ssc.detach()
    click.echo(
        f"{found.name}: a batch every {format_millis(found.batch)}, {len(found.workers)} workers, "
        f"{found.stored / MIB:.1f} MiB of blocks in memory"
    )
    for stream in found.streams:
        state = stream.error or stream.input.state
        click.echo(
            f"  {stream.name}: {stream.batches} batches, {stream.retained} kept, "
            f"{stream.rows} rows in the newest, {stream.delay} ms late  {state}".rstrip()
        )


@engine.command()
@click.argument("name", required=False)
@click.option("--graceful", is_flag=True, help="First finish what has been received.")
def stop(name: str | None, graceful: bool) -> None:
    """Stop an engine."""
    ssc = StreamingContext.attach(name)
    called = ssc.status().name
    ssc.stop(stop_gracefully=graceful)
    click.echo(f"engine {called} stopped")


@engine.command()
@click.argument("name", required=False)
def logs(name: str | None) -> None:
    """Show what an engine and its processes have written."""
    found = find_engine(name)
    path = runtime_dir() / f"{found.name}.log"
    click.echo(path.read_text(errors="replace") if path.exists() else "", nl=False)


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def lab(arguments: tuple[str, ...]) -> None:
    """Open JupyterLab with livebatch; arguments are passed on to it."""
    root = ("--allow-root",) if hasattr(os, "getuid") and os.getuid() == 0 else ()
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", *root, *arguments])


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("notebook", type=click.Path(exists=True, dir_okay=False))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def dashboard(notebook: str, arguments: tuple[str, ...]) -> None:
    """Serve a notebook's views as an app, without its code; arguments are passed on to Voila.

    Everyone who opens the app has a kernel of their own. For all to watch the same streams, have
    the notebook attach to an engine (%engine attach NAME) instead of starting one.
    """
    if find_spec("voila") is None:
        raise click.ClickException("this takes Voila: pip install 'livebatch[dashboard]'")
    os.execv(sys.executable, [sys.executable, "-m", "voila", notebook, *arguments])


class Finding(NamedTuple):
    """One thing that was looked at."""

    good: bool
    text: str


@main.command()
def doctor() -> None:
    """Look for what is known to go wrong; the exit status is 1 if something is."""
    found = list(findings())
    for finding in found:
        click.echo(f"{'ok ' if finding.good else 'BAD'}  {finding.text}")
    sys.exit(0 if all(finding.good for finding in found) else 1)


def findings() -> Iterator[Finding]:
    """Yield what `doctor` looks at."""
    python = platform.python_version()
    yield Finding(sys.version_info >= (3, 11), f"Python {python} on {platform.platform()}")
    for package in ("jupyterlab", "ipykernel", "ipywidgets", "bokeh", "duckdb", "pyarrow"):
        yield _version(package)
    yield Finding(True, f"{cpu_count()} CPUs and {memory_limit() / GIB:.1f} GiB of memory to use")
    shared = Path("/dev/shm")
    room = free_space(shared) if shared.is_dir() else 0
    if room >= GIB:
        yield Finding(True, f"{room / GIB:.1f} GiB free in shared memory")
    else:
        text = f"{room / MIB:.0f} MiB free in shared memory: blocks will lie in TMPDIR"
        yield Finding(False, f"{text} (in a container: --shm-size=2g)")
    yield Finding(True, f"connection files in {runtime_dir()}")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    yield Finding(browser is not None, f"browser: {browser or 'none found; JupyterLab needs one'}")


def _version(package: str) -> Finding:
    try:
        version = metadata.version(package)
    except metadata.PackageNotFoundError:
        return Finding(False, f"{package} is not installed")
    wrong, why = MISBEHAVING.get(package, ("", ""))
    if version == wrong:
        return Finding(False, f"{package} {version} {why}: install another version")
    return Finding(True, f"{package} {version}")
