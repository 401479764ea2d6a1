"""Manifests: which files of a batch count.

There is one small file for each batch, and the batch counts as soon as that is whole. It begins
with a checksum, so that a torn one counts as none.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

import msgspec
import pyarrow as pa

from livebatch.interval import Millis
from livebatch.sinks.base import Key
from livebatch.sinks.folder import Folder

PLACE = "_livebatch"
"""Where manifests lie, and what else is not data: readers of folders skip what begins with _."""

_NAME = re.compile(r"(\d+)-([A-Za-z0-9_.-]+)\.batch")


class File(msgspec.Struct, frozen=True, array_like=True):
    """A file of a batch.

    Attributes:
        name: in the folder.
        schema: which of the manifest's schemas it has.
    """

    name: str
    rows: int
    nbytes: int
    schema: int


class Manifest(msgspec.Struct, frozen=True):
    """The files of a batch, in the order of its partitions.

    Attributes:
        schemas: of the files, as Arrow writes them.
    """

    writer: str
    time: Millis
    files: tuple[File, ...]
    schemas: tuple[bytes, ...]

    @property
    def columns(self) -> list[pa.Schema]:
        """The columns of each file."""
        schemas = [pa.ipc.read_schema(pa.py_buffer(schema)) for schema in self.schemas]
        return [schemas[file.schema] for file in self.files]


def hour_of(time: Millis) -> str:
    """Return the folder for the batches of an hour, so that no folder gets too many files.

    >>> hour_of(1_700_000_000_000)
    '2023-11-14/22'
    """
    return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time):%Y-%m-%d/%H}"


def name_of(key: Key) -> str:
    """Return the name of a batch's manifest."""
    return f"{PLACE}/{hour_of(key.time)}/{key.time}-{key.writer}.batch"


def key_of(name: str) -> Key | None:
    """Return whose manifest a file is, by its name; None if it is none."""
    found = _NAME.fullmatch(name.rpartition("/")[2])
    return Key(found[2], int(found[1])) if found else None


def encode(manifest: Manifest) -> bytes:
    """Return the bytes of a manifest."""
    body = msgspec.json.encode(manifest)
    return b"%s\n%s\n" % (_checksum(body), body)


def decode(data: bytes) -> Manifest | None:
    """Return the manifest that some bytes are; None if they are not all of one.

    >>> data = encode(Manifest("w", 0, (File("a.csv", 1, 9, 0),), (b"",)))
    >>> decode(data).files, decode(data[:-2])
    ((File(name='a.csv', rows=1, nbytes=9, schema=0),), None)
    """
    checksum, _, body = data.partition(b"\n")
    if not body.endswith(b"\n") or _checksum(body[:-1]) != checksum:
        return None
    return msgspec.json.decode(body, type=Manifest)


def read(folder: Folder, key: Key) -> Manifest | None:
    """Return the manifest of a batch, if it counts."""
    data = folder.get(name_of(key))
    return None if data is None else decode(data)


def _checksum(body: bytes) -> bytes:
    return blake2b(body, digest_size=16).hexdigest().encode()
