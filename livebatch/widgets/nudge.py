"""Wakes a kernel that has been asked something and has not noticed."""

from __future__ import annotations

from typing import Any

from IPython import get_ipython


def nudge() -> None:
    """Have the kernel look for requests; may be called from any thread, in no kernel too.

    ipykernel 7.0 to 7.3 replies past the stream that reads its shell socket, and so may miss the
    wake-up of a request that comes at that moment (ipython/ipykernel#1554): a cell would hang until
    the browser next says anything. Live views make such moments likely.
    """
    kernel: Any = getattr(get_ipython(), "kernel", None)
    if kernel is None or getattr(kernel, "shell_channel_thread", None) is None:
        return
    stream = kernel.shell_stream
    stream.io_loop.add_callback(lambda: stream.closed() or stream.flush())
