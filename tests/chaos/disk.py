"""A small disk of one's own, which can be filled."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MB = 1 << 20
SIZE = 64 * MB


class SmallDisk:
    """A file system in memory at a folder; takes root.

    Attributes:
        is_there: whether it could be mounted; else the folder is one like any other.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
        try:
            self.is_there = not subprocess.run(mount, capture_output=True, check=False).returncode
        except FileNotFoundError:
            self.is_there = False

    @contextmanager
    def full(self) -> Iterator[None]:
        """Within this nothing more can be written."""
        ballast = self._folder / "ballast"
        try:
            with ballast.open("wb", buffering=0) as file:
                try:
                    while file.write(bytes(MB)):
                        pass
                except OSError:
                    pass
            yield
        finally:
            ballast.unlink()

    def close(self) -> None:
        """Remove it with all that it holds."""
        if self.is_there:
            subprocess.run(["umount", "--lazy", str(self._folder)], check=True)
