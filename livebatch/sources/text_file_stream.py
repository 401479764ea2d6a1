"""Lines of the text files that are put into a folder."""

from __future__ import annotations

from functools import partial

import msgspec

from livebatch.closures import Builtin, builtin
from livebatch.interval import Millis
from livebatch.sources.files import read_lines
from livebatch.sources.folder import Offsets, check_directory, new_files
from livebatch.sources.lines import check_encoding
from livebatch.sources.parts import Part, lines_in


class Source(msgspec.Struct, frozen=True):
    r"""Return a stream of the lines of each new file in a folder, each a ``str``.

    Each file is read once, as one partition of the first batch that finds it, or in parts by
    several batches while batches fall behind. Files that are in
    the folder when the stream begins are left alone, unless they are modified later; so are
    those whose names begin with "." or "_", those in sub-folders, and those that were last
    modified more than a minute before they are found.

    A file must be complete when it appears, for what is added later is not read: write it
    elsewhere on the same file system, then move it in (``os.replace``, ``mv``), under a name of
    its own. A name that was read may be used again a minute after its last modification.

    Lines are separated by ``\n``; a ``\r`` before it is dropped, and bytes that are not text of
    the encoding become U+FFFD. Files may be compressed, if their names say so (``.gz``,
    ``.bz2``, ``.lz4``, ``.zst``).

    Args:
        directory: the folder, which every worker must be able to read, or a URI of it
            (``s3://``, ``gs://``, ``hdfs://``, ``file://``); it may be made later.
        encoding: of the text, a name that Python knows.

    Raises:
        DefinitionError: the folder is a file, or there is no such encoding.

    Example:
        ::

            lines = ssc.text_file_stream("incoming")
            lines.filter(lambda line: "ERROR" in line).pprint()
    """

    directory: str
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        # The engine and the workers may run elsewhere than where the path was written.
        msgspec.structs.force_setattr(self, "directory", check_directory(self.directory))
        check_encoding(self.encoding)

    def plan(
        self, offsets: Offsets | None, time: Millis, limit: int | None = None
    ) -> tuple[list[Builtin], Offsets]:
        """Return a reader for each new file, oldest first, and what to remember.

        The first call takes note of what is there and reads nothing.

        Args:
            offsets: what the last call returned; None at first.
            time: the batch time, milliseconds since 1970 UTC.
            limit: at most about so many lines; a file can be read in several batches.

        Raises:
            SourceError: the folder cannot be listed.
        """
        size = partial(lines_in, divisible="\n".encode(self.encoding) == b"\n")
        parts, offsets = new_files(self.directory, offsets, time, limit, size)
        return [_reader(part, self.encoding) for part in parts], offsets


def _reader(part: Part, encoding: str) -> Builtin:
    if part.end is None:
        return builtin(read_lines, part.path, encoding)
    return builtin(read_lines, part.path, encoding, part.start, part.end)
