"""Live views: what twenty at once cost the kernel, and whether the engine feels them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty
from statistics import median
from time import monotonic
from typing import Any

import psutil
from jupyter_client import BlockingKernelClient, KernelManager

from benchmarks.measure import Measure, percentile

VIEWS = 20
SECONDS = 15.0
SETTLING = 4.0
ACKNOWLEDGE = 0.2

ENGINE = """
import math, random
import livebatch as lb
from livebatch.events import BatchSettled
%load_ext livebatch
%engine start --batch 100ms --workers 2
ticks = ssc.register("ticks", ssc.rate_stream(1000).map(lambda record: (str(id(record) % 7), 1.0)))
delays = []
def note(event):
    if isinstance(event, BatchSettled) and event.batch.name == "ticks":
        delays.append(event.batch.delay)
ssc.connection.listen(note)
ssc.start()
"""
SHOW = "%%stream s{0} --show {1}\nticks.map(lambda pair: (pair[0], pair[1] + {0}))"
STREAM = "_ = ssc.register('s{0}', ticks.map(lambda pair: (pair[0], pair[1] + {0})))"
PID = "__import__('os').getpid()"
KINDS = ("line", "bar", "table", "line")


def run() -> list[Measure]:
    """Measure the same streams without views, with views that nobody looks at, and with a page
    that takes all it is sent."""
    bare = measured(STREAM)
    hidden = measured(SHOW, sees=False)
    shown = measured(SHOW)
    beside = "the same streams without views"
    return [
        Measure("the kernel's share of a core, 20 views", shown.share, "%", 30, bare.share, beside),
        Measure("the same, out of sight", hidden.share, "%", None, bare.share, beside),
        Measure("frames a second, all views together", shown.frames, "/s"),
        Measure("frames a second, out of sight", hidden.frames, "/s", 0),
        Measure("batch time to settled (median)", shown.delay, "ms", None, bare.delay, beside),
        Measure("the same (p90)", shown.p90, "ms", None, bare.p90, beside),
    ]


class Page:
    """A kernel's client that answers views as a page does, with no browser behind it."""

    def __init__(self, client: BlockingKernelClient, sees: bool) -> None:
        self._client, self._sees = client, sees
        self._views: dict[str, str] = {}
        self._taken: dict[str, int] = {}
        self._told = 0.0
        self.frames = 0

    def run(self, code: str) -> None:
        """Run a cell to its end."""
        sent = self._client.execute(code)
        while True:
            message = self._next(60.0)
            assert message is not None, code
            mine = message["parent_header"].get("msg_id") == sent
            assert not (mine and message["msg_type"] == "error"), message["content"]
            if mine and message["content"].get("execution_state") == "idle":
                return

    def look(self, seconds: float) -> None:
        """Take what comes for a while."""
        limit = monotonic() + seconds
        while (left := limit - monotonic()) > 0:
            self._next(left)

    def _next(self, seconds: float) -> Any:
        try:
            message = self._client.get_iopub_msg(timeout=seconds)
        except Empty:
            return None
        content = message["content"]
        if message["msg_type"] == "comm_open" and "compact" in content["data"].get("state", {}):
            self._views[content["comm_id"]] = content["data"]["state"]["key"]
            self._tell(content["comm_id"], self._note(-1) | {"ask": True})
        elif message["msg_type"] == "comm_msg" and content["comm_id"] in self._views:
            self._take(content["comm_id"], content["data"].get("content") or {})
        return message

    def _take(self, view: str, said: dict[str, Any]) -> None:
        if "seq" in said:
            self.frames += said.get("picture") is not None
            self._taken[self._views[view]] = said["seq"]
        if monotonic() - self._told > ACKNOWLEDGE:
            self._told = monotonic()
            self._tell(view, {"all": [[key, self._note(seq)] for key, seq in self._taken.items()]})
            self._taken.clear()

    def _note(self, seq: int) -> dict[str, Any]:
        return {"page": "page", "seq": seq, "sees": self._sees}

    def _tell(self, view: str, said: dict[str, Any]) -> None:
        data = {"method": "custom", "content": said}
        message = self._client.session.msg("comm_msg", {"comm_id": view, "data": data})
        self._client.shell_channel.send(message)


class Result:
    """What one kernel showed.

    Args:
        share: of a core that the kernel took, in per cent.
        frames: pictures a second.
        delays: milliseconds from batch time to settled, of each batch.
    """

    def __init__(self, share: float, frames: float, delays: list[int]) -> None:
        self.share, self.frames = share, frames
        self.delay, self.p90 = median(delays), percentile(delays, 0.9)


def measured(cell: str, *, sees: bool = True) -> Result:
    """Run twenty streams in a kernel of their own, and measure it when they have settled in."""
    with kernel() as client:
        page = Page(client, sees)
        page.run(ENGINE)
        for i in range(VIEWS):
            page.run(cell.format(i, KINDS[i % len(KINDS)]))
        page.look(SETTLING)
        process = psutil.Process(ask(client, PID))
        ask(client, "delays.clear()")
        page.frames, before, begun = 0, process.cpu_times(), monotonic()
        page.look(SECONDS)
        after, taken = process.cpu_times(), monotonic() - begun
        delays, frames = ask(client, "delays"), page.frames / taken
        page.run("%engine stop")
    used = after.user + after.system - before.user - before.system
    return Result(100 * used / taken, frames, delays)


@contextmanager
def kernel() -> Iterator[BlockingKernelClient]:
    """Give a client of a fresh kernel."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel()
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel()


def ask(client: BlockingKernelClient, expression: str) -> Any:
    """Return the value of an expression in the kernel: a number, None, or a list of numbers."""
    sent = client.execute("", silent=True, user_expressions={"answer": expression})
    while (reply := client.get_shell_msg(timeout=60))["parent_header"].get("msg_id") != sent:
        pass
    text = reply["content"]["user_expressions"]["answer"]["data"]["text/plain"]
    return eval(text, {"__builtins__": {}})
