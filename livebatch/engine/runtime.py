"""Where engines can be found, and what dead ones left behind.

An engine is found by its connection file, in a directory that only its user can enter, next to
its sockets. Its blocks lie in a directory of shared memory, which names its owner. What belongs
to a process that is provably dead may be removed by anyone of the same user.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from livebatch.engine.limits import free_space, mounts
from livebatch.engine.process import ProcessIdentity, listens
from livebatch.engine.store import SPILL, Place, remove_directory
from livebatch.errors import DefinitionError, EngineError, NameTaken, NotRunning
from livebatch.interval import Millis

# The address of a unix socket has 107 bytes on Linux and 103 on macOS.
_SOCKET_PATH_LIMIT = 100
_SOCKET_NAME_LIMIT = 35
_NAME = re.compile(r"[A-Za-z0-9_-]{1,24}")
_SHARED_MEMORY = Path("/dev/shm")
_ENOUGH_SHARED_MEMORY = 1 << 30
_OWNER = ".owner"


class ConnectionFile(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach an engine, and which process it is.

    Attributes:
        name: the engine's name, unique among those that run.
        owner: the engine's process.
        router: address of the socket for requests.
        publisher: address of the socket for droppable frames.
        key: the secret that a client must know.
        shared_memory: the directory of the blocks.
        started: when the engine started, in milliseconds since 1970 UTC.
        version: of livebatch.
        supervisor: the process that starts it again when it dies, if there is one.
        checkpoint: the folder of its checkpoints, if it keeps any.
    """

    name: str
    owner: ProcessIdentity
    router: str
    publisher: str
    key: str
    shared_memory: str
    started: Millis
    version: str
    supervisor: ProcessIdentity | None = None
    checkpoint: str = ""

    def __repr__(self) -> str:
        # Shown in notebooks and logs, where the key has no business.
        return f"ConnectionFile(name={self.name!r}, pid={self.owner.pid})"

    def write(self, root: Path | None = None) -> Path:
        """Publish this engine, at once and in one piece; return the path.

        Args:
            root: the runtime directory; the user's own by default.

        Raises:
            NameTaken: another engine of this name is running.
        """
        root = root or runtime_dir()
        path = root / f"{checked_name(self.name)}.json"
        with _locked(root):
            rival = _read(path)
            if rival and not self._succeeds(rival) and is_alive(rival):
                raise NameTaken(f"an engine named {self.name!r} is already running")
            _write_whole(path, msgspec.json.encode(self))
        return path

    def _succeeds(self, other: ConnectionFile) -> bool:
        same = self.supervisor is not None and other.supervisor == self.supervisor
        return same or other.owner == self.owner

    def remove(self, root: Path | None = None) -> None:
        """Withdraw this engine, with its sockets; another engine of its name is left alone."""
        root = root or runtime_dir()
        with _locked(root):
            if (current := _read(root / f"{self.name}.json")) and current.owner == self.owner:
                _remove_traces(self.name, root)


def runtime_dir(environ: Mapping[str, str] = os.environ, temporary: Path | None = None) -> Path:
    """Return the directory of connection files and sockets, made if it is missing.

    Args:
        environ: in which ``XDG_RUNTIME_DIR`` is looked up.
        temporary: where to put it without that; the system's directory of temporary files.

    Raises:
        EngineError: it belongs to another user.
    """
    directory = next(filter(_has_room_for_sockets, _runtime_dirs(environ, temporary)))
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise EngineError(f"{directory} is not a directory of this user's; remove it")
    directory.chmod(0o700)
    return directory


def socket_address(name: str, role: str, root: Path | None = None) -> str:
    """Return the ZeroMQ address of one of an engine's sockets on this machine.

    Args:
        name: the engine's.
        role: what the socket is for, such as ``router``; up to ten letters.
        root: the runtime directory; the user's own by default.

    Raises:
        DefinitionError: the address is longer than a unix socket's may be.

    >>> socket_address("demo", "router", Path("/run/user/1000/livebatch"))
    'ipc:///run/user/1000/livebatch/demo.router'
    """
    path = (root or runtime_dir()) / f"{checked_name(name)}.{role}"
    if len(os.fsencode(path)) >= _SOCKET_PATH_LIMIT:
        raise DefinitionError(f"the path {path} is too long for a socket")
    return f"ipc://{path}"


def shared_memory_dir(
    name: str,
    root: Path = _SHARED_MEMORY,
    temporary: Path | None = None,
    owner: ProcessIdentity | None = None,
) -> Path:
    """Make and return a new directory for an engine's blocks.

    Args:
        name: the engine's.
        owner: the process while which runs it stays; this one by default.
        root: shared memory; used if it is a tmpfs with at least 1 GiB free.
        temporary: used otherwise; the system's directory of temporary files by default.
    """
    where = root if _is_roomy_tmpfs(root) else temporary
    directory = Path(tempfile.mkdtemp(prefix=f"{_prefix()}{checked_name(name)}-", dir=where))
    claim(directory, owner)
    return directory


def make_place(name: str, budget: int, owner: ProcessIdentity | None = None) -> Place:
    """Make the directories of an engine's blocks, in shared memory and on disk."""
    directory = shared_memory_dir(name, owner=owner)
    no_tmpfs = Path(tempfile.gettempdir()) / "no-tmpfs"
    disk = shared_memory_dir(name, root=no_tmpfs, owner=owner)
    (directory / SPILL).symlink_to(disk)
    return Place(str(directory), budget)


def take_over(directory: str, budget: int, owner: ProcessIdentity | None = None) -> Place | None:
    """Return the place of a crashed engine's blocks, whose owner this process is now; None if it
    is not there any more."""
    place = Place(directory, budget)
    try:
        for each in filter(None, (directory, place.disk)):
            claim(Path(each), owner)
    except OSError:
        return None
    return place


def claim(directory: Path, owner: ProcessIdentity | None = None) -> None:
    """Make a process, this one if no other is given, the owner of a directory of blocks, such as a
    crashed engine's.

    Raises:
        EngineError: its owner is still alive.
        FileNotFoundError: it has been removed.
    """
    me = owner or ProcessIdentity.current()
    with _locked(directory):
        before = _owner(directory)
        if before is not None and before != me and before.is_alive():
            raise EngineError(f"{directory} belongs to process {before.pid}, which is running")
        _write_whole(directory / _OWNER, msgspec.json.encode(me))


def owner_of(name: str, root: Path | None = None) -> ProcessIdentity | None:
    """Return the process that is the engine of a name now; another after it was started again."""
    found = _read((root or runtime_dir()) / f"{name}.json")
    return found.owner if found else None


def list_engines(root: Path | None = None) -> list[ConnectionFile]:
    """Return the engines that run, the newest first."""
    return sorted(filter(is_alive, _connections(root or runtime_dir())), key=_newest_first)


def find_engine(name: str | None = None, root: Path | None = None) -> ConnectionFile:
    """Return the engine of this name, or the only one that runs.

    Raises:
        NotRunning: there is none.
        EngineError: several run, and no name says which.
    """
    engines = list_engines(root)
    found = [engine for engine in engines if name in (None, engine.name)]
    running = ", ".join(engine.name for engine in engines) or "none"
    if not found:
        which = "no engine" if name is None else f"no engine named {name!r}"
        raise NotRunning(f"{which} is running (running: {running})")
    if len(found) > 1:
        raise EngineError(f"several engines are running, name one of them: {running}")
    return found[0]


def is_alive(connection: ConnectionFile) -> bool:
    """Return whether an engine runs, or is being started again, for all that can be known here."""
    if connection.supervisor is not None and connection.supervisor.is_alive():
        return True
    alive = connection.owner.is_alive()
    return listens(connection.router) if alive is None else alive


def clean_stale(root: Path | None = None, memory_roots: Iterable[Path] | None = None) -> list[Path]:
    """Remove what engines that are provably dead left behind; return what was removed.

    Args:
        root: the runtime directory; the user's own by default.
        memory_roots: where directories of blocks may lie.
    """
    root = root or runtime_dir()
    if memory_roots is None:
        memory_roots = (_SHARED_MEMORY, Path(tempfile.gettempdir()))
    removed: list[Path] = []
    with _locked(root):
        for connection in _connections(root):
            if not is_alive(connection):
                owner = connection.owner if connection.supervisor is None else connection.supervisor
                removed += _remove_blocks(Path(connection.shared_memory), owner)
                removed += _remove_traces(connection.name, root)
    for directory in _block_dirs(memory_roots):
        before = _owner(directory)
        if before and before.is_alive() is False:
            removed += _remove_blocks(directory, before)
    return removed


def checked_name(name: str) -> str:
    """Return the name of an engine, if it can be one.

    Raises:
        DefinitionError: it cannot.

    >>> checked_name("demo-1")
    'demo-1'
    """
    if not _NAME.fullmatch(name):
        raise DefinitionError(
            f"{name!r} cannot be the name of an engine: up to 24 letters, digits, - and _"
        )
    return name


def _newest_first(connection: ConnectionFile) -> tuple[Millis, str]:
    return -connection.started, connection.name


def _runtime_dirs(environ: Mapping[str, str], temporary: Path | None) -> Iterator[Path]:
    session = Path(environ.get("XDG_RUNTIME_DIR", ""))
    # After su it may be another user's.
    if session.is_absolute() and session.is_dir() and session.stat().st_uid == os.getuid():
        yield session / "livebatch"
    yield (temporary or Path(tempfile.gettempdir())) / f"livebatch-{os.getuid()}"
    yield Path("/tmp") / f"livebatch-{os.getuid()}"


def _has_room_for_sockets(directory: Path) -> bool:
    return len(os.fsencode(directory)) + 1 + _SOCKET_NAME_LIMIT < _SOCKET_PATH_LIMIT


def _is_roomy_tmpfs(directory: Path) -> bool:
    kinds = [mount.kind for mount in mounts() if mount.point == str(directory.resolve())]
    usable = kinds[-1:] == ["tmpfs"] and os.access(directory, os.W_OK | os.X_OK)
    return usable and free_space(directory) >= _ENOUGH_SHARED_MEMORY


def _prefix() -> str:
    return f"livebatch-{os.getuid()}-"


def _block_dirs(roots: Iterable[Path]) -> list[Path]:
    found = (path for root in roots for path in root.glob(f"{_prefix()}*"))
    return [path for path in found if _is_ours(path)]


def _is_ours(path: Path) -> bool:
    with suppress(FileNotFoundError):  # another engine may have removed it meanwhile
        return path.lstat().st_uid == os.getuid()
    return False


def _owner(directory: Path) -> ProcessIdentity | None:
    try:
        return msgspec.json.decode((directory / _OWNER).read_bytes(), type=ProcessIdentity)
    except (OSError, msgspec.DecodeError):
        return None


def _connections(root: Path) -> list[ConnectionFile]:
    return [found for path in sorted(root.glob("*.json")) if (found := _read(path))]


def _read(path: Path) -> ConnectionFile | None:
    # One of another version of livebatch may not be readable; it is not ours to judge.
    try:
        return msgspec.json.decode(path.read_bytes(), type=ConnectionFile)
    except (OSError, msgspec.DecodeError):
        return None


def _remove_blocks(directory: Path, owner: ProcessIdentity) -> list[Path]:
    if _owner(directory) != owner:
        return []
    with suppress(FileNotFoundError), _locked(directory):
        # It may have been claimed since.
        if _owner(directory) == owner:
            remove_directory(directory)
            return [directory]
    return []


def _remove_traces(name: str, root: Path) -> list[Path]:
    connection = root / f"{name}.json"
    others = [path for path in root.glob(f"{name}.*") if path != connection]
    # The connection file goes last, so that an interrupted clean-up is taken up again.
    traces = [*others, connection]
    for path in traces:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return traces


def _write_whole(path: Path, data: bytes) -> None:
    file, draft = tempfile.mkstemp(prefix=".draft-", dir=path.parent)
    try:
        with open(file, "wb") as stream:
            stream.write(data)
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    with open(root / ".lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
