"""Functions on their way to the workers.

A user's function becomes `Code`: a cloudpickle, taken when the stream is defined and known by
the hash of its bytes, so that it is sent once to each process and never unpickled in the engine.
livebatch's own functions become `Builtin`: a name and arguments, which may be functions again;
so the engine can build new functions out of ones it never opens.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import logging
import pickle
import site
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from importlib import import_module
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, NoReturn, TypeAlias

import cloudpickle
import msgspec

from livebatch.errors import ClosureError
from livebatch.lambdas import called

LARGE = 1_000_000
"""Captured objects whose pickle has more bytes than this are warned about."""

_PLAIN = (str, int, float, bytes, type(None))
_log = logging.getLogger(__name__)


class Code(msgspec.Struct, frozen=True, tag="code"):
    """A user's function, by the hash of its cloudpickle; its bytes are in `codes`."""

    digest: str
    name: str


class Builtin(msgspec.Struct, frozen=True, tag="builtin"):
    """A function of livebatch's with its first arguments, some of which may be functions."""

    target: str
    args: tuple[Any, ...] = ()

    @property
    def name(self) -> str:
        return self.target.rpartition(":")[2]


Function: TypeAlias = Code | Builtin


class CodeTable:
    """The code this process knows, by digest. Immutable content, so one table a process."""

    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}
        self._loaded: dict[str, Any] = {}

    def add(self, blob: bytes) -> str:
        digest = hashlib.blake2b(blob, digest_size=16).hexdigest()
        self._blobs.setdefault(digest, blob)
        return digest

    def blob(self, digest: str) -> bytes:
        return self._blobs[digest]

    def __contains__(self, digest: str) -> bool:
        return digest in self._blobs

    def __len__(self) -> int:
        return len(self._blobs)

    def load(self, digest: str) -> Any:
        """Return the object itself; only processes that run user code may call this."""
        if digest not in self._loaded:
            self._loaded[digest] = pickle.loads(self._blobs[digest])
        return self._loaded[digest]

    def keep_only(self, digests: set[str]) -> None:
        """Free all code but these."""
        for table in (self._blobs, self._loaded):
            for digest in [digest for digest in table if digest not in digests]:
                del table[digest]


codes = CodeTable()


def ship(function: Callable[..., Any] | Function) -> Function:
    """Return a function in the form in which it travels; what travels already is left alone.

    Raises:
        ClosureError: it is not callable, or something it captures cannot be pickled; the message
            names what.
    """
    if isinstance(function, (Code, Builtin)):
        return function
    if not callable(function):
        raise ClosureError(f"a function is needed here, not {function!r}")
    name = getattr(function, "__qualname__", type(function).__name__)
    return Code(codes.add(_dumped(function, name)), called(function))


def ship_value(value: Any, name: str) -> Code:
    """Return any picklable value in the form in which functions travel; `load` gives it back."""
    return Code(codes.add(_dumped(value, name)), name)


def ship_pickle(value: Any, name: str) -> Code:
    """Return the pickle of a value in the form in which functions travel, for what must be new
    at each use: functions may change it.

    Raises:
        ClosureError: it cannot be pickled.
    """
    return Code(codes.add(pickle.dumps(_dumped(value, name), protocol=5)), name)


def pickled(value: Any, name: str) -> bytes:
    """Return the pickle of a value of the user's, which may be of the user's own classes.

    Raises:
        ClosureError: it cannot be pickled.
    """
    _pickle_user_modules_by_value()
    try:
        return bytes(cloudpickle.dumps(value, protocol=5))
    except Exception as error:
        _explain(value, name, error)


_capturing: ContextVar[list[Any] | None] = ContextVar("capturing", default=None)


def ship_to_driver(function: Callable[..., Any] | Function) -> tuple[Function, list[Any]]:
    """Return a function that is to run in the driver process in the form in which it travels, and
    what it has captured that is not data but stands for something there, such as RDDs. If there is
    any, what `load` gives is the function's pickle, to be loaded when these are at hand.

    Raises:
        ClosureError: it cannot be sent.
    """
    if isinstance(function, (Code, Builtin)) or not callable(function):
        return ship(function), []
    found: list[Any] = []
    token = _capturing.set(found)
    try:
        shipped = ship(function)
    finally:
        _capturing.reset(token)
    if not found:
        return shipped, []
    assert isinstance(shipped, Code)
    blob = pickle.dumps(codes.blob(shipped.digest), protocol=5)
    return Code(codes.add(blob), shipped.name), found


def goes_to_driver() -> bool:
    """Return whether what is being pickled now is on its way to the driver process."""
    return _capturing.get() is not None


def capture(thing: Any) -> int | None:
    """Take note that a function on its way to the driver captures something that stays here;
    return the number by which it is known there, or None if the function goes elsewhere."""
    found = _capturing.get()
    if found is None:
        return None
    found.append(thing)
    return len(found) - 1


def _dumped(value: Any, name: str) -> bytes:
    blob = pickled(value, name)
    if len(blob) > LARGE:
        _warn_of_large(value, name, len(blob))
    return blob


def builtin(function: Callable[..., Any], *args: Any) -> Builtin:
    """Return a livebatch function bound to its first arguments, in the form that travels.

    Arguments are functions that travel, or plain values (numbers, strings, None, lists of such).
    """
    return Builtin(f"{function.__module__}:{function.__qualname__}", args)


def load(function: Function) -> Callable[..., Any]:
    """Return the callable; only processes that run user code may call this."""
    if isinstance(function, Code):
        return codes.load(function.digest)  # type: ignore[no-any-return]
    module, _, name = function.target.partition(":")
    if not module.startswith("livebatch."):
        raise ClosureError(f"{function.target} is not a function of livebatch's")
    target = getattr(import_module(module), name)
    args = [load(a) if isinstance(a, (Code, Builtin)) else a for a in revive(function.args)]
    return functools.partial(target, *args) if args else target


def digests(value: Any) -> Iterator[str]:
    """Yield the digest of every `Code` within a structure.

    Records whose class says ``carries_code = False`` are not looked into: this runs once for
    every message.
    """
    if isinstance(value, _PLAIN):
        return
    if isinstance(value, Code):
        yield value.digest
    elif isinstance(value, msgspec.Struct):
        if getattr(value, "carries_code", True):
            for field in value.__struct_fields__:
                yield from digests(getattr(value, field))
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from digests(item)
    elif isinstance(value, dict):
        if value.get("type") == "code":
            yield value["digest"]
        for item in value.values():
            yield from digests(item)


def _captured(value: Any) -> dict[str, Any]:
    """Return what a function captures, by the name that its author gave it."""
    if isinstance(value, functools.partial):
        return {"an argument of partial": value.args, **value.keywords, **_captured(value.func)}
    if inspect.ismethod(value):
        return {"self": value.__self__}
    if not isinstance(value, FunctionType):
        return dict(getattr(value, "__dict__", {}))
    variables = inspect.getclosurevars(value)
    found = {**variables.globals, **variables.nonlocals}
    for name, default in inspect.signature(value).parameters.items():
        if default.default is not inspect.Parameter.empty:
            found[name] = default.default
    return {k: v for k, v in found.items() if not isinstance(v, ModuleType)}


def _size(value: Any) -> int | None:
    try:
        return len(cloudpickle.dumps(value, protocol=5))
    except Exception:
        return None


def _explain(value: Any, name: str, error: Exception) -> NoReturn:
    """Raise a `ClosureError` that names the captured variables that cannot be pickled."""
    culprits = [
        f"{key!r} ({type(item).__module__}.{type(item).__qualname__})"
        for key, item in _captured(value).items()
        if _size(item) is None
    ]
    if isinstance(error, ClosureError):
        uses = f"{name} uses {', '.join(culprits)}: " if culprits else ""
        raise ClosureError(f"{uses}{error}") from None
    what = f"it uses {', '.join(culprits)}, which" if culprits else "something in it"
    raise ClosureError(
        f"{name} cannot be sent to the workers: {what} cannot be pickled ({error}). "
        "Make such an object inside the function (for example in map_partitions, once per "
        "partition), or capture only the plain values it needs"
    ) from error


def _warn_of_large(value: Any, name: str, nbytes: int) -> None:
    large = [key for key, item in _captured(value).items() if (_size(item) or 0) > LARGE]
    _log.warning(
        "%s captures %s: %.1f MB travel to every worker with it",
        name,
        " and ".join(map(repr, large)) or "large data",
        nbytes / 1e6,
    )


@functools.cache
def _installed_paths() -> tuple[str, ...]:
    named = sysconfig.get_paths()
    paths = [named[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")]
    paths += [*site.getsitepackages(), site.getusersitepackages(), str(Path(__file__).parent)]
    return tuple({str(Path(path).resolve()) for path in paths})


_seen_modules: set[str] = set()


def _pickle_user_modules_by_value() -> None:
    """Have cloudpickle send modules that are not installed (``helpers.py``) with the functions.

    So workers need not find them, and editing one, reloading it and running the cell again
    takes effect.
    """
    for name, module in sys.modules.copy().items():
        if name in _seen_modules:
            continue
        _seen_modules.add(name)
        file = getattr(module, "__file__", None)
        if not file or name == "__main__" or "<" in file:
            continue
        known = sys.modules.get(module.__name__) is module
        if known and not str(Path(file).resolve()).startswith(_installed_paths()):
            cloudpickle.register_pickle_by_value(module)


def revive(value: Any) -> Any:
    """Give functions that came over the wire without a type their type back."""
    if isinstance(value, dict) and value.get("type") in ("code", "builtin"):
        return msgspec.convert(value, Code | Builtin)
    if isinstance(value, (list, tuple)):
        return tuple(revive(item) for item in value)
    return value
