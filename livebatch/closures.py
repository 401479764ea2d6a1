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
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from importlib import import_module
from types import FunctionType, ModuleType
from typing import Any, NoReturn, TypeAlias

import cloudpickle
import msgspec

from livebatch.errors import ClosureError
from livebatch.lambdas import called
from livebatch.usermodules import pickle_user_modules_by_value

LARGE = 1_000_000
"""Captured objects whose pickle has more bytes than this are warned about."""

_PLAIN = (str, int, float, bytes, type(None))
_log = logging.getLogger(__name__)


class Code(msgspec.Struct, frozen=True, tag="code", omit_defaults=True):
    """A user's function, by the hash of its cloudpickle; its bytes are in `codes`.

    Attributes:
        uses: the broadcast variables that it uses, by id, and the values that they have for it.
    """

    digest: str
    name: str
    uses: tuple[tuple[str, Code | None], ...] = ()


class Builtin(msgspec.Struct, frozen=True, tag="builtin"):
    """A function of livebatch's with its first arguments, some of which may be functions."""

    target: str
    args: tuple[Any, ...] = ()

    @property
    def name(self) -> str:
        return self.target.rpartition(":")[2]


Function: TypeAlias = Code | Builtin


class CodeTable:
    """The code this process knows, by digest. Immutable content, so one table a process.

    Attributes:
        nbytes: how many bytes it takes.
    """

    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}
        self._loaded: dict[Code, Any] = {}
        self.nbytes = 0

    def add(self, blob: bytes) -> str:
        digest = hashlib.blake2b(blob, digest_size=16).hexdigest()
        if digest not in self._blobs:
            self._blobs[digest] = blob
            self.nbytes += len(blob)
        return digest

    def blob(self, digest: str) -> bytes:
        return self._blobs[digest]

    def __contains__(self, digest: str) -> bool:
        return digest in self._blobs

    def __len__(self) -> int:
        return len(self._blobs)

    def load(self, code: Code) -> Any:
        """Return the object itself; only processes that run user code may call this."""
        if code not in self._loaded:
            token = _bound.set(dict(code.uses))
            try:
                self._loaded[code] = pickle.loads(self._blobs[code.digest])
            finally:
                _bound.reset(token)
        return self._loaded[code]

    def digests(self) -> set[str]:
        """Return the digests of all code there is."""
        return set(self._blobs)

    def keep_only(self, kept: set[str]) -> None:
        """Free all code but this, by digest."""
        for digest in self._blobs.keys() - kept:
            self.nbytes -= len(self._blobs.pop(digest))
        for code in [code for code in self._loaded if not kept.issuperset(digests(code))]:
            del self._loaded[code]


codes = CodeTable()

_bound: ContextVar[dict[str, Code | None] | None] = ContextVar("bound", default=None)
_uses: ContextVar[dict[str, Code | None] | None] = ContextVar("uses", default=None)


def refer(id: str, value: Code | None) -> None:
    """Note that the function which is being pickled uses a broadcast variable."""
    uses = _uses.get()
    if uses is not None:
        uses[id] = value


def referred(id: str) -> Code | None:
    """Return the value of a broadcast variable for the function that is being unpickled."""
    return (_bound.get() or {}).get(id)


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
    uses: dict[str, Code | None] = {}
    token = _uses.set(uses)
    try:
        blob = _dumped(function, name)
    finally:
        _uses.reset(token)
    return Code(codes.add(blob), called(function), tuple(sorted(uses.items())))


def ship_value(value: Any, name: str) -> Code:
    """Return any picklable value in the form in which functions travel; `load` gives it back."""
    return Code(codes.add(_dumped(value, name)), name)


def ship_quietly(value: Any, name: str) -> Code:
    """Return a picklable value as `ship_value` does, without a warning if it is large.

    Raises:
        ClosureError: it cannot be pickled.
    """
    return Code(codes.add(_dumped(value, name, large=True)), name)


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
    pickle_user_modules_by_value()
    try:
        return bytes(cloudpickle.dumps(value, protocol=5))
    except Exception as error:
        _explain(value, name, error)


_capturing: ContextVar[list[Any] | None] = ContextVar("capturing", default=None)


def ship_to_driver(function: Callable[..., Any] | Function) -> tuple[Function, list[Any]]:
    """Return a function that is to run in the driver process in the form in which it travels, and
    what it has captured that is not data but stands for something there, such as RDDs. If there is
    any, what `load` gives makes the function when it is called, to be when these are at hand.

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
    blob = pickle.dumps(_Unopened(codes.blob(shipped.digest)), protocol=5)
    return Code(codes.add(blob), shipped.name, shipped.uses), found


class _Unopened:
    """A pickle that arrives as a function which loads it, when it is called."""

    def __init__(self, blob: bytes) -> None:
        self._blob = blob

    def __reduce__(self) -> Any:
        return _opener, (self._blob,)


def _opener(blob: bytes) -> Callable[[], Any]:
    bound = _bound.get()

    def opened() -> Any:
        token = _bound.set(bound)
        try:
            return pickle.loads(blob)
        finally:
            _bound.reset(token)

    return opened


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


def _dumped(value: Any, name: str, large: bool = False) -> bytes:
    blob = pickled(value, name)
    if len(blob) > LARGE and not large:
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
        return codes.load(function)  # type: ignore[no-any-return]
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
        if value.uses:
            yield from digests(value.uses)
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


def revive(value: Any) -> Any:
    """Give functions that came over the wire without a type their type back."""
    if isinstance(value, dict) and value.get("type") in ("code", "builtin"):
        return msgspec.convert(value, Code | Builtin)
    if isinstance(value, (list, tuple)):
        return tuple(revive(item) for item in value)
    return value


def rebound(value: Any, newest: Mapping[str, Code | None]) -> Any:
    """Return functions, or a structure of them, that use broadcast variables with the values that
    those have now; the rest is returned as it is."""
    if isinstance(value, dict) and value.get("type") in ("code", "builtin"):
        return rebound(revive(value), newest)
    if isinstance(value, Code):
        uses = tuple((id, newest.get(id)) for id, _ in value.uses)
        return msgspec.structs.replace(value, uses=uses) if uses else value
    if isinstance(value, Builtin):
        return Builtin(value.target, rebound(value.args, newest))
    if isinstance(value, (list, tuple)):
        return tuple(rebound(item, newest) for item in value)
    return value
