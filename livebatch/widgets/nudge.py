"""Wakes a kernel that has been asked something and has not noticed."""

from __future__ import annotations

from typing import Any

from IPython import get_ipython

SECONDS = 0.05

_under_way = False


def nudge() -> None:
    """Have the kernel look for requests, soon; may be called from any thread, in no kernel too.

    ipykernel 7.0 to 7.3 replies past the stream that reads its shell socket, and so may miss the
    wake-up of a request that comes at that moment (ipython/ipykernel#1554): a cell would hang until
    the browser next says anything. Live views make such moments likely.
    """
    global _under_way
    kernel: Any = getattr(get_ipython(), "kernel", None)
    if _under_way or getattr(kernel, "shell_channel_thread", None) is None:
        return
    stream, _under_way = kernel.shell_stream, True
    stream.io_loop.add_callback(stream.io_loop.call_later, SECONDS, _look, stream)


def _look(stream: Any) -> None:
    global _under_way
    _under_way = False
    if not stream.closed():
        stream.flush()
