"""Rows written as text: a folder for each RDD, a file for each partition, a line for each row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from secrets import token_hex
from typing import Any

from livebatch.errors import SinkError
from livebatch.filesystems import locate, reason, within

DONE = "_SUCCESS"
"""The name of the empty file that is written last."""


@contextmanager
def folder_of_lines(folder: str, may_exist: bool) -> Iterator[None]:
    """Make a folder, or empty one that is there; write `DONE` into it at the end.

    Raises:
        SinkError: it cannot be made, or is there and may not be.
    """
    filesystem, place = locate(folder)
    try:
        if not may_exist and filesystem.get_file_info(place).type.name != "NotFound":
            raise SinkError(f"{folder} is there already: name a folder that is not")
        filesystem.create_dir(place)
        filesystem.delete_dir_contents(place)
    except OSError as error:
        raise SinkError(f"cannot write to the folder {folder} ({reason(error)})") from error
    yield
    filesystem.open_output_stream(locate(within(folder, DONE))[1]).close()


def write_lines(folder: str, split: int, rows: Iterable[Any]) -> Iterator[str]:
    r"""Write the rows of a partition as lines, all or none of them; yield the file's path.

    >>> from tempfile import TemporaryDirectory
    >>> from pathlib import Path
    >>> with TemporaryDirectory() as folder:
    ...     (path,) = write_lines(folder, 0, ["a", 1])
    ...     Path(path).read_text()
    'a\n1\n'
    """
    path, hidden = within(folder, f"part-{split:05}"), within(folder, f".part-{token_hex(4)}")
    filesystem, place = locate(hidden)
    with filesystem.open_output_stream(place) as file:
        for row in rows:
            file.write(f"{row}\n".encode())
    filesystem.move(place, locate(path)[1])
    yield path
