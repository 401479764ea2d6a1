"""Stores of blocks: files in shared memory for many processes, a dictionary for one."""

from __future__ import annotations

import errno
import itertools
import os
import re
import shutil
import sys
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pyarrow as pa

from livebatch.block import INLINE_LIMIT, BlockRef, Encoded
from livebatch.engine.limits import free_space
from livebatch.engine.spill import Spill, write_all
from livebatch.errors import BlockLost, DefinitionError, StoreFull

_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.@-]*")
# No id has a tilde, so what is still being written is never taken for a block.
_DRAFT = "~"
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.ENOMEM}
_CANNOT_RESERVE = {errno.EINVAL, errno.ENODEV, errno.ENOSYS, errno.EOPNOTSUPP}
_drafts = itertools.count()

SPILL = ".spill"
"""A link, beside the blocks in memory, to the directory of those on disk."""


class Place(msgspec.Struct, frozen=True):
    """Where an engine's blocks lie, as its processes are told.

    Attributes:
        directory: of the blocks in shared memory.
        budget: bytes that they may take together.
    """

    directory: str
    budget: int

    def open(self, overflows: bool = False) -> SharedMemoryStore:
        """Return the store that lies there; see it for ``overflows``."""
        return SharedMemoryStore(Path(self.directory), self.budget, overflows)

    @property
    def disk(self) -> str | None:
        """The directory of the blocks on disk, if there is one."""
        found = Path(self.directory, SPILL).resolve()
        return str(found) if found.is_dir() else None

    def remove(self) -> None:
        """Remove all blocks, those on disk too, for every process."""
        directory = Path(self.directory)
        for each in (directory / SPILL).resolve(), directory:
            with suppress(FileNotFoundError):
                remove_directory(each)


class SharedMemoryStore:
    """Blocks as files in one directory, shared by every process that opens a store on it.

    Small blocks travel inside their reference and never become files. The others are written
    rather than mapped, into space that was reserved first, because a write into the mapping of a
    full tmpfs is a SIGBUS. Readers map them, on demand and without a copy.

    Several processes may write at once, so the budget is a safety net and not an account: each
    looks at what is used again when it has written a small part of what was free.

    Args:
        directory: where the files lie; it must exist.
        budget: bytes that all the files together may take.
        overflows: what finds no room there goes to disk, where the engine has made a place for it.

    >>> import tempfile
    >>> from livebatch.block import encode, read_rows
    >>> store = SharedMemoryStore(Path(tempfile.mkdtemp()), budget=1 << 20)
    >>> ref = store.put(encode(["word"] * 20_000), "block-1")
    >>> len(read_rows(ref, store)), store.ids()
    (20000, {'block-1'})
    >>> store.close()
    """

    def __init__(self, directory: Path, budget: int, overflows: bool = False) -> None:
        self.budget = budget
        self._overflows = overflows
        self._directory = directory
        self._spill = Spill(directory / SPILL)
        self._allowance = 0

    def put(self, block: Encoded, id: str) -> BlockRef:
        """Store a block; of several writers of one id, the last wins.

        Raises:
            StoreFull: there is no room; nothing of the block was written.
            DefinitionError: the id cannot be the name of a file.
        """
        path, nbytes = self._path(id), block.nbytes
        if nbytes > INLINE_LIMIT:
            try:
                self._admit(id, nbytes)
                self._write(path, block, nbytes)
            except StoreFull as full:
                if not self._overflows:
                    raise
                self._write_to_disk(id, block, full)
        return _reference(block, id, nbytes)

    def put_on_disk(self, block: Encoded, id: str) -> BlockRef:
        """Store a block where it takes no memory, however small it is.

        Raises:
            StoreFull: there is no room there either.
            DefinitionError: the id cannot be the name of a file.
        """
        full = self._full(self._path(id).name, block.nbytes)
        self._write_to_disk(id, block, full)
        return msgspec.structs.replace(_reference(block, id, block.nbytes), inline=None)

    def get(self, ref: BlockRef) -> memoryview:
        """Return the bytes of a whole block; it stays mapped as long as a view of them lives.

        Raises:
            BlockLost: there is no such block, or another one of this id took its place.
        """
        if ref.inline is not None:
            return memoryview(ref.inline)
        try:
            # Arrow's mapping, unlike mmap's, keeps no file descriptor, so thousands may be open.
            with pa.memory_map(os.fspath(self._path(ref.id))) as file:
                data = memoryview(file.read_buffer()).cast("B")
        except FileNotFoundError:
            data = self._spill.get(ref)
        return _checked(data, ref)

    def delete(self, id: str) -> None:
        """Forget a block, if it is there; views of it stay readable."""
        self._path(id).unlink(missing_ok=True)
        self._spill.delete(id)

    def keep_only(self, ids: Collection[str]) -> None:
        """Forget every block but these, and what was half written: nobody else writes now."""
        for entry in _files(self._directory):
            if entry.name not in ids:
                Path(entry.path).unlink(missing_ok=True)
        self._spill.keep_only(ids)

    def spill(self, ref: BlockRef) -> int:
        """Move a block to disk; return how many bytes of memory that frees.

        Raises:
            OSError: the disk is full.
        """
        path = self._path(ref.id)
        if ref.inline is not None or not path.exists() or not self._spill.is_there:
            return 0
        self._spill.put(ref.id, self.get(ref))
        path.unlink(missing_ok=True)
        return ref.nbytes

    def used(self) -> int:
        """Return how many bytes the files take, those still being written included."""
        return sum(self._sizes())

    def ids(self) -> set[str]:
        """Return the ids of the blocks that are files."""
        return {entry.name for entry in _files(self._directory) if _DRAFT not in entry.name}

    def forget_writer(self, pid: int) -> None:
        """Remove what a process that is now dead had only half written."""
        for entry in _files(self._directory):
            if entry.name.startswith(f"{pid}{_DRAFT}"):
                Path(entry.path).unlink(missing_ok=True)
        self._spill.forget_writer(pid)

    def close(self) -> None:
        """Remove the directory with all its blocks, for every process; only the engine does so."""
        with suppress(FileNotFoundError):
            remove_directory(self._directory)

    def _path(self, id: str) -> Path:
        if not _ID.fullmatch(id):
            raise DefinitionError(f"{id!r} cannot be the id of a block")
        return self._directory / id

    def _sizes(self) -> Iterator[int]:
        for entry in _files(self._directory):
            with suppress(FileNotFoundError):
                yield entry.stat().st_size

    def _admit(self, id: str, nbytes: int) -> None:
        if nbytes > self._allowance:
            room = self.budget - self.used()
            if nbytes > room:
                raise self._full(id, nbytes)
            self._allowance = max(nbytes, room // 32)
        self._allowance -= nbytes

    def _write(self, path: Path, block: Encoded, nbytes: int) -> None:
        draft = self._directory / f"{os.getpid()}{_DRAFT}{next(_drafts)}"
        try:
            file = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            try:
                _reserve(file, nbytes)
                write_all(file, block.chunks)
            finally:
                os.close(file)
            draft.rename(path)
        except BaseException as error:
            draft.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.errno in _NO_ROOM:
                raise self._full(path.name, nbytes) from error
            raise

    def _write_to_disk(self, id: str, block: Encoded, full: StoreFull) -> None:
        if not self._spill.is_there:
            raise full
        try:
            self._spill.write(id, block.chunks)
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise full from error
            raise

    def _full(self, id: str, nbytes: int) -> StoreFull:
        left, free = max(0, self.budget - self.used()), free_space(self._directory)
        if free < left:
            room = f"{_mib(free)} are free on the file system of {self._directory}"
            advice = "free some of it, make it larger (in a container: --shm-size)"
        else:
            room = f"{_mib(left)} are left of the memory budget of {_mib(self.budget)}"
            advice = "give the engine more memory"
        return StoreFull(
            f"block {id} needs {_mib(nbytes)}, but only {room}; {advice}, "
            "or keep less: shorter windows, a shorter retention"
        )


class MemoryStore:
    """Blocks in this process alone: for the inline executor and for tests.

    Args:
        budget: bytes that the blocks which do not travel inside their references may take.

    >>> from livebatch.block import encode, read_rows
    >>> store = MemoryStore()
    >>> read_rows(store.put(encode([1, 2, 3]), "block-1"), store)
    [1, 2, 3]
    """

    def __init__(self, budget: int = sys.maxsize) -> None:
        self.budget = budget
        self._blocks: dict[str, bytes] = {}

    def put(self, block: Encoded, id: str) -> BlockRef:
        """Store a block; storing an id again replaces it.

        Raises:
            StoreFull: there is no room.
        """
        nbytes = block.nbytes
        if nbytes > INLINE_LIMIT:
            left = self.budget - self.used()
            if nbytes > left:
                raise StoreFull(f"block {id} needs {_mib(nbytes)}, but only {_mib(left)} are left")
            self._blocks[id] = b"".join(block.chunks)
        return _reference(block, id, nbytes)

    def get(self, ref: BlockRef) -> memoryview:
        """Return the bytes of a whole block.

        Raises:
            BlockLost: there is no such block, or another one of this id took its place.
        """
        if ref.inline is not None:
            return memoryview(ref.inline)
        if ref.id not in self._blocks:
            raise BlockLost(ref.id)
        return _checked(memoryview(self._blocks[ref.id]), ref)

    def delete(self, id: str) -> None:
        """Forget a block, if it is there; views of it stay readable."""
        self._blocks.pop(id, None)

    def keep_only(self, ids: Collection[str]) -> None:
        """Forget every block but these."""
        self._blocks = {id: data for id, data in self._blocks.items() if id in ids}

    def spill(self, ref: BlockRef) -> int:
        return 0

    def used(self) -> int:
        """Return how many bytes the blocks take."""
        return sum(map(len, self._blocks.values()))

    def ids(self) -> set[str]:
        """Return the ids of the blocks that do not travel inside their references."""
        return set(self._blocks)

    def close(self) -> None:
        """Forget every block."""
        self._blocks.clear()


def remove_directory(directory: Path) -> None:
    """Remove a directory of blocks.

    Raises:
        FileNotFoundError: it is not there.
    """
    # A late writer must fail, not put a file into a directory that is being emptied.
    doomed = directory.with_name(f"{directory.name}{_DRAFT}")
    directory.rename(doomed)
    # The note of who owns it goes last, so that whoever finds the rest may remove it.
    for entry in _files(doomed):
        os.unlink(entry)
    shutil.rmtree(doomed)


def _files(directory: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(directory) as entries:
        yield from (entry for entry in entries if not entry.name.startswith("."))


def _reference(block: Encoded, id: str, nbytes: int) -> BlockRef:
    inline = b"".join(block.chunks) if nbytes <= INLINE_LIMIT else None
    return BlockRef(id, block.rows, nbytes, block.format, inline, block.index, keys=block.keys)


def _checked(data: memoryview, ref: BlockRef) -> memoryview:
    # A rerun of code that is not deterministic may have left other data under the same id; the
    # offsets in this reference would then point anywhere.
    if data.nbytes != ref.nbytes:
        raise BlockLost(ref.id)
    return data


def _reserve(file: int, nbytes: int) -> None:
    try:
        os.posix_fallocate(file, 0, nbytes)
    except AttributeError:
        _require_free_space(file, nbytes)
    except OSError as error:
        if error.errno not in _CANNOT_RESERVE:
            raise
        _require_free_space(file, nbytes)


def _require_free_space(file: int, nbytes: int) -> None:
    if free_space(file) < nbytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _mib(nbytes: int) -> str:
    return f"{nbytes / 2**20:.1f} MiB"
