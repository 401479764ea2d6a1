"""Which partition a key belongs to, the same in every process and on every machine.

``hash()`` is salted per process for strings, and equal objects can have different pickles, so
neither will do. Keys that are equal get equal hashes (1, 1.0, True and ``Decimal(1)``; 0.0 and
-0.0); keys that have no hash all processes agree on are refused.
"""

from __future__ import annotations

import dataclasses
import enum
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from numbers import Number
from pathlib import PurePath
from typing import Any
from uuid import UUID
from zlib import crc32

import msgspec

from livebatch.closures import Builtin, Function, builtin
from livebatch.errors import UnstableKey

_NAN = 0x7FF8
_MEMO_LIMIT = 1_000_000


class Partitioner(msgspec.Struct, frozen=True):
    """By how many partitions, and by what function, rows were divided.

    Attributes:
        partitions: how many.
        function: takes a key, gives an int; None is the stable hash.
    """

    partitions: int
    function: Function | None = None

    def bucketing(self) -> Builtin:
        """Return the function that divides (key, value) rows into a list for each partition."""
        return builtin(by_key, self.function, self.partitions)


def stable_hash(key: Any) -> int:
    """Return a hash of a key that is the same in every process.

    Raises:
        UnstableKey: the key's type has none.

    >>> stable_hash(1) == stable_hash(1.0) == stable_hash(True)
    True
    >>> stable_hash(("a", 1)) == stable_hash(("a", 1.0))
    True
    """
    if type(key) is int:  # what follows would find the same, but is asked often
        return hash(key)
    if isinstance(key, str):
        return crc32(str.encode(key, "utf-8", "surrogatepass"))
    if isinstance(key, Number):
        return _NAN if key != key else hash(key)
    if isinstance(key, bytes):
        return crc32(key)
    if key is None:
        return 0
    if isinstance(key, tuple):
        return _combine(map(stable_hash, key))
    return _other_hash(key)


def _other_hash(key: Any) -> int:
    if isinstance(key, enum.Enum):
        name = key.name or repr(key.value)  # an empty flag has no name
        return _combine((crc32(type(key).__qualname__.encode()), crc32(name.encode())))
    if isinstance(key, frozenset):
        return sum(map(stable_hash, key))
    if isinstance(key, datetime):
        # As Python compares them: the second of a repeated hour equals the first.
        first = key.replace(fold=0)
        moment = first.astimezone(UTC) if key.tzinfo else first
        return crc32(str(moment.replace(tzinfo=None)).encode())
    if isinstance(key, time):
        return hash(_since_midnight(key) / timedelta(microseconds=1))
    if isinstance(key, timedelta):
        return hash(key / timedelta(microseconds=1))
    if isinstance(key, (date, UUID)):
        return crc32(str(key).encode())
    if isinstance(key, PurePath):  # on Windows, paths are equal whatever their case
        return crc32(str(key).lower().encode())
    if dataclasses.is_dataclass(key) and not isinstance(key, type):
        params = key.__dataclass_params__  # type: ignore[attr-defined]
        if params.frozen and params.eq:
            fields = [f.name for f in dataclasses.fields(key) if f.compare]
            return _combine(stable_hash(getattr(key, name)) for name in fields)
    if hasattr(key, "item") and hasattr(key, "dtype"):  # a numpy scalar
        if key.dtype.kind in "mM":
            key = key.astype(f"{key.dtype.kind}8[ns]").astype("i8")
        return stable_hash(key.item())
    raise UnstableKey(
        f"{type(key).__qualname__} cannot be a key: workers would not agree on its hash. Use a "
        "string, number, date, tuple, frozenset, enum or frozen dataclass, for example by mapping "
        f"to a tuple of its fields first; the key was {key!r}"
    )


def _since_midnight(moment: time) -> timedelta:
    offset = moment.utcoffset() or timedelta()
    wall = timedelta(hours=moment.hour, minutes=moment.minute, seconds=moment.second)
    return wall + timedelta(microseconds=moment.microsecond) - offset


def _combine(hashes: Iterable[int]) -> int:
    result = 0x345678
    for item in hashes:
        result = (result * 1_000_003 ^ item) & 0xFFFFFFFFFFFFFFFF
    return result


class _Buckets(dict[Any, int]):
    """Remembers the partition of each key, so that a repeated key costs one dict look-up."""

    def __init__(self, function: Callable[[Any], int], partitions: int) -> None:
        super().__init__()
        self._function, self._partitions = function, partitions

    def __missing__(self, key: Any) -> int:
        bucket = self._function(key) % self._partitions
        if len(self) < _MEMO_LIMIT:
            self[key] = bucket
        return bucket


_memos: dict[int, _Buckets] = {}


def by_key(
    function: Callable[[Any], int] | None, partitions: int, rows: Collection[tuple[Any, Any]]
) -> list[Collection[Any]]:
    """Divide (key, value) rows into one list for each partition.

    Raises:
        UnstableKey: a key cannot be hashed.
    """
    if partitions == 1:
        return [rows]
    if function is None:
        buckets = _memos.setdefault(partitions, _Buckets(stable_hash, partitions))
    else:
        buckets = _Buckets(function, partitions)
    segments: list[list[Any]] = [[] for _ in range(partitions)]
    with explaining_keys():
        for row in rows:
            segments[buckets[row[0]]].append(row)
    return list(segments)


@contextmanager
def explaining_keys() -> Iterator[None]:
    """Say what to do about keys that cannot be hashed.

    Raises:
        UnstableKey: one was met.
    """
    try:
        yield
    except TypeError as error:
        if isinstance(error, UnstableKey) or "unhashable" not in str(error):
            raise
        raise UnstableKey(f"{error}: a key must not change; use a tuple or a frozenset") from None


def by_range(
    key: Callable[[Any], Any],
    bounds: Sequence[Any],
    ascending: bool,
    partitions: int,
    rows: Sequence[Any],
) -> list[Sequence[Any]]:
    """Divide rows by where their key lies among rising bounds, the first range first."""
    segments: list[list[Any]] = [[] for _ in range(partitions)]
    for row in rows:
        range_ = bisect_left(bounds, key(row))
        segments[range_ if ascending else len(bounds) - range_].append(row)
    return list(segments)


def in_turn(partitions: int, rows: Sequence[Any]) -> list[Sequence[Any]]:
    """Divide rows evenly, in turn, over the partitions."""
    return [rows[i::partitions] for i in range(partitions)]
