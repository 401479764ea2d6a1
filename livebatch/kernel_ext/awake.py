"""Keeps a kernel from overlooking requests."""

from __future__ import annotations

from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from tornado.ioloop import PeriodicCallback

EVERY = 250
"""Milliseconds between two looks."""


def keep_awake(shell: InteractiveShell) -> None:
    """Have the kernel look for requests a few times a second, where it could miss one.

    ipykernel 7.0 to 7.3 replies past the stream that reads its shell socket, and so may miss the
    wake-up of a request that comes at that moment (ipython/ipykernel#1554): a cell would hang until
    another page connects. Live views make such moments likely.
    """
    kernel: Any = getattr(shell, "kernel", None)
    if getattr(kernel, "shell_channel_thread", None) is None:  # not a kernel, or one before 7.0
        return
    stream = kernel.shell_stream
    look = PeriodicCallback(lambda: look.stop() if stream.closed() else stream.flush(), EVERY)
    stream.io_loop.add_callback(look.start)
