"""Whether an engine uses a folder: no two may."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from weakref import finalize

from livebatch.errors import EngineError

_NAME = ".engine"


class InUse:
    """The mark of this process on a local folder, which goes when the process does.

    Raises:
        EngineError: another has marked it.
        OSError: the folder cannot be written.

    Example:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> mark = InUse(folder)
        >>> InUse(folder)  # doctest: +IGNORE_EXCEPTION_DETAIL
        Traceback (most recent call last):
        livebatch.errors.EngineError: ... is used by an engine that runs (pid ...): ...
        >>> mark.end()
        >>> InUse(folder).end()
    """

    def __init__(self, folder: str) -> None:
        file = os.open(Path(folder, _NAME), os.O_RDWR | os.O_CREAT, 0o600)
        self.end = finalize(self, os.close, file)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = os.read(file, 20).decode()
            raise EngineError(
                f"the checkpoint in {folder} is used by an engine that runs (pid {pid}): attach to "
                "that, stop it, or give another folder"
            ) from error
        os.ftruncate(file, 0)
        os.write(file, str(os.getpid()).encode())
