"""Records of a fixed length, of the files that are put into a folder."""

from __future__ import annotations

from functools import partial

import msgspec

from livebatch.closures import Builtin, builtin
from livebatch.interval import Millis
from livebatch.sources.files import check_length, read_records
from livebatch.sources.folder import Offsets, check_directory, new_files
from livebatch.sources.parts import Part, records_in


class Source(msgspec.Struct, frozen=True):
    """Return a stream of the records of each new file in a folder, each ``bytes`` of one length.

    Which files are read, and when, is as for ``text_file_stream``. A file whose length is no
    multiple of that of a record fails its batch.

    Args:
        directory: the folder, which every worker must be able to read, or a URI of it
            (``s3://``, ``gs://``, ``hdfs://``, ``file://``); it may be made later.
        record_length: how many bytes a record has.

    Raises:
        DefinitionError: the folder is a file, or the length is not a whole number of at least 1.

    Example:
        ::

            samples = ssc.binary_records_stream("incoming", 4)
            samples.map(lambda record: struct.unpack("<f", record)[0]).reduce(max).pprint()
    """

    directory: str
    record_length: int

    def __post_init__(self) -> None:
        # The engine and the workers may run elsewhere than where the path was written.
        msgspec.structs.force_setattr(self, "directory", check_directory(self.directory))
        check_length(self.record_length)

    def plan(
        self, offsets: Offsets | None, time: Millis, limit: int | None = None
    ) -> tuple[list[Builtin], Offsets]:
        """Return a reader for each new file, oldest first, and what to remember.

        The first call takes note of what is there and reads nothing.

        Args:
            offsets: what the last call returned; None at first.
            time: the batch time, milliseconds since 1970 UTC.
            limit: at most so many records; a file can be read in several batches.

        Raises:
            SourceError: the folder cannot be listed.
        """
        size = partial(records_in, length=self.record_length)
        parts, offsets = new_files(self.directory, offsets, time, limit, size)
        return [_reader(part, self.record_length) for part in parts], offsets


def _reader(part: Part, length: int) -> Builtin:
    if part.end is None:
        return builtin(read_records, part.path, length)
    return builtin(read_records, part.path, length, part.start, part.end)
